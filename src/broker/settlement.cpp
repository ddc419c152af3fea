#include "broker/settlement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/logging.hpp"
#include "base/printable.hpp"

namespace lovage::broker {
namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>&& more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

bool bury_send(Settlement& settlement, std::size_t send) {
  auto& undeliverable = settlement.undeliverable;
  const auto found = std::ranges::find(undeliverable, send, &Settlement::Undeliverable::send);
  if (found == undeliverable.end()) return false;
  Settlement instead = std::move(found->instead);
  undeliverable.erase(found);
  const auto at = settlement.sends.begin() + static_cast<std::ptrdiff_t>(send);
  settlement.buried.push_back({std::move(*at), std::move(instead.dead_letter)});
  settlement.sends.erase(at);
  for (auto& other : undeliverable) {
    if (other.send > send) --other.send;
  }
  for (auto& errback : instead.undeliverable) errback.send += settlement.sends.size();
  append(undeliverable, std::move(instead.undeliverable));
  append(settlement.sends, std::move(instead.sends));
  append(settlement.declares, std::move(instead.declares));
  append(settlement.results, std::move(instead.results));
  append(settlement.chords, std::move(instead.chords));
  if (!settlement.counts) {
    settlement.counts = std::move(instead.counts);
  } else if (instead.counts && instead.counts->group_id == settlement.counts->group_id) {
    append(settlement.counts->parts, std::move(instead.counts->parts));
  }
  const DeadLetter& letter = settlement.buried.back().letter;
  log::error(fmt::format("Task {}[{}] cannot be sent and is moved to the dead letters: {}", printable(letter.task),
                         printable(letter.task_id), printable(letter.detail)),
             {{"id", Value(letter.task_id)}, {"name", Value(letter.task)}});
  return true;
}

}  // namespace lovage::broker
