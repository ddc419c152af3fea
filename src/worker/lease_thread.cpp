#include "worker/lease_thread.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/logging.hpp"

namespace lovage::worker {

LeaseThread::LeaseThread(std::unique_ptr<broker::Lease> lease, std::chrono::milliseconds length, Events events)
    : lease_(std::move(lease)), tick_(length / 3), events_(std::move(events)) {
  hold_from(std::chrono::steady_clock::now());
  thread_ = std::thread([this] { run(); });
}

LeaseThread::~LeaseThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LeaseThread::run() {
  auto next = std::chrono::steady_clock::now() + tick_;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_until(lock, next, [this] { return stopping_; })) {
    next += tick_;
    lock.unlock();
    if (!renew()) return events_.on_lost();
    sweep();
    lock.lock();
    // After a slow answer the missed ticks are not made up for.
    next = std::max(next, std::chrono::steady_clock::now() + tick_ / 2);
  }
}

bool LeaseThread::renew() {
  const Monotonic asked = std::chrono::steady_clock::now();
  const auto renewal = lease_->renew(Deadline::after(tick_));
  if (!renewal) {
    if (!failing_) log::warning(fmt::format("lease: cannot renew: {}", renewal.error().message));
    failing_ = true;
    return true;
  }
  if (failing_) log::info("lease: renewed again");
  failing_ = false;
  if (*renewal == broker::Lease::Renewal::lost) return false;
  hold_from(asked);
  return true;
}

// The dead are found after nine tenths of a lease at the earliest.
void LeaseThread::hold_from(Monotonic asked) const {
  events_.on_renewed(asked + 2 * tick_);
}

void LeaseThread::sweep() {
  const auto swept = lease_->sweep(Deadline::after(tick_));
  if (!swept) {
    log::debug(fmt::format("lease: cannot sweep: {}", swept.error().message));
    return;
  }
  for (const auto& dead : *swept)
    log::warning(
        fmt::format("missed heartbeat from {}: gave {} messages back to their queues", dead.node_name, dead.messages),
        {{"hostname", Value(dead.node_name)}, {"messages", Value(dead.messages)}});
}

}  // namespace lovage::worker
