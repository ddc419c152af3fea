// The worker's side of a broker: one incarnation that reserves messages and settles them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/strong.hpp"
#include "base/unique_function.hpp"
#include "broker/settlement.hpp"
#include "wire/queues.hpp"
#include "wire/shared_message.hpp"

namespace lovage::broker {

// A message that this incarnation has reserved. It stays in the broker until it is settled.
struct Delivery {
  Token token{};
  std::string queue;
  int step = 0;                                 // the priority list that it came from
  std::string bytes;                            // the envelope, exactly as stored; empty when there is a
  wire::SharedMessage message{};                // message, from a store that holds them decoded
  bool suspect = false;                         // its last worker died holding it: run alone, after record_start()
  int strikes = 0;                              // recorded starts that were never settled
  std::chrono::milliseconds waited_unknown{0};  // how long it has waited for a worker that knows its task
  bool is_continuation = false;                 // `bytes` are a Settlement's continuation, whose worker has died

  // In bytes; of a decoded message, about.
  [[nodiscard]] std::size_t size() const noexcept { return message ? wire::envelope_size(message) : bytes.size(); }
};

struct ConsumerOptions {
  std::vector<wire::QueueDeclaration> queues;
  std::string node_name;                    // "celery@host"
  std::chrono::milliseconds lease{15'000};  // renewed every third of it
  IncarnationId predecessor{};              // of the same worker, lost before; empty: none
};

// Called on the loop thread, never from inside a call to the consumer.
class ConsumerEvents {
 public:
  virtual ~ConsumerEvents() = default;
  virtual void on_deliveries(std::vector<Delivery> deliveries) = 0;
  virtual void on_settled(Token token, SettleStatus status) = 0;
  // The answer to record_start: the suspect may run now, or it is no longer ours.
  virtual void on_start_recorded(Token token, SettleStatus status) = 0;
  virtual void on_connected() = 0;
  virtual void on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) = 0;
  // The incarnation was declared dead: its messages belong to others now. The worker stops what
  // runs and starts a new consumer.
  virtual void on_lost() = 0;
};

// Loop thread only. Reconnects by itself, with back-off, for ever; messages stay reserved meanwhile
// and settlements wait (bounded by what is reserved).
class Consumer {
 public:
  virtual ~Consumer() = default;

  [[nodiscard]] virtual const IncarnationId& incarnation() const noexcept = 0;

  // Registers the incarnation and begins. Credit is 0 at first.
  virtual void start(ConsumerEvents& events) = 0;

  // How many more messages, and bytes, the worker would take now, beyond those it holds. Replaces the
  // last credit. At least one message comes, whatever its size, when messages > 0.
  virtual void set_credit(std::size_t messages, std::size_t bytes) = 0;

  // Carries the settlement out; on_settled follows. What one loop turn settles travels together.
  virtual void settle(Settlement settlement) = 0;

  // STARTED and custom states, through the same fence; never replaces a ready state. No answer.
  virtual void store_state(Token token, StoreResult result) = 0;

  // A suspect's start, written before it runs: a start that is never settled is a strike.
  virtual void record_start(Token token) = 0;

  // Stops reserving: disarms every wait and gives inboxes back; `done` follows. Settling goes on.
  virtual void stop_reserving(UniqueFunction<void()> done) = 0;

  // After stop_reserving, when nothing is held any more (or to give up what is): returns everything
  // that is still reserved to the heads of the queues and unregisters, in one step.
  virtual void close(UniqueFunction<void()> done) = 0;

  virtual void add_queue(wire::QueueDeclaration queue) = 0;
  virtual void cancel_queue(const std::string& queue) = 0;

  // The time by the store's own clock, which etas are due by. Nothing: it is this machine's, or not known yet.
  [[nodiscard]] virtual std::optional<Timestamp> now() const { return std::nullopt; }
};

// The lease of one incarnation, and its turn at sweeping the dead. Used by the lease thread alone, on
// a connection of its own, so that a busy loop never costs a worker its lease.
class Lease {
 public:
  virtual ~Lease() = default;
  enum class Renewal { renewed, lost };
  virtual Result<Renewal> renew(Deadline deadline) = 0;

  struct Swept {
    std::string node_name;
    std::size_t messages = 0;
  };
  // Observes the other incarnations and gives back what the dead ones held. Does nothing when another
  // process is the sweeper. Called once a tick, a third of the lease apart.
  virtual Result<std::vector<Swept>> sweep(Deadline deadline) = 0;
};

}  // namespace lovage::broker
