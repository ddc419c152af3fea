#include "cli/liveness.hpp"

#include <algorithm>
#include <thread>

#include "cli/session.hpp"

namespace lovage::cli {

bool Liveness::serves(const std::string& queue) const {
  return !queues || std::find(queues->begin(), queues->end(), queue) != queues->end();
}

std::chrono::milliseconds lease_tick(const Config& config) {
  return config.worker_lease / 3 + std::chrono::seconds(1);
}

void look_at_workers(broker::Broker& broker, const std::vector<std::string>& names, WorkersSeen& seen) {
  WorkersSeen registered;
  for (auto& worker : take(broker.workers(management_deadline()))) {
    if (!names.empty() && std::find(names.begin(), names.end(), worker.node_name) == names.end()) continue;
    const auto before = seen.find(worker.incarnation);
    Liveness now{std::move(worker.node_name), worker.counter, false, std::move(worker.queues)};
    if (before != seen.end()) {
      now.first_counter = before->second.first_counter;
      now.alive = before->second.alive || worker.counter > now.first_counter;
    }
    registered.emplace(worker.incarnation, std::move(now));
  }
  seen = std::move(registered);
}

void watch_workers(broker::Broker& broker, const std::vector<std::string>& names, WorkersSeen& seen,
                   Deadline deadline) {
  constexpr std::chrono::milliseconds kPause{100};
  while (true) {
    look_at_workers(broker, names, seen);
    const bool all = std::all_of(seen.begin(), seen.end(), [](const auto& worker) { return worker.second.alive; });
    if (all || deadline.passed()) return;
    std::this_thread::sleep_for(std::min<Duration>(kPause, deadline.remaining()));
  }
}

}  // namespace lovage::cli
