#include "worker/lease_thread.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/backoff.hpp"
#include "base/logging.hpp"

namespace lovage::worker {
namespace {

// A renewal that failed is tried again soon, however long the lease is: in the end no task may start before one has
// succeeded, though the server may be there and messages come.
constexpr Backoff kAgain{.base = std::chrono::milliseconds(100), .cap = std::chrono::milliseconds(1'000)};

}  // namespace

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
    lock.unlock();
    if (!renew()) return events_.on_lost();
    if (failures_ == 0) sweep();
    next = turn_after(next);
    lock.lock();
  }
}

// After a slow answer the missed ticks are not made up for.
Monotonic LeaseThread::turn_after(Monotonic last) const {
  const Monotonic now = std::chrono::steady_clock::now();
  if (failures_ > 0) return now + std::min(tick_, kAgain.jittered(failures_ - 1, random_u64()));
  return std::max(last + tick_, now + tick_ / 2);
}

bool LeaseThread::renew() {
  const Monotonic asked = std::chrono::steady_clock::now();
  const auto renewal = lease_->renew(Deadline::after(tick_));
  if (!renewal) {
    if (failures_++ == 0) log::warning(fmt::format("lease: cannot renew: {}", renewal.error().message));
    return true;
  }
  if (std::exchange(failures_, 0) > 0) log::info("lease: renewed again");
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
