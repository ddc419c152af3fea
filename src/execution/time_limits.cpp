#include "execution/time_limits.hpp"

#include <algorithm>

namespace lovage::execution {

void TimeLimits::started(JobId job, std::optional<std::chrono::milliseconds> soft,
                         std::optional<std::chrono::milliseconds> hard) {
  if (!soft && !hard) return;
  const Monotonic now = std::chrono::steady_clock::now();
  const auto add = [&](std::chrono::milliseconds limit, bool is_hard) {
    by_job_.emplace(job, limits_.emplace(now + limit, Limit{job, is_hard}));
  };
  if (soft) add(*soft, false);
  if (hard) add(*hard, true);
  arm();
}

void TimeLimits::ended(JobId job) {
  const auto [first, last] = by_job_.equal_range(job);
  for (auto it = first; it != last; ++it) limits_.erase(it->second);
  by_job_.erase(first, last);
}

void TimeLimits::arm() {
  if (limits_.empty()) {
    timer_.reset();
    armed_for_ = Monotonic::max();
    return;
  }
  const Monotonic due = limits_.begin()->first;
  if (timer_ && armed_for_ <= due) return;  // it fires early and arms itself again
  armed_for_ = due;
  timer_ = loop_.after(std::max(due - std::chrono::steady_clock::now(), Duration::zero()), [this] { fire(); });
}

void TimeLimits::fire() {
  timer_.reset();
  const Monotonic now = std::chrono::steady_clock::now();
  while (!limits_.empty() && limits_.begin()->first <= now) {
    const auto due = limits_.begin();
    const Limit limit = due->second;
    const auto [first, last] = by_job_.equal_range(limit.job);
    by_job_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == due; }));
    limits_.erase(due);
    limit.hard ? on_hard_(limit.job) : on_soft_(limit.job);
  }
  arm();
}

}  // namespace lovage::execution
