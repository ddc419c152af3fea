// Which workers are alive: those whose lease counter rises while one looks.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "base/clock.hpp"
#include "broker/broker.hpp"

namespace lovage::cli {

// Workers renew their lease every third of it: who is alive is seen to count within that time.
std::chrono::milliseconds lease_tick(const Config& config);

struct Liveness {
  std::string node_name;
  std::uint64_t first_counter = 0;
  bool alive = false;                                         // it counted
  std::optional<std::vector<std::string>> queues;             // see broker::WorkerInfo
  [[nodiscard]] bool serves(const std::string& queue) const;  // or may serve, where the engine does not know
};
using WorkersSeen = std::map<IncarnationId, Liveness>;

// One look more. `names` not empty: these nodes alone. Throws ConnectionError.
void look_at_workers(broker::Broker& broker, const std::vector<std::string>& names, WorkersSeen& seen);

// Looks until every registered worker was seen to count, or the time is over.
void watch_workers(broker::Broker& broker, const std::vector<std::string>& names, WorkersSeen& seen, Deadline deadline);

}  // namespace lovage::cli
