// The rules of what becomes of a finished, failed or refused message: pure functions, no I/O.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "broker/settlement.hpp"
#include "execution/request.hpp"
#include "worker/facts.hpp"
#include "worker/job.hpp"
#include "worker/successors.hpp"

namespace lovage::worker {

// What a dead letter of a poisonous message tells people beside the death itself.
struct DeathContext {
  std::vector<std::string> last_log_lines;
};

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
  // Back to its queue unchanged, without having run.
  [[nodiscard]] static broker::Settlement give_back(const Job& job);
  // No worker knows the task yet: waits 1 s, doubling to 60 s, then dead letters.
  [[nodiscard]] broker::Settlement unknown_task(const Job& job, Timestamp now) const;
  // Its eta lies ahead.
  [[nodiscard]] broker::Settlement not_due(const Job& job, Timestamp now) const;
  // Its runs have killed their processes too often.
  [[nodiscard]] broker::Settlement poison(const Job& job, std::string detail, Timestamp now) const;

 private:
  [[nodiscard]] broker::Settlement outcome_of(const Job& job, const execution::Outcome& outcome, Timestamp now,
                                              const DeathContext& context) const;
  [[nodiscard]] broker::Settlement with_undeliverable(broker::Settlement settlement, Timestamp now) const;
  [[nodiscard]] broker::Settlement undelivered(const wire::TaskMessage& message, Timestamp now) const;
  [[nodiscard]] broker::Settlement succeeded(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement failed(const Job& job, const wire::ExceptionInfo& exception, std::string traceback,
                                          const std::vector<std::string>& children, Timestamp now) const;
  [[nodiscard]] Successors errback_messages(const Job& job) const;
  [[nodiscard]] broker::Settlement failed_task(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement timed_out(const Job& job, Timestamp now) const;
  [[nodiscard]] broker::Settlement retried(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement rejected(const Job& job, const execution::Outcome& outcome, Timestamp now) const;
  [[nodiscard]] broker::Settlement lost(const Job& job, const execution::Outcome& outcome, Timestamp now,
                                        const DeathContext& context) const;
  [[nodiscard]] broker::Settlement not_started(const Job& job, Timestamp now) const;
  [[nodiscard]] Result<wire::TaskMessage> next_try(const Job& job, const execution::RetryAsked& retry,
                                                   Timestamp now) const;

  const Facts& facts_;
};

}  // namespace lovage::worker
