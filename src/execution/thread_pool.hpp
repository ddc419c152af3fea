// The threads pool: tasks run on threads of the worker's own process. The fastest, for trusted code: a
// task that crashes takes the worker down, and the lease brings its messages back.
//
// Soft time limits work (Context::check). A thread cannot be killed: a task over its hard limit is logged
// once as stuck, and its outcome is timed_out when it ends after all; terminate() is logged and has no
// effect on a task that runs. A cold stop leaves running tasks behind: their requests come back as
// not_started, and the process is expected to exit soon.
#pragma once

#include <deque>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "execution/appetite.hpp"
#include "execution/make_pool.hpp"
#include "execution/pool.hpp"
#include "execution/time_limits.hpp"
#include "execution/trace.hpp"

namespace lovage::execution {

class ThreadPool final : public Pool {
 public:
  explicit ThreadPool(const PoolOptions& options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() override;

  void start(PoolEvents& events, UniqueFunction<void()> ready) override;
  [[nodiscard]] std::size_t slots() const noexcept override { return slots_; }
  [[nodiscard]] std::size_t appetite() const noexcept override { return appetite_.total(); }
  void submit(Request request) override;
  void allow_starts_until(Monotonic until) noexcept override;
  void give_back() override;
  void terminate(JobId job, int signal) override;
  void kill_all() override;
  void stop(UniqueFunction<void()> done) override;
  [[nodiscard]] std::vector<int> pids() const override;
  [[nodiscard]] std::string name() const override { return "threads"; }

 private:
  struct Shared;
  struct Started;
  struct Finished;
  class Runner;
  // What runs on one thread, as far as the loop has heard.
  struct Running {
    JobId job = 0;
    Monotonic since;
    bool active = false;
    bool over_hard_limit = false;
  };
  void publish();
  void receive();
  void handle(const Started& started);
  void handle(Finished&& finished, std::vector<Outcome>& outcomes);
  void over_hard_limit(JobId job);
  void look_for_long_tasks();
  void report(std::vector<Outcome> outcomes);
  void end_threads();

  net::Loop& loop_;
  const std::size_t slots_;
  const int pid_;
  PoolEvents* events_ = nullptr;
  Appetite appetite_;
  TimeLimits limits_;
  std::deque<Request> backlog_;            // submitted in this turn, or more than the ring holds
  bool publishing_ = false;                // publish() is due at the end of this turn
  std::unordered_set<JobId> outstanding_;  // submitted, no outcome yet
  std::vector<Running> running_;           // by thread
  net::Registration watch_;                // while the pool looks ahead and has work
  bool abandoned_ = false;                 // kill_all() gave running tasks up
  std::vector<std::thread> threads_;
  std::shared_ptr<Shared> shared_;  // with the threads, which outlive the pool after a cold stop
};

}  // namespace lovage::execution
