#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/logging.hpp"
#include "broker/memory/store.hpp"

namespace lovage::broker::memory {
namespace {

constexpr std::size_t kSettleAtOnce = 256;  // the bound of one hold of the lock
// Names of tasks that a worker remembers not to know; whoever forgets some learns them again.
constexpr std::size_t kMostUnknown = 1'000;

Token token_of(const Work& work) noexcept {
  if (const auto* settlement = std::get_if<Settlement>(&work)) return settlement->token;
  if (const auto* state = std::get_if<StateUpdate>(&work)) return state->token;
  return std::get<StartRecord>(work).token;
}

// A continuation never does.
bool goes_to_a_queue(Disposal disposal) noexcept {
  return disposal != Disposal::acknowledge && disposal != Disposal::carry_on;
}

}  // namespace

std::vector<SettleStatus> Store::carry_out(WorkerId id, std::span<Work> works) {
  std::vector<SettleStatus> statuses;
  statuses.reserve(works.size());
  while (statuses.size() < works.size()) {
    const auto rest = works.subspan(statuses.size());
    Turn turn(*this);
    Worker* const worker = find_worker(id);
    if (worker != nullptr) worker->listening = false;  // it reserves next, and need not be woken by its own work
    for (auto& work : rest.first(std::min(rest.size(), kSettleAtOnce))) {
      statuses.push_back(worker == nullptr ? SettleStatus::fenced : carry_out(turn, *worker, work));
    }
  }
  return statuses;
}

SettleStatus Store::carry_out(Turn& turn, Worker& worker, Work& work) {
  const auto held = worker.reserved.find(token_of(work));
  if (held == worker.reserved.end()) return SettleStatus::fenced;
  if (auto* settlement = std::get_if<Settlement>(&work)) return settle(turn, worker, *settlement);
  if (auto* state = std::get_if<StateUpdate>(&work)) {
    put_result(std::move(state->result), clock().now());
  } else {
    held->second.started = true;
  }
  return SettleStatus::settled;
}

SettleStatus Store::settle(Turn& turn, Worker& worker, Settlement& settlement) {
  // What can be refused is found out before anything else is changed. A queue that is known without its message does
  // no harm.
  std::vector<std::vector<std::string>> routed;
  const auto held = worker.reserved.find(settlement.token);
  if (held->second.continuation && goes_to_a_queue(settlement.disposal)) return SettleStatus::failed;
  if (!route_all(settlement, routed)) return SettleStatus::failed;
  if (worker.lone == settlement.token) worker.lone.reset();
  for (const auto& start : settlement.chords) chords_.start(start, clock().now());
  for (auto& result : settlement.results) put_result(std::move(result), clock().now());
  const bool carries_on = is_carried_on(settlement);
  if (carries_on) {
    continue_with(held->second, settlement);
  } else {
    dispose(turn, worker, settlement, std::move(worker.reserved.extract(held).mapped()));
  }
  for (std::size_t i = 0; i < routed.size(); ++i) place(turn, routed[i], std::move(settlement.sends[i]));
  for (const auto& buried : settlement.buried) bury(buried);
  if (settlement.graph) graphs_.use(*settlement.graph, clock().now());
  if (settlement.ended_chord) end(*settlement.ended_chord, clock().now());
  return carries_on ? SettleStatus::carries_on : SettleStatus::settled;
}

// Counts what it counts, too.
bool Store::is_carried_on(Settlement& settlement) {
  if (!settlement.counts) return settlement.disposal == Disposal::carry_on;
  if (!count(*settlement.counts, clock().now()) || !chords_.claim(settlement.counts->group_id)) return false;
  settlement.continuation = std::move(settlement.counts->continuation);
  return true;
}

void Store::continue_with(Reservation& reservation, Settlement& settlement) {
  if (settlement.disposal == Disposal::dead_letter) bury_reserved(reservation, settlement);
  reservation.message = {};
  reservation.started = false;
  reservation.continuation = std::move(settlement.continuation);
}

void Store::bury_reserved(const Reservation& reservation, Settlement& settlement) {
  bury(std::move(settlement.dead_letter), reservation.queue->first, reservation.step,
       wire::encode_envelope(reservation.message.content));
}

// The queues of all sends; those that have none become dead letters. False: one is not to become one.
bool Store::route_all(Settlement& settlement, std::vector<std::vector<std::string>>& routed) {
  std::size_t declared = 0;
  for (;;) {
    for (; declared < settlement.declares.size(); ++declared) declare(settlement.declares[declared]);
    if (routed.size() == settlement.sends.size()) return true;
    const wire::TaskMessage& message = settlement.sends[routed.size()];
    auto queues = route(message);
    if (queues) {
      routed.push_back(std::move(*queues));
    } else if (!bury_send(settlement, routed.size())) {
      log::error(fmt::format("Cannot settle: task {}: {}", message.id, queues.error().message));
      return false;
    }
  }
}

void Store::dispose(Turn& turn, Worker& worker, Settlement& settlement, Reservation reservation) {
  Entry& entry = *reservation.queue;
  Queue& queue = entry.second;
  Message& message = reservation.message;
  queue.released();
  const bool leaves = settlement.disposal == Disposal::acknowledge || settlement.disposal == Disposal::dead_letter;
  if (settlement.disposal == Disposal::dead_letter) bury_reserved(reservation, settlement);
  if (leaves) return drop_if_unused(entry);

  if (settlement.replacement) message.content = std::move(settlement.replacement);
  if (settlement.marks) message.marks = *settlement.marks;
  if (settlement.disposal == Disposal::schedule) {
    if (!settlement.unknown_task.empty()) {
      if (worker.unknown.size() >= kMostUnknown) worker.unknown.clear();
      worker.unknown.insert(settlement.unknown_task);
    }
    const Timestamp due = settlement.due.at ? *settlement.due.at : clock().now() + settlement.due.delay;
    queue.schedule(due, reservation.step, std::move(message), settlement.unknown_task);
  } else {
    if (settlement.disposal == Disposal::return_tail) message.position = ++last_position_;
    queue.put(reservation.step, std::move(message));
  }
  turn.came(entry);
}

void Store::bury(DeadLetter letter, std::string queue, int step, std::string bytes) {
  const std::uint64_t key = ++last_dead_letter_;
  dead_letters_.emplace(key, DeadLetterEntry{std::to_string(key), std::move(letter), std::move(queue), step,
                                             clock().now(), std::move(bytes)});
}

void Store::bury(const BuriedMessage& buried) {
  bury(buried.letter, buried.message.routing_key, 0, wire::encode_envelope(buried.message));
}

void Store::bury(std::span<const BuriedMessage> messages) {
  const Turn turn(*this);
  for (const auto& buried : messages) bury(buried);
}

}  // namespace lovage::broker::memory
