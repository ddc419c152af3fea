// The life of a message in this worker: from its reservation over the pool to its settlement.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/unique_function.hpp"
#include "broker/consumer.hpp"
#include "execution/pool.hpp"
#include "worker/abandoned.hpp"
#include "worker/arrival.hpp"
#include "worker/continuation.hpp"
#include "worker/credit.hpp"
#include "worker/facts.hpp"
#include "worker/graph_reader.hpp"
#include "worker/job.hpp"
#include "worker/outbox.hpp"
#include "worker/settlements.hpp"
#include "worker/settler.hpp"

namespace lovage::worker {

// What the dispatcher cannot decide alone. Called on the loop thread.
class DispatcherOwner {
 public:
  virtual ~DispatcherOwner() = default;
  virtual void on_connected() = 0;
  virtual void on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) = 0;
  // The incarnation is lost: attach() a new consumer (not from inside this call).
  virtual void on_incarnation_lost() = 0;
  virtual void on_pool_broken(const Failure& why) = 0;
  virtual void on_soft_idle() = 0;  // draining, and nothing runs any more (its settlements may be under way)
  virtual void on_idle() = 0;       // draining, and nothing is held any more
};

// Loop thread only.
class Dispatcher final : public broker::ConsumerEvents, public execution::PoolEvents {
 public:
  struct Parts {
    const Facts& facts;
    const Clock& clock;
    execution::Pool& pool;
    Outbox& outbox;
    CreditLimits limits;
    std::function<bool(const std::string& id)> is_revoked;  // may be empty
  };
  Dispatcher(Parts parts, DispatcherOwner& owner);

  // Works for this consumer from now on. What an earlier one held is forgotten: it belongs to others.
  void attach(broker::Consumer& consumer, Settler& settler);
  void detach();
  // Asks for messages (the first time: the pool is ready).
  void begin();
  // Takes no more, gives back at once what has not started; on_idle() follows.
  void drain();
  // Kills what runs; it goes back to its queues.
  void kill();
  // Settlements that the broker refused (a write failed: out of memory, a key of another type) have left their
  // messages reserved. Called from time to time: sends those back to their queues, each with a strike, so that
  // one that can never be settled ends as a dead letter.
  void return_refused();

  [[nodiscard]] Load load() const;
  [[nodiscard]] std::size_t running() const noexcept { return in_pool_ - not_started_; }
  [[nodiscard]] bool idle() const noexcept { return in_pool_ == 0 && preparing_ == 0 && unsettled_.empty(); }

  void on_deliveries(std::vector<broker::Delivery> deliveries) override;
  void on_settled(Token token, broker::SettleStatus status) override;
  void on_start_recorded(Token token, broker::SettleStatus status) override;
  void on_connected() override;
  void on_disconnected(const Failure& why, std::chrono::milliseconds retry_in) override;
  void on_lost() override;

  void on_started(execution::JobId job, int pid) override;
  void on_state(execution::JobId job, std::string state, std::string meta_json) override;
  void on_outcomes(std::vector<execution::Outcome> outcomes) override;
  void on_soft_time_limit(execution::JobId job) override;
  void on_broken(const Failure& why) override;

 private:
  struct Held {
    Job job;
    bool in_pool = false;
    bool forgotten = false;  // its incarnation was lost: the outcome is for nobody
  };
  using Jobs = std::unordered_map<execution::JobId, Held>;

  [[nodiscard]] execution::JobId job_id(Token token) const noexcept;
  void run(Accepted arrival);
  void prepare(execution::JobId number, Held& held);
  void on_node(execution::JobId number, Result<Value> node);
  void start(Held& held);
  void submit(Held& held);
  void finish(const Job& job, const execution::Outcome& outcome);
  void settle(broker::Settlement settlement, const std::string& id, int strikes = 0);
  void settle_early_acknowledged(broker::Settlement settlement, execution::JobId job, const std::string& id);
  // What is left under the token when the settlement carries on; empty: nothing.
  [[nodiscard]] static std::string next_of(const broker::Settlement& settlement);
  void carry_on(execution::JobId number, Token token, const std::string& text);
  void carry_on_unreserved(const std::string& text, execution::JobId job, const std::string& id);
  void follow(Continuation continuation, UniqueFunction<void(broker::Settlement)> then);
  void tell(GiveUp give_up, Abandoned found, UniqueFunction<void(broker::Settlement)> then);
  void acknowledge_early(Job& job);
  void store_state(const Job& job, const std::string& state, Value meta);
  void mark_started(Held& held);
  void update_credit();
  void tell_if_idle();

  const Facts& facts_;
  const SettlementRules rules_;
  EmbedReader embeds_;
  const Clock& clock_;
  execution::Pool& pool_;
  Outbox& outbox_;
  const CreditLimits limits_;
  const std::function<bool(const std::string&)> is_revoked_;
  GraphReader graphs_;
  DispatcherOwner& owner_;
  broker::Consumer* consumer_ = nullptr;
  Settler* settler_ = nullptr;

  std::uint64_t generation_ = 0;  // of the consumer: tokens of an earlier one mean other messages
  Jobs jobs_;                     // being prepared, or in the pool
  // Until the broker confirms: what is being settled, by job.
  struct Unsettled {
    std::string id;  // the task's
    int strikes = 0;
    std::string next;          // the continuation that it leaves when it carries on
    std::string continuation;  // the one that is settled; empty: a message
  };
  std::unordered_map<execution::JobId, Unsettled> unsettled_;
  std::vector<std::pair<Token, Unsettled>> refused_;
  std::size_t in_pool_ = 0;
  std::size_t not_started_ = 0;
  std::size_t preparing_ = 0;
  std::size_t bytes_waiting_ = 0;
  bool asking_ = false;
  bool draining_ = false;
  bool lost_ = false;  // the consumer's incarnation; until another one is attached
  bool credit_given_ = false;
};

}  // namespace lovage::worker
