#include "worker/settler.hpp"

#include <utility>

namespace lovage::worker {

void OrderedSettler::settle(broker::Settlement settlement) {
  if (settlement.results.empty() && settlement.sends.empty()) return consumer_.settle(std::move(settlement));
  Outbox::Item item{.results = std::exchange(settlement.results, {}),
                    .declares = std::exchange(settlement.declares, {}),
                    .sends = std::exchange(settlement.sends, {}),
                    .undeliverable = std::exchange(settlement.undeliverable, {}),
                    .done = {}};
  item.done = [this, alive = std::weak_ptr<bool>(alive_), rest = std::move(settlement)]() mutable {
    if (!alive.expired()) consumer_.settle(std::move(rest));
  };
  outbox_.push(std::move(item));
}

void OrderedSettler::store_state(Token /*token*/, broker::StoreResult result) {
  outbox_.push({.results = {std::move(result)}, .declares = {}, .sends = {}, .undeliverable = {}, .done = {}});
}

}  // namespace lovage::worker
