// A pool runs requests. Three of them: prefork, threads, solo.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "execution/request.hpp"

namespace lovage::execution {

// Called on the loop thread.
class PoolEvents {
 public:
  virtual ~PoolEvents() = default;
  // A slot took the request: Celery's "accepted". Comes before its outcome.
  virtual void on_started(JobId job, int pid) = 0;
  // update_state() inside the task. `meta_json` is the state's meta as JSON text.
  virtual void on_state(JobId job, std::string state, std::string meta_json) = 0;
  virtual void on_outcomes(std::vector<Outcome> outcomes) = 0;
  virtual void on_soft_time_limit(JobId job) = 0;  // for the log
  // The pool cannot go on (its fork server cannot be started): the worker shuts down.
  virtual void on_broken(const Failure& why) = 0;
};

// Loop thread only.
class Pool {
 public:
  virtual ~Pool() = default;
  // `ready` follows when the pool can take requests.
  virtual void start(PoolEvents& events, UniqueFunction<void()> ready) = 0;
  [[nodiscard]] virtual std::size_t slots() const noexcept = 0;
  // How many requests the pool would like to hold now, running ones included: its slots, more while
  // tasks are short (what the slots finish in 20 ms, at most 256 beyond the slots).
  [[nodiscard]] virtual std::size_t appetite() const noexcept = 0;
  // Every submitted request gets exactly one outcome.
  virtual void submit(Request request) = 0;
  // Any thread. Nothing starts from then on: it waits for a later time, or to be taken back. At first there is no end.
  virtual void allow_starts_until(Monotonic until) noexcept = 0;
  // Takes back what has not started: those come as Outcome::not_started.
  virtual void give_back() = 0;
  // Ends one running request by force (prefork: kills its child); its outcome says revoked.
  virtual void terminate(JobId job, int signal) = 0;
  // Cold: kills what runs. Outcomes of killed requests come as not_started, so they return to the queue.
  virtual void kill_all() = 0;
  // After all outcomes: ends processes and threads; `done` follows.
  virtual void stop(UniqueFunction<void()> done) = 0;
  [[nodiscard]] virtual std::vector<int> pids() const = 0;
  [[nodiscard]] virtual std::string name() const = 0;  // "prefork", "threads", "solo"
};

}  // namespace lovage::execution
