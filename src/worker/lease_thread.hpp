// Keeps this worker's lease, on a thread and a connection of its own: a busy loop never costs a worker its
// lease. Also takes this worker's turn at sweeping the dead.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.hpp"
#include "broker/consumer.hpp"

namespace lovage::worker {

class LeaseThread {
 public:
  // Both are called on the lease thread: `on_renewed` (and once here, the incarnation has just been registered) says
  // until when nobody can have declared it dead; `on_lost`, at most once, that somebody has. The thread ends after it.
  struct Events {
    std::function<void(Monotonic until)> on_renewed;
    std::function<void()> on_lost;
  };
  LeaseThread(std::unique_ptr<broker::Lease> lease, std::chrono::milliseconds length, Events events);
  ~LeaseThread();  // waits for the call at hand, at most a tick
  LeaseThread(const LeaseThread&) = delete;
  LeaseThread& operator=(const LeaseThread&) = delete;

 private:
  void run();
  [[nodiscard]] Monotonic turn_after(Monotonic last) const;
  bool renew();  // false: lost
  void hold_from(Monotonic asked) const;
  void sweep();

  const std::unique_ptr<broker::Lease> lease_;
  const std::chrono::milliseconds tick_;  // a third of the lease
  const Events events_;
  unsigned failures_ = 0;  // lease thread only: renewals in a row, the first was logged
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace lovage::worker
