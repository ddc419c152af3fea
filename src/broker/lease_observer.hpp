// Decides which incarnations are dead, from what a sweeper sees: a worker that lives raises its counter
// every third of the lease, a dead one does not. No clocks are compared between machines, and only
// answered looks count, so an outage of the store expires nobody. Pure: no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/strong.hpp"

namespace lovage::broker {

// One answered look at the registered incarnations.
struct LeaseSnapshot {
  std::string server_run;  // changes when the server restarts or another takes over
  std::map<IncarnationId, std::uint64_t> counters;
};

struct DeadIncarnation {
  IncarnationId incarnation;
  std::uint64_t counter = 0;  // as last seen: giving back is refused when it has moved on meanwhile
  friend bool operator==(const DeadIncarnation&, const DeadIncarnation&) = default;
};

// One thread at a time.
class LeaseObserver {
 public:
  // `clock` must outlive the observer; only its monotonic time is read.
  LeaseObserver(const Clock& clock, std::chrono::milliseconds lease) : clock_(clock), lease_(lease) {}

  // A look that was asked for at `asked` (this clock's monotonic time) has been answered just now.
  // Returns the incarnations whose counter stood still in four consecutive ticks. A look that comes too
  // soon after the last tick is not a tick; one whose answer was slow, that comes more than a lease after
  // the last tick, or that another server answered, starts all counts again.
  std::vector<DeadIncarnation> answered(Monotonic asked, const LeaseSnapshot& snapshot);

  // The look failed, the connection was made anew, or another process is the sweeper: all counts start again.
  void start_again() noexcept;

 private:
  struct Sight {
    std::uint64_t counter = 0;
    int ticks = 0;  // consecutive ticks that saw this counter
  };

  [[nodiscard]] bool is_continued_by(Monotonic now, Monotonic asked, const LeaseSnapshot& snapshot) const;

  const Clock& clock_;
  Duration lease_;
  std::string server_run_;
  Monotonic last_tick_{};
  std::map<IncarnationId, Sight> sights_;  // empty: no tick yet
};

}  // namespace lovage::broker
