// The solo pool: tasks run on the loop's own thread, one at a time. For debugging: nothing else happens
// while a task runs. Soft time limits work (Context::check); hard ones and terminate() cannot.
#pragma once

#include <deque>
#include <memory>

#include "execution/appetite.hpp"
#include "execution/make_pool.hpp"
#include "execution/pool.hpp"
#include "execution/start_permit.hpp"
#include "execution/trace.hpp"

namespace lovage::execution {

class SoloPool final : public Pool, private StateSink {
 public:
  explicit SoloPool(const PoolOptions& options);

  void start(PoolEvents& events, UniqueFunction<void()> ready) override;
  [[nodiscard]] std::size_t slots() const noexcept override { return 1; }
  [[nodiscard]] std::size_t appetite() const noexcept override { return appetite_.total(); }
  void submit(Request request) override;
  void allow_starts_until(Monotonic until) noexcept override;
  void give_back() override;
  void terminate(JobId job, int signal) override;
  void kill_all() override { give_back(); }
  void stop(UniqueFunction<void()> done) override;
  [[nodiscard]] std::vector<int> pids() const override;
  [[nodiscard]] std::string name() const override { return "solo"; }

 private:
  void on_state(JobId job, std::string state, std::string meta_json) override;
  void schedule();
  void run_slice();

  net::Loop& loop_;
  const app::Registry& registry_;
  const TraceSettings settings_;
  PoolEvents* events_ = nullptr;
  Appetite appetite_;
  std::deque<Request> waiting_;
  bool scheduled_ = false;
  StartPermit permit_;
  net::Registration permit_timer_;                              // while there is none
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is still posted when the pool goes
};

}  // namespace lovage::execution
