// Giving back what dead workers held and moving what is due, without a worker: for `sweep` and `handback`.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include <lovage/value.hpp>

#include "base/clock.hpp"
#include "broker/broker.hpp"

namespace lovage::cli {

struct SweepCounts {
  std::vector<broker::Lease::Swept> dead;
  std::uint64_t released = 0;  // from the schedules
};
// {"workers": [{"worker", "messages"}], "given_back", "moved"}
Object as_json(const SweepCounts& counts);

class Sweeping {
 public:
  Sweeping(broker::Broker& broker, std::chrono::milliseconds lease);

  // Moves what is due, and gives back what those held whose counters stood still over four ticks. Call it as often as
  // you like: ticks are a third of a lease apart. Adds to `counts`. Throws ConnectionError.
  void look(SweepCounts& counts);

  // Looks until every worker that is registered lives, or is given back: about four thirds of a lease.
  void until_the_dead_are_known(SweepCounts& counts);

 private:
  broker::Broker& broker_;
  const std::chrono::milliseconds tick_;
  std::unique_ptr<broker::Lease> sweeper_;
  Monotonic next_tick_{};
};

}  // namespace lovage::cli
