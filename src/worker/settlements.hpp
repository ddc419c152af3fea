// The rules of what becomes of a finished, failed or refused message. No I/O, and no state but what was warned of, and
// the last chord's body.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/producer.hpp"
#include "base/clock.hpp"
#include "broker/settlement.hpp"
#include "execution/request.hpp"
#include "worker/abandoned.hpp"
#include "worker/continuation.hpp"
#include "worker/facts.hpp"
#include "worker/job.hpp"

namespace lovage::worker {

// What a dead letter of a poisonous message tells people beside the death itself.
struct DeathContext {
  std::vector<std::string> last_log_lines;
};

// What an errback is told.
struct Failed {
  Value request;  // "id" and more of the failed task, as its Context would say it
  const wire::ExceptionInfo& exception;
  std::string traceback;
};
Value request_value(const Job& job);

class SettlementRules {
 public:
  explicit SettlementRules(const Facts& facts) : facts_(facts) {}

  // A finished run. For a message that was acknowledged early (job.acknowledged) there is nothing left to
  // dispose of: its results and sends alone count, and a retry is sent as a new message.
  [[nodiscard]] broker::Settlement finished(const Job& job, const execution::Outcome& outcome, Timestamp now,
                                            const DeathContext& context = {}) const;

  // Not run: REVOKED with the reason ("expired", "revoked").
  [[nodiscard]] broker::Settlement revoked(const Job& job, std::string_view reason, Timestamp now) const;
  // Not run: out of the way, FAILURE for who waits, errbacks.
  [[nodiscard]] broker::Settlement dead(const Job& job, std::string reason, std::string detail,
                                        const wire::ExceptionInfo& exception, Timestamp now) const;
  // Bytes that are no task message: a dead letter, and FAILURE when at least the id is known.
  [[nodiscard]] broker::Settlement unreadable(Token token, const wire::BadMessage& bad, Timestamp now) const;
  // What follows it cannot be read.
  [[nodiscard]] broker::Settlement graph_lost(const Job& job, const std::string& why, Timestamp now) const;
  // Back to its queue unchanged, without having run.
  [[nodiscard]] static broker::Settlement give_back(const Job& job);
  // No worker knows the task yet: waits 1 s, doubling to 60 s, then dead letters.
  [[nodiscard]] broker::Settlement unknown_task(const Job& job, Timestamp now) const;
  // Its eta lies ahead.
  [[nodiscard]] broker::Settlement not_due(const Job& job, Timestamp now) const;
  // Its runs have killed their processes too often.
  [[nodiscard]] broker::Settlement poison(const Job& job, std::string detail, Timestamp now) const;

  // Continuations. `parts`: the chord's, as they are stored, in the order of the header.
  // `lost_body`: why its body cannot be sent, where that is known already.
  [[nodiscard]] broker::Settlement joined(Token token, const Join& join, const std::vector<std::string>& parts,
                                          Timestamp now, std::optional<std::string> lost_body = {}) const;
  [[nodiscard]] broker::Settlement fanned_out(Token token, FanOut fan_out, Timestamp now) const;
  // `found`: what the references led to; those that are left in `give_up` come next.
  [[nodiscard]] broker::Settlement given_up(Token token, GiveUp give_up, const Abandoned& found, Timestamp now) const;

 private:
  [[nodiscard]] broker::Settlement outcome_of(const Job& job, const execution::Outcome& outcome, Timestamp now,
                                              const DeathContext& context) const;
  [[nodiscard]] broker::Settlement with_undeliverable(broker::Settlement settlement, Timestamp now) const;
  [[nodiscard]] broker::Settlement undelivered(const wire::TaskMessage& message, Timestamp now) const;
  [[nodiscard]] broker::Settlement succeeded(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement failed(const Job& job, const wire::ExceptionInfo& exception, std::string traceback,
                                          const std::vector<std::string>& children, Timestamp now,
                                          bool is_buried = false) const;
  [[nodiscard]] broker::Settlement replaced(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  // Counts it with what the settlement uses of that graph already; no graph: nothing.
  static void use_graph(broker::Settlement& settlement, const std::string& graph_id, std::uint64_t added,
                        std::uint64_t ended);
  // The header tasks that the task has added to its chord.
  [[nodiscard]] Result<void> send_added(broker::Settlement& settlement, const Job& job, const Array& added) const;
  [[nodiscard]] broker::Settlement ignored(const Job& job, Timestamp now) const;
  // How a task has ended that others wait for: what is stored for those which will never run because of it.
  struct Ending {
    std::string_view state;
    const wire::ExceptionInfo& exception;
    std::string traceback;
    bool is_stored = true;
  };
  void settle_chord_and_chain(broker::Settlement& settlement, const Job& job, const Ending& ending,
                              Timestamp now) const;
  static void count_abandoned(broker::Settlement& settlement, const Abandoned& abandoned, const Ending& ending,
                              const app::Lineage& lineage);
  static void give_up_stored(broker::Settlement& settlement, const Abandoned& abandoned, const Ending& ending);
  void store_abandoned(broker::Settlement& settlement, const Abandoned& abandoned, std::string_view state,
                       const wire::ExceptionInfo& exception, const std::string& traceback, Timestamp now) const;
  void settle_abandoned(broker::Settlement& settlement, const Abandoned& abandoned, const Ending& ending,
                        const app::Lineage& lineage, Timestamp now) const;
  void count_part(broker::Settlement& settlement, const Job& job, std::string_view state,
                  std::string_view result_json) const;
  [[nodiscard]] const std::string& body_json(const Job& job) const;
  void send_errbacks(broker::Settlement& settlement, const Array& errbacks, const app::Lineage& lineage,
                     const Failed& failed) const;
  [[nodiscard]] broker::Settlement chord_failed(broker::Settlement settlement, const Join& join,
                                                const std::string& trouble, Timestamp now) const;
  // The next of its messages, or all; the rest as a continuation. Returns the result tuples of all of them.
  [[nodiscard]] Result<Array> send_following(broker::Settlement& settlement, FanOut following) const;
  [[nodiscard]] broker::Settlement failed_task(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement timed_out(const Job& job, Timestamp now) const;
  [[nodiscard]] broker::Settlement retried(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement rejected(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement lost(const Job& job, const execution::Outcome& outcome, Timestamp now,
                                        const DeathContext& context) const;
  [[nodiscard]] broker::Settlement not_started(const Job& job, Timestamp now) const;
  [[nodiscard]] Result<wire::TaskMessage> next_try(const Job& job, const execution::RetryAsked& retry,
                                                   Timestamp now) const;

  // Whether an errback of that name is to be warned of: once each.
  [[nodiscard]] bool is_news(const std::string& errback) const;

  const Facts& facts_;
  // Of the one thread that settles.
  mutable std::set<std::string> warned_of_;  // names come from the wire, so only so many are kept
  mutable std::shared_ptr<const wire::Embed> last_embed_;
  mutable std::string last_body_;  // its chord's, as JSON
};

}  // namespace lovage::worker
