// What goes into a pool and what comes out: one Request in, one Outcome out.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "wire/result_meta.hpp"
#include "wire/shared_message.hpp"
#include "wire/task_message.hpp"

namespace lovage::execution {

// A request's number within this worker process.
using JobId = std::uint64_t;

struct Request {
  JobId job = 0;
  wire::SharedMessage message;
  std::optional<std::chrono::milliseconds> soft_time_limit;
  std::optional<std::chrono::milliseconds> time_limit;
  bool alone = false;  // a suspect: in prefork a child of its own
  // Somebody waits to hear that it has started (STARTED is stored, or it is acknowledged then). The pool may
  // tell it late otherwise, together with the outcome of a short task.
  bool tell_start = false;
};

// How a task asked to be run again.
struct RetryAsked {
  std::optional<Timestamp> eta;            // when it was given as a point in time
  std::chrono::milliseconds countdown{0};  // else after this delay
  std::optional<Array> args;               // replacing the message's
  std::optional<Object> kwargs;
  std::optional<std::int64_t> max_retries;
  std::optional<std::string> queue;  // other options of the new message
  std::optional<int> priority;
  std::optional<wire::TimeLimits> timelimit;
  std::string message;  // "Retry in 2s: ConnectionError('upstream 1')"
};

// A child process that ended while it ran a task.
struct ChildDeath {
  int pid = 0;
  int wait_status = 0;
  long max_rss_kib = 0;
  std::string describe() const;  // "Worker exited prematurely: signal 9 (SIGKILL)"
};

struct Outcome {
  enum class Kind {
    success,
    failure,     // an exception; `exception`, `traceback`
    retry,       // `retry`, and `exception` for its reason
    ignored,     // Ignore: acknowledge, store nothing
    replaced,    // `replacement` goes on in its place
    rejected,    // Reject: `requeue`
    timed_out,   // hard time limit
    revoked,     // terminated by request
    lost,        // its process died: `death`
    malformed,   // the body cannot be read or is refused: `reason` and `detail`, as wire::BadMessage
    not_started  // given back by the pool: nothing ran
  };
  JobId job = 0;
  Kind kind = Kind::success;
  std::string result_json;  // success: the return value as JSON text (in the worker's json_types)
  wire::ExceptionInfo exception;
  std::string traceback;
  bool expected = false;  // failure: listed in the task's `throws`
  RetryAsked retry;
  bool requeue = false;
  std::string reason;  // rejected, revoked, malformed
  std::string detail;  // malformed: one line for people
  ChildDeath death;
  std::vector<std::string> children;  // ids of the tasks that the task itself sent
  Value replacement;                  // a signature
  Array added_to_chord;               // success: signatures
  std::chrono::microseconds runtime{0};
  int pid = 0;
  std::string process_name;  // "ForkPoolWorker-1"

  // One that carries nothing else.
  static Outcome of(JobId job, Kind kind, std::string reason = {}) {
    Outcome outcome;
    outcome.job = job;
    outcome.kind = kind;
    outcome.reason = std::move(reason);
    return outcome;
  }
};

}  // namespace lovage::execution
