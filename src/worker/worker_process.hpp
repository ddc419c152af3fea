// A running worker: one event loop, a lease thread and a pool, and how they start and end together.
#pragma once

#include <memory>
#include <optional>

#include "app/core.hpp"
#include "base/clock.hpp"
#include "broker/consumer.hpp"
#include "execution/pool.hpp"
#include "net/loop.hpp"
#include "worker/dispatcher.hpp"
#include "worker/facts.hpp"
#include "worker/lease_thread.hpp"
#include "worker/outbox.hpp"
#include "worker/settler.hpp"
#include "worker/shutdown.hpp"
#include "worker/startup.hpp"
#include "worker/worker.hpp"

namespace lovage::worker {

class WorkerProcess final : private DispatcherOwner {
 public:
  // Throws ConfigError for options that cannot work.
  WorkerProcess(app::Core& app, const WorkerOptions& options);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess() override;

  // Runs until it has shut down; returns the exit code.
  int run();
  // Any thread: as the signal would.
  void shut_down(Shutdown::Signal signal);

 private:
  // One incarnation: everything that ends with it. Members end in reverse order.
  struct Incarnation {
    std::uint64_t number = 0;
    std::unique_ptr<broker::Consumer> consumer;
    std::unique_ptr<broker::Lease> lease;  // until the thread takes it
    std::unique_ptr<Settler> settler;
    std::unique_ptr<LeaseThread> lease_thread;
  };

  void print_banner() const;
  void watch_signals();
  void on_started_up(const Result<Startup::Ready>& ready);
  void begin_if_ready();
  void start_incarnation();
  void replace_incarnation(std::uint64_t lost);

  void on_connected() override;
  void on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) override;
  void on_incarnation_lost() override;
  void on_pool_broken(const Failure& why) override;
  void on_soft_idle() override;
  void on_idle() override;

  void on_signal(Shutdown::Signal signal);
  void take(Shutdown::Step step);
  void on_warm_timeout();
  void drain();
  void finish();  // nothing is held any more: closes what is open, then ends the loop
  void close_consumer();
  void stop_pool();

  app::Core& app_;
  const WorkerOptions options_;
  const std::vector<wire::QueueDeclaration> queues_;
  const Facts facts_;
  const std::size_t concurrency_;
  Shutdown shutdown_;
  net::Loop loop_;
  Outbox outbox_;
  std::unique_ptr<execution::Pool> pool_;
  Dispatcher dispatcher_;
  std::unique_ptr<Startup> startup_;
  std::unique_ptr<Incarnation> incarnation_;
  std::uint64_t incarnations_ = 0;
  IncarnationId lost_;  // the one before the next, when it was lost
  bool one_engine_ = true;
  bool started_up_ = false;
  bool pool_ready_ = false;
  bool ready_said_ = false;
  bool draining_ = false;
  bool reserving_stopped_ = false;
  bool closing_ = false;
  bool pool_stopping_ = false;
  int reconnects_ = 0;
  std::optional<int> failed_start_;  // exit code of a start that was given up
  net::Registration signals_;
  net::Registration refused_timer_;
  net::Registration warm_timer_;
  net::Registration soft_timer_;
  net::Registration give_up_timer_;
};

}  // namespace lovage::worker
