#include "cli/sweeping.hpp"

#include <algorithm>
#include <iterator>
#include <thread>
#include <utility>

#include "cli/liveness.hpp"
#include "cli/session.hpp"

namespace lovage::cli {

Object as_json(const SweepCounts& counts) {
  std::uint64_t given_back = 0;
  Array workers;
  for (const auto& dead : counts.dead) {
    given_back += dead.messages;
    workers.push_back(Object{{"worker", dead.node_name}, {"messages", dead.messages}});
  }
  return {{"workers", std::move(workers)}, {"given_back", given_back}, {"moved", counts.released}};
}

Sweeping::Sweeping(broker::Broker& broker, std::chrono::milliseconds lease)
    : broker_(broker), tick_(lease / 3), sweeper_(broker.make_sweeper(lease)) {}

void Sweeping::look(SweepCounts& counts) {
  counts.released += take(broker_.release(broker::Broker::Scheduled::due, management_deadline()));
  if (std::chrono::steady_clock::now() < next_tick_) return;
  next_tick_ = std::chrono::steady_clock::now() + tick_;
  auto swept = take(sweeper_->sweep(Deadline::after(tick_)));
  std::move(swept.begin(), swept.end(), std::back_inserter(counts.dead));
}

void Sweeping::until_the_dead_are_known(SweepCounts& counts) {
  // Four ticks tell; the rest is for slow answers, and for a sweeper that died and still has the lock.
  const Deadline deadline = Deadline::after(12 * tick_);
  WorkersSeen workers;
  for (;;) {
    look(counts);
    look_at_workers(broker_, {}, workers);
    const bool known = std::all_of(workers.begin(), workers.end(), [](const auto& each) { return each.second.alive; });
    if (known || deadline.passed()) return;
    std::this_thread::sleep_for(
        std::min<Duration>(next_tick_ - std::chrono::steady_clock::now(), deadline.remaining()));
  }
}

}  // namespace lovage::cli
