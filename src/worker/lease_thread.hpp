// Keeps this worker's lease, on a thread and a connection of its own: a busy loop never costs a worker its
// lease. Also takes this worker's turn at sweeping the dead.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "broker/consumer.hpp"

namespace lovage::worker {

class LeaseThread {
 public:
  // `on_lost` is called on the lease thread, at most once: the incarnation was declared dead. The thread
  // ends after it.
  LeaseThread(std::unique_ptr<broker::Lease> lease, std::chrono::milliseconds length, std::function<void()> on_lost);
  ~LeaseThread();  // waits for the call at hand, at most a tick
  LeaseThread(const LeaseThread&) = delete;
  LeaseThread& operator=(const LeaseThread&) = delete;

 private:
  void run();
  bool renew();  // false: lost
  void sweep();

  const std::unique_ptr<broker::Lease> lease_;
  const std::chrono::milliseconds tick_;  // a third of the lease
  const std::function<void()> on_lost_;
  bool failing_ = false;  // lease thread only: the last renewal failed, and was logged
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;     // last: starts when everything else is there
};

}  // namespace lovage::worker
