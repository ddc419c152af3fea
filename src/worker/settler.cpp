#include "worker/settler.hpp"

#include <utility>

namespace lovage::worker {

void OrderedSettler::settle(broker::Settlement settlement) {
  // A part was counted under this token, and its chord is joined now: the message goes where it would have gone then.
  if (auto part = parts_.extract(settlement.token); part && settlement.disposal == broker::Disposal::acknowledge) {
    settlement.disposal = part.mapped().disposal;
    settlement.dead_letter = std::move(part.mapped().dead_letter);
    if (!settlement.graph) settlement.graph = std::exchange(part.mapped().graph, std::nullopt);
  }
  const bool alone = settlement.results.empty() && settlement.sends.empty() && settlement.chords.empty() &&
                     !settlement.counts && !settlement.ended_chord &&
                     (!settlement.graph || settlement.graph->added == 0);
  if (alone) return consumer_.settle(std::move(settlement));
  Outbox::Item item = Outbox::Item::of(settlement);
  // A hold ends with the message, in one step.
  if (item.graph) settlement.graph = broker::GraphUse{item.graph->graph_id, 0, std::exchange(item.graph->ended, 0)};
  item.done = [this, alive = std::weak_ptr<bool>(alive_), rest = std::move(settlement)](bool complete) mutable {
    if (alive.expired()) return;
    if (!complete) return consumer_.settle(std::move(rest));
    // The message stays reserved until its chord is joined: who runs it again counts and joins again.
    const Token token = rest.token;
    parts_.insert_or_assign(token, std::move(rest));
    events_.on_settled(token, broker::SettleStatus::carries_on);
  };
  outbox_.push(std::move(item));
}

void OrderedSettler::store_state(Token /*token*/, broker::StoreResult result) {
  Outbox::Item item;
  item.results.push_back(std::move(result));
  outbox_.push(std::move(item));
}

}  // namespace lovage::worker
