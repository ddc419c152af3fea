// What a bound task sees of its own run: Celery's `self`.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/error.hpp>
#include <lovage/value.hpp>

namespace lovage {

// The message that is being run. Celery: self.request.
struct RequestInfo {
  std::string id;
  std::string task;
  Array args;
  Object kwargs;
  std::int64_t retries = 0;
  std::string root_id;
  std::optional<std::string> parent_id;
  std::optional<std::string> group_id;
  std::optional<std::int64_t> group_index;
  std::optional<std::string> eta;      // ISO 8601, as sent
  std::optional<std::string> expires;  // ISO 8601, as sent
  std::string origin;                  // "gen12119@host": who sent it
  std::string reply_to;
  std::string hostname;  // the worker's node name
  std::string exchange;
  std::string routing_key;
  int priority = 0;
  bool redelivered = false;
  bool ignore_result = false;
  bool is_eager = false;
  bool is_chord_part = false;  // a header task of a chord
  Object headers;              // the sender's own headers
  Object stamps;               // see Signature::stamp
};

struct RetryOptions {
  std::optional<std::chrono::milliseconds> countdown = {};  // default: the task's default_retry_delay
  std::optional<std::chrono::system_clock::time_point> eta = {};
  std::optional<int> max_retries = {};  // for this run; default: the task's
  std::optional<Array> args = {};       // instead of the message's
  std::optional<Object> kwargs = {};
  std::string queue = {};  // default: the queue it came from
  std::optional<int> priority = {};
  std::optional<std::chrono::milliseconds> time_limit = {};
  std::optional<std::chrono::milliseconds> soft_time_limit = {};
  // Why, for the RETRY state and the log. Default: the exception that is being handled, if any.
  std::string reason = {};
};

class Signature;

// The three signals. They are not std::exceptions, so that a task's own `catch (const std::exception&)`
// does not swallow them. (A retry that `catch (...)` swallows is still a retry, with a warning.)
struct Retry {};
// Acknowledge the message and store nothing. Celery: Ignore.
struct Ignore {};
// Refuse the message: back to its queue's tail, or out. Needs late acknowledgement. Celery: Reject.
struct Reject {
  std::string reason = {};
  bool requeue = false;
};

// Given to a task whose first parameter is Context&. Belongs to the running call: do not keep it.
// All members may be called from the task's own thread only, but for soft_time_limit_exceeded.
class Context {
 public:
  [[nodiscard]] const RequestInfo& request() const;
  [[nodiscard]] const std::string& id() const { return request().id; }

  // Stores a custom state with its meta ("PROGRESS", {{"done", 10}, {"total", 100}}). Does nothing
  // for tasks whose result is ignored. Never replaces a ready state. Celery: self.update_state.
  void update_state(std::string_view state, Value meta = {});

  // Runs this task again later with the same id. Never returns: throws Retry, or, when max_retries
  // are used up, the exception being handled, or MaxRetriesExceeded. Celery: self.retry.
  [[noreturn]] void retry(const RetryOptions& options = {});

  // Ends this run and sends `task` in its place: under this task's id, with its callbacks, the steps that follow it and
  // its place in a chord, so that what the replacement returns is this task's result. A group's result is the list of
  // its members'. It is sent in the step that settles this message, so once, whenever the worker is killed. Never
  // returns: throws Ignore. Throws Error in eager mode. Celery: self.replace.
  [[noreturn]] void replace(const Signature& task);

  // Adds a header task to the chord that this task is part of: its result joins the others', and the body waits for it.
  // It is sent when this task has succeeded, in the step that settles it. Throws Error when this task is no part of a
  // chord. Celery: self.add_to_chord.
  void add_to_chord(const Signature& task);

  // Throws SoftTimeLimitExceeded when the soft time limit has passed. Call it inside long loops.
  void check() const;
  // Any thread; true once the soft time limit has passed.
  [[nodiscard]] bool soft_time_limit_exceeded() const noexcept;

  // The context of the task that this thread is running, or nullptr.
  static Context* current() noexcept;

  // What runs the task implements this; see src/app/invoke.hpp.
  class State;
  explicit Context(State& state) noexcept : state_(&state) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() = default;
  [[nodiscard]] State& state() const noexcept { return *state_; }

 private:
  State* state_;
};

}  // namespace lovage
