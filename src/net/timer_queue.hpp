// A loop's timers, the earliest of them on a timer of the kernel. The loop's turn guards it.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "base/clock.hpp"
#include "base/unique_function.hpp"
#include "net/fd.hpp"
#include "net/registration.hpp"

namespace lovage::net {

class Poller;

class TimerQueue {
 public:
  // Calls nobody while `stopping`.
  TimerQueue(Poller& poller, const std::atomic<bool>& stopping);
  ~TimerQueue();
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Once after `delay`, then, unless `period` is zero, again after each period.
  [[nodiscard]] std::shared_ptr<Registration::State> start(Duration delay, Duration period,
                                                           UniqueFunction<void()> function);

 private:
  class Timer;
  using Queue = std::multimap<Monotonic, std::shared_ptr<Timer>>;
  void call_due();
  void arm();

  const std::atomic<bool>& stopping_;
  const Fd fd_;
  Queue queue_;
  Monotonic armed_ = Monotonic::max();  // when the kernel's timer rings, at the latest
  Registration watch_;
};

}  // namespace lovage::net
