// Carries settlements out. All crash safety lives here and in the broker's fenced step.
#pragma once

#include <memory>
#include <unordered_map>

#include "broker/consumer.hpp"
#include "broker/settlement.hpp"
#include "worker/outbox.hpp"

namespace lovage::worker {

// Loop thread only. The consumer's on_settled follows each settle().
class Settler {
 public:
  virtual ~Settler() = default;
  virtual void settle(broker::Settlement settlement) = 0;
  // STARTED and custom states of a message that is still reserved.
  virtual void store_state(Token token, broker::StoreResult result) = 0;
};

// Broker and backend share an engine: everything is one fenced step.
class AtomicSettler final : public Settler {
 public:
  explicit AtomicSettler(broker::Consumer& consumer) noexcept : consumer_(consumer) {}
  void settle(broker::Settlement settlement) override { consumer_.settle(std::move(settlement)); }
  void store_state(Token token, broker::StoreResult result) override {
    consumer_.store_state(token, std::move(result));
  }

 private:
  broker::Consumer& consumer_;
};

// Two engines: the result, then the successors, then the fenced acknowledgement. At least once: a worker
// that dies in between runs the task again, and its successors are sent again.
class OrderedSettler final : public Settler {
 public:
  OrderedSettler(broker::Consumer& consumer, Outbox& outbox, broker::ConsumerEvents& events)
      : consumer_(consumer), outbox_(outbox), events_(events), alive_(std::make_shared<bool>(true)) {}
  void settle(broker::Settlement settlement) override;
  void store_state(Token token, broker::StoreResult result) override;

 private:
  broker::Consumer& consumer_;
  Outbox& outbox_;
  broker::ConsumerEvents& events_;
  std::unordered_map<Token, broker::Settlement> parts_;  // counted as their chords' last, still reserved
  // What comes back from the outbox after this settler's incarnation has ended is dropped.
  std::shared_ptr<bool> alive_;
};

}  // namespace lovage::worker
