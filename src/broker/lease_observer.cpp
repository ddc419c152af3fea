#include "broker/lease_observer.hpp"

#include <utility>

namespace lovage::broker {
namespace {

constexpr int kTicksToDeath = 4;

}  // namespace

void LeaseObserver::start_again() noexcept {
  sights_.clear();
}

bool LeaseObserver::is_continued_by(Monotonic now, Monotonic asked, const LeaseSnapshot& snapshot) const {
  // A slow answer may tell of a time when renewals were held up as well; after a long gap nobody knows
  // whether the store could be reached in between.
  const bool quick = now - asked < lease_ / 3;
  return quick && snapshot.server_run == server_run_ && now - last_tick_ <= lease_;
}

std::vector<DeadIncarnation> LeaseObserver::answered(Monotonic asked, const LeaseSnapshot& snapshot) {
  const Monotonic now = clock_.monotonic();
  const bool continued = !sights_.empty() && is_continued_by(now, asked, snapshot);
  // Timers are not exact: nine tenths of a third still are "a third".
  if (continued && now - last_tick_ < lease_ * 3 / 10) return {};

  std::map<IncarnationId, Sight> sights;
  std::vector<DeadIncarnation> dead;
  for (const auto& [incarnation, counter] : snapshot.counters) {
    Sight sight{counter, 1};
    const auto before = sights_.find(incarnation);
    if (continued && before != sights_.end() && before->second.counter == counter) {
      sight.ticks = before->second.ticks + 1;
    }
    if (sight.ticks >= kTicksToDeath) dead.push_back({incarnation, counter});
    sights.emplace(incarnation, sight);
  }
  sights_ = std::move(sights);
  server_run_ = snapshot.server_run;
  last_tick_ = now;
  return dead;
}

}  // namespace lovage::broker
