// For the unit tests of your own tasks: a worker in the test's process, by a clock that the test moves, and an eager
// mode. Nothing is left behind: no server, no file, no process.
//
//   lovage::testing::Worker worker(app);
//   auto sum = add.delay(2, 3);
//   worker.wait_until_idle();
//   assert(sum.get(1s) == 5);
//
// Part of lovage::worker. Celery: celery.contrib.testing, and task_always_eager.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <lovage/app.hpp>

namespace lovage::testing {

struct WorkerOptions {
  int concurrency = 1;                   // threads that run tasks; 1 runs them one after the other
  std::vector<std::string> queues = {};  // as `worker -Q`; empty: task_queues, or the default queue
  // What the worker's clock shows at first; the default is the time of day.
  std::chrono::system_clock::time_point start_time = std::chrono::system_clock::now();
};

// A real worker of an app, in threads of this process, on a store in memory that nobody else sees: its messages go
// through the same serializers, acknowledgements, retries and callbacks as those of `lovage worker`.
//
// While it lives and afterwards, everything that the app sends goes to that store, whatever broker_url says; the next
// Worker of the app begins with an empty one. No other thread may use the app while a Worker is made, and one app has
// one Worker at a time.
//
// Its clock stands still. An eta, a countdown, a retry's delay, `expires` and result_expires are reckoned by it: they
// fall due when advance() moves it there, and never before.
//
//   lovage::testing::Worker worker(app);
//   auto late = add.apply_async({2, 3}, {.countdown = 60s});
//   worker.wait_until_idle();
//   assert(late.state() == "PENDING");
//   worker.advance(60s);
//   worker.wait_until_idle();
//   assert(late.get(1s) == 5);
//
// Time limits, and the timeouts of get() and wait_until_idle(), are real time: a task that sleeps really sleeps.
//
// All members but stop() and the destructor may be called from any thread, though not from a task: they would wait for
// the task that they are called from.
class Worker {
 public:
  // Returns when the worker is ready to take messages. Throws ConfigError when the app's settings cannot work, Error
  // when the worker does not start, std::logic_error when the app has a Worker already.
  explicit Worker(App& app, const WorkerOptions& options = {});
  // As stop().
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Waits until nothing is left to do by the worker's clock: every message that is due, those that tasks sent included,
  // has found its end, and its result is stored. What waits for a later time, and messages in queues that the worker
  // does not serve, do not count. Throws Timeout, and what runs goes on; std::logic_error after stop().
  void wait_until_idle(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  // The worker's clock.
  [[nodiscard]] std::chrono::system_clock::time_point now() const;
  // Moves it forward: what falls due on the way runs by the new time, the earliest first. A task that is then scheduled
  // again (a retry) waits from the new time on. Before that it waits as wait_until_idle() does, so that what was sent
  // before is reckoned by the old time. Throws what that throws, and std::invalid_argument when `by` is negative.
  void advance(std::chrono::milliseconds by);

  // A warm shutdown: what runs ends first, what has not begun stays in the store. Does nothing the second time.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// While it lives, delay() and apply_async() run the task at once, in the calling thread, and return a result that is
// ready; nothing is sent, eta and countdown do not wait, and retries come at once. Celery: task_always_eager.
//
//   lovage::testing::Eager eager(app);
//   assert(add.delay(2, 3).get() == 5);
//
// No other thread may use the app when it begins and when it ends.
class Eager {
 public:
  // With `propagate`, a task that fails throws TaskFailed from the call already. Celery: task_eager_propagates.
  explicit Eager(App& app, bool propagate = false);
  // Puts the app's settings back.
  ~Eager();
  Eager(const Eager&) = delete;
  Eager& operator=(const Eager&) = delete;

 private:
  App& app_;
  const bool always_before_;
  const bool propagates_before_;
};

}  // namespace lovage::testing
