#include "net/timer_queue.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "net/callback.hpp"
#include "net/poller.hpp"

namespace lovage::net {

class TimerQueue::Timer final : public Registration::State {
 public:
  Timer(Queue& queue, Duration each, UniqueFunction<void()> function)
      : period(each), callback(std::move(function)), queue_(queue) {}
  void cancel() noexcept override {
    if (is_queued) queue_.erase(std::exchange(place, {}));
    is_queued = false;
    callback.end();
  }

  const Duration period;  // zero: once
  Callback<> callback;
  bool is_queued = false;
  Queue::iterator place;  // while it is queued

 private:
  Queue& queue_;
};

TimerQueue::TimerQueue(Poller& poller, const std::atomic<bool>& stopping)
    : stopping_(stopping), fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  watch_ = Registration(poller.watch(fd_.get(), Poller::What::readable, [this] { call_due(); }));
}

TimerQueue::~TimerQueue() {
  // What a function holds may end other timers as it goes.
  while (!queue_.empty()) {
    const auto timer = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
    timer->is_queued = false;
    timer->callback.end();
  }
}

std::shared_ptr<Registration::State> TimerQueue::start(Duration delay, Duration period,
                                                       UniqueFunction<void()> function) {
  const auto timer = std::make_shared<Timer>(queue_, period, std::move(function));
  const Monotonic when = from_now(delay);
  timer->place = queue_.emplace(when, timer);
  timer->is_queued = true;
  if (when < armed_) arm();
  return timer;
}

void TimerQueue::call_due() {
  const Monotonic now = std::chrono::steady_clock::now();
  while (!queue_.empty() && queue_.begin()->first <= now) {
    if (stopping_.load()) return;  // the kernel's timer has rung and shows it until it is armed again
    auto node = queue_.extract(queue_.begin());
    const auto timer = node.mapped();
    timer->is_queued = false;
    timer->callback.call();
    if (timer->callback.ended() || timer->period == Duration::zero()) continue;
    // From the last due time, so that periods do not drift; a late loop does not catch up in a burst.
    node.key() = std::max(node.key() + timer->period, std::chrono::steady_clock::now());
    timer->place = queue_.insert(std::move(node));
    timer->is_queued = true;
  }
  arm();
}

void TimerQueue::arm() {
  armed_ = queue_.empty() ? Monotonic::max() : queue_.begin()->first;
  itimerspec when{};
  if (armed_ != Monotonic::max()) {
    const auto since = std::max(armed_.time_since_epoch(), Duration(1));  // zero would disarm it
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    when.it_value.tv_sec = seconds.count();
    when.it_value.tv_nsec = std::chrono::nanoseconds(since - seconds).count();
  }
  if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0)
    throw std::system_error(errno, std::generic_category(), "timerfd_settime");
}

}  // namespace lovage::net
