#include "worker/settlements.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "app/producer.hpp"
#include "base/logging.hpp"
#include "wire/signature.hpp"
#include "worker/abandoned.hpp"
#include "worker/continuation.hpp"
#include "worker/exceptions.hpp"
#include "worker/metas.hpp"
#include "worker/successors.hpp"

namespace lovage::worker {
namespace {

using broker::Disposal;
using broker::Settlement;
using execution::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongestBackoff{60};
// A task may ask for any time: the wire's ends with the year 9999.
constexpr Timestamp kLastTime = std::chrono::sys_days(std::chrono::year(9999) / 12 / 31);
constexpr milliseconds kLongestCountdown = std::chrono::years(1'000);

Settlement settlement_of(const Job& job, Disposal disposal = Disposal::acknowledge) {
  Settlement settlement;
  settlement.token = job.token;
  settlement.disposal = disposal;
  return settlement;
}

void bury(Settlement& settlement, const wire::TaskMessage& message, std::string reason, std::string detail) {
  settlement.dead_letter = {
      .task_id = message.id, .task = message.task, .reason = std::move(reason), .detail = std::move(detail)};
  if (settlement.disposal == Disposal::carry_on)  // the continuation has its place
    settlement.buried.push_back({message, settlement.dead_letter});
  else
    settlement.disposal = Disposal::dead_letter;
}

Array child_tuples(const std::vector<std::string>& ids) {
  Array children;
  children.reserve(ids.size());
  for (const auto& id : ids) children.emplace_back(Array{Value(Array{Value(id), Value()}), Value()});
  return children;
}

// The message as it goes back after something of it ran.
wire::SharedMessage redelivered(wire::TaskMessage message) {
  message.redelivered = true;
  return message;
}

milliseconds strike_backoff(int strikes) {
  return std::min<milliseconds>(kLongestBackoff, seconds(1LL << std::clamp(strikes - 1, 0, 6)));
}

std::string death_detail(const execution::ChildDeath& death, const DeathContext& context) {
  std::string detail = fmt::format("{}, pid {}, max RSS {} KiB", death.describe(), death.pid, death.max_rss_kib);
  for (const auto& line : context.last_log_lines) detail += "\n" + line;
  return detail;
}

// The anonymous exchange leads to every queue, and a queue's declaration binds it.
bool has_sure_way(const wire::TaskMessage& message, const std::vector<wire::QueueDeclaration>& declares) {
  if (message.exchange.empty()) return true;
  return std::ranges::any_of(declares, [&](const wire::QueueDeclaration& queue) {
    const std::string& exchange = queue.exchange.empty() ? queue.name : queue.exchange;
    const std::string& key = queue.routing_key.empty() ? queue.name : queue.routing_key;
    if (exchange != message.exchange || queue.exchange_type == wire::ExchangeType::topic) return false;
    return queue.exchange_type == wire::ExchangeType::fanout || key == message.routing_key;
  });
}

wire::BodyFormat own_format(const wire::TaskMessage& message, const Facts& facts) {
  auto format = wire::format_of(message, facts.json_types);
  app::set_size_rules(format, facts.config());
  return format;
}

}  // namespace

Settlement SettlementRules::finished(const Job& job, const Outcome& outcome, Timestamp now,
                                     const DeathContext& context) const {
  return with_undeliverable(outcome_of(job, outcome, now, context), now);
}

Settlement SettlementRules::outcome_of(const Job& job, const Outcome& outcome, Timestamp now,
                                       const DeathContext& context) const {
  switch (outcome.kind) {
    case Outcome::Kind::success:
      return succeeded(job, outcome, now);
    case Outcome::Kind::failure:
      return failed_task(job, outcome, now);
    case Outcome::Kind::retry:
      return retried(job, outcome, now);
    case Outcome::Kind::replaced:
      return replaced(job, outcome, now);
    case Outcome::Kind::ignored:
      return ignored(job, now);
    case Outcome::Kind::rejected:
      return rejected(job, outcome, now);
    case Outcome::Kind::timed_out:
      return timed_out(job, now);
    case Outcome::Kind::revoked:
      return revoked(job, outcome.reason.empty() ? "terminated" : outcome.reason, now);
    case Outcome::Kind::lost:
      return lost(job, outcome, now, context);
    case Outcome::Kind::malformed:
      return dead(job, outcome.reason, outcome.detail, bad_message_error(outcome.reason, outcome.detail), now);
    case Outcome::Kind::not_started:
      return not_started(job, now);
  }
  return not_started(job, now);
}

Settlement SettlementRules::succeeded(const Job& job, const Outcome& outcome, Timestamp now) const {
  Settlement settlement = settlement_of(job);
  Array children = child_tuples(outcome.children);
  count_part(settlement, job, states::success, outcome.result_json);
  if (const auto added = send_added(settlement, job, outcome.added_to_chord); !added)
    return failed(job, encode_error(added.error().message), {}, outcome.children, now);
  if (job.embed && (job.embed->callbacks || job.embed->chain)) {
    auto result = wire::decode_value(outcome.result_json, wire::Serializer::json);
    if (!result) return failed(job, encode_error(result.error().message), {}, outcome.children, now);
    FanOut following{
        .embed = {.callbacks = job.embed->callbacks, .errbacks = {}, .chain = job.embed->chain, .chord = {}},
        .result = std::move(*result),
        .root_id = job.root_id(),
        .parent_id = job.id(),
        .graph_id = job.graph_id()};
    auto launched = send_following(settlement, std::move(following));
    if (!launched) return failed(job, encode_error(launched.error().message), {}, outcome.children, now);
    std::move(launched->begin(), launched->end(), std::back_inserter(children));
  } else {
    use_graph(settlement, job.graph_id(), 0, 1);
  }
  if (job.rules.stores_result) {
    auto stored = success_meta(job.message, outcome, children, facts_, now);
    if (!stored) return failed(job, encode_error(stored.error().message), {}, outcome.children, now);
    settlement.results.push_back(std::move(*stored));
  }
  return settlement;
}

Settlement SettlementRules::failed(const Job& job, const wire::ExceptionInfo& exception, std::string traceback,
                                   const std::vector<std::string>& children, Timestamp now, bool is_buried) const {
  Settlement settlement = settlement_of(job);
  // A dead letter may be retried: it holds its graph on.
  if (!is_buried) use_graph(settlement, job.graph_id(), 0, 1);
  if (job.rules.stores_errors)
    settlement.results.push_back(
        exception_meta(job.message, states::failure, exception, traceback, child_tuples(children), facts_, now));
  settle_chord_and_chain(settlement, job, {.state = states::failure, .exception = exception, .traceback = traceback},
                         now);
  if (job.embed && job.embed->errbacks)
    send_errbacks(settlement, *job.embed->errbacks, {job.root_id(), job.id()},
                  {.request = request_value(job), .exception = exception, .traceback = std::move(traceback)});
  return settlement;
}

// Nothing is stored, but a chord does not wait for ever: it is told that the part has no result.
Settlement SettlementRules::ignored(const Job& job, Timestamp now) const {
  Settlement settlement = settlement_of(job);
  use_graph(settlement, job.graph_id(), 0, 1);
  settle_chord_and_chain(settlement, job,
                         {.state = states::failure, .exception = ignored_error(), .traceback = {}, .is_stored = false},
                         now);
  return settlement;
}

Settlement SettlementRules::failed_task(const Job& job, const Outcome& outcome, Timestamp now) const {
  const bool is_buried = job.rules.acks_late && !job.rules.acks_on_failure_or_timeout;
  Settlement settlement = failed(job, outcome.exception, outcome.traceback, outcome.children, now, is_buried);
  if (is_buried) bury(settlement, job.message, "failure", outcome.exception.repr());
  return settlement;
}

Settlement SettlementRules::timed_out(const Job& job, Timestamp now) const {
  if (job.rules.acks_late && !job.rules.acks_on_failure_or_timeout) {
    Settlement settlement = settlement_of(job, Disposal::return_tail);
    settlement.replacement = redelivered(job.message);
    settlement.marks = job.marks;
    return settlement;
  }
  return failed(job, time_limit_exceeded(job.rules.time_limit.value_or(milliseconds(0))), {}, {}, now);
}

Settlement SettlementRules::retried(const Job& job, const Outcome& outcome, Timestamp now) const {
  auto next = next_try(job, outcome.retry, now);
  if (!next) return failed(job, encode_error(next.error().message), {}, outcome.children, now);
  Settlement settlement = settlement_of(job);
  const bool elsewhere = outcome.retry.queue || outcome.retry.priority;
  if (job.acknowledged || elsewhere) {
    settlement.sends.push_back(std::move(*next));
  } else {
    settlement.marks = broker::Marks{};
    settlement.disposal = next->eta ? Disposal::schedule : Disposal::return_tail;
    if (next->eta) settlement.due.delay = std::chrono::ceil<milliseconds>(next->eta->at - now);
    settlement.replacement = std::move(*next);
  }
  if (job.rules.stores_errors) {
    std::vector<std::string> children = outcome.children;
    children.push_back(job.id());
    settlement.results.push_back(exception_meta(job.message, states::retry, outcome.exception, outcome.traceback,
                                                child_tuples(children), facts_, now));
  }
  return settlement;
}

Result<wire::TaskMessage> SettlementRules::next_try(const Job& job, const execution::RetryAsked& retry,
                                                    Timestamp now) const {
  wire::TaskMessage next = job.message;
  if (next.retries < std::numeric_limits<std::int64_t>::max()) ++next.retries;
  next.redelivered = false;
  next.eta.reset();
  if (retry.eta && *retry.eta > now) next.eta = wire::to_wire_time(std::min(*retry.eta, kLastTime));
  if (!retry.eta && retry.countdown.count() > 0)
    next.eta = wire::to_wire_time(now + std::min(retry.countdown, kLongestCountdown));
  if (next.root_id.empty()) next.root_id = job.id();
  if (!next.parent_id) next.parent_id = job.id();
  if (retry.timelimit) next.timelimit = *retry.timelimit;
  if (retry.priority) next.priority = *retry.priority;
  if (retry.queue) {
    next.exchange.clear();
    next.routing_key = *retry.queue;
  }
  if (!retry.args && !retry.kwargs) return next;
  const wire::DecodeLimits limits{.max_bytes = facts_.config().task_message_max_bytes};
  auto body = wire::decode_body(job.message, facts_.accept_content, limits);
  if (!body) return fail(Errc::bad_data, body.error().detail);
  if (retry.args) body->args = *retry.args;
  if (retry.kwargs) body->kwargs = *retry.kwargs;
  next.argsrepr = wire::args_repr(body->args);
  next.kwargsrepr = wire::kwargs_repr(body->kwargs);
  next.protocol1 = false;
  if (auto encoded = wire::encode_body(next, *body, own_format(job.message, facts_)); !encoded)
    return tl::unexpected(encoded.error());
  return next;
}

Settlement SettlementRules::rejected(const Job& job, const Outcome& outcome, Timestamp now) const {
  if (job.acknowledged) return settlement_of(job);  // too late to refuse it
  if (!outcome.requeue) return dead(job, "rejected", outcome.reason, reject_error(outcome.reason), now);
  Settlement settlement = settlement_of(job, Disposal::return_tail);
  settlement.replacement = redelivered(job.message);
  settlement.marks = broker::Marks{};
  return settlement;
}

Settlement SettlementRules::lost(const Job& job, const Outcome& outcome, Timestamp now,
                                 const DeathContext& context) const {
  const std::string text = outcome.death.describe();
  if (job.acknowledged || !job.rules.reject_on_worker_lost)
    return failed(job, worker_lost_error(text), {}, outcome.children, now);
  const int strikes = job.marks.strikes + 1;
  if (strikes >= facts_.config().task_max_strikes)
    return dead(job, "poison", death_detail(outcome.death, context), worker_lost_error(text), now);
  Settlement settlement = settlement_of(job, Disposal::schedule);
  settlement.replacement = redelivered(job.message);
  settlement.marks = broker::Marks{.suspect = true, .strikes = strikes, .waited_unknown = {}};
  settlement.due.delay = strike_backoff(strikes);
  return settlement;
}

Settlement SettlementRules::not_started(const Job& job, Timestamp now) const {
  // An early acknowledgement cannot be taken back: the run that was cut off is lost, and said to be.
  if (job.acknowledged)
    return failed(job, worker_lost_error("The worker was shut down while it ran the task."), {}, {}, now);
  return give_back(job);
}

Settlement SettlementRules::give_back(const Job& job) {
  Settlement settlement = settlement_of(job, Disposal::return_head);
  if (job.started) settlement.replacement = redelivered(job.message);
  settlement.marks = job.marks;
  return settlement;
}

Settlement SettlementRules::revoked(const Job& job, std::string_view reason, Timestamp now) const {
  Settlement settlement = settlement_of(job);
  use_graph(settlement, job.graph_id(), 0, 1);
  const wire::ExceptionInfo exception = revoked_error(reason);
  if (job.rules.stores_errors)
    settlement.results.push_back(exception_meta(job.message, states::revoked, exception, {}, {}, facts_, now));
  settle_chord_and_chain(settlement, job, {.state = states::revoked, .exception = exception, .traceback = {}}, now);
  return settlement;
}

Settlement SettlementRules::dead(const Job& job, std::string reason, std::string detail,
                                 const wire::ExceptionInfo& exception, Timestamp now) const {
  Settlement settlement = failed(job, exception, {}, {}, now, true);
  bury(settlement, job.message, std::move(reason), std::move(detail));
  return with_undeliverable(std::move(settlement), now);
}

// Only the broker knows whether an exchange has a binding for a message. Settling asks nobody, so what follows where it
// has none is said in advance.
Settlement SettlementRules::with_undeliverable(Settlement settlement, Timestamp now) const {
  if (!settlement.undeliverable.empty()) return settlement;
  for (std::size_t i = 0; i < settlement.sends.size(); ++i) {
    const wire::TaskMessage& message = settlement.sends[i];
    if (!has_sure_way(message, settlement.declares)) settlement.undeliverable.push_back({i, undelivered(message, now)});
  }
  return settlement;
}

Settlement SettlementRules::undelivered(const wire::TaskMessage& message, Timestamp now) const {
  Job job;
  job.message = message;
  job.rules = rules_for(message, facts_.registry().find(message.task), facts_);
  const wire::DecodeLimits limits{.max_bytes = facts_.config().task_message_max_bytes};
  if (auto body = wire::decode_body(message, facts_.accept_content, limits))
    job.embed = std::make_shared<const wire::Embed>(std::move(body->embed));
  std::string why =
      fmt::format("no queue is bound to exchange '{}' for routing key '{}'", message.exchange, message.routing_key);
  return dead(job, "unroutable", why, unroutable_error(why), now);
}

Settlement SettlementRules::unreadable(Token token, const wire::BadMessage& bad, Timestamp now) const {
  wire::TaskMessage message;
  message.id = bad.id;
  message.task = bad.task;
  Settlement settlement;
  settlement.token = token;
  bury(settlement, message, bad.reason, bad.detail);
  if (facts_.stores_results && !bad.id.empty())
    settlement.results.push_back(
        exception_meta(message, states::failure, bad_message_error(bad.reason, bad.detail), {}, {}, facts_, now));
  return settlement;
}

Settlement SettlementRules::unknown_task(const Job& job, Timestamp now) const {
  const milliseconds waited = job.marks.waited_unknown;
  if (waited >= facts_.config().unknown_task_ttl)
    return dead(job, "not-registered",
                fmt::format("no worker knew the task within {} s", facts_.config().unknown_task_ttl.count()),
                not_registered(job.message->task), now);
  Settlement settlement = settlement_of(job, Disposal::schedule);
  // What it has waited so far plus a second: 1, 2, 4 ... as the waits add up.
  const milliseconds left = facts_.config().unknown_task_ttl - waited;
  const milliseconds delay = std::min({waited + seconds(1), milliseconds(kLongestBackoff), left});
  settlement.due.delay = delay;
  settlement.unknown_task = job.message->task;
  settlement.marks = job.marks;
  settlement.marks->waited_unknown = waited + delay;
  return settlement;
}

Settlement SettlementRules::not_due(const Job& job, Timestamp now) const {
  Settlement settlement = settlement_of(job, Disposal::schedule);
  // As a delay by the broker's clock: a worker whose clock is behind would else get it back at once, again
  // and again.
  settlement.due.delay = std::max(std::chrono::ceil<milliseconds>(job.message->eta->at - now), milliseconds(1));
  settlement.marks = job.marks;
  return settlement;
}

Settlement SettlementRules::poison(const Job& job, std::string detail, Timestamp now) const {
  return dead(job, "poison", std::move(detail),
              worker_lost_error(fmt::format("{} runs of the task were never settled.", job.marks.strikes)), now);
}

}  // namespace lovage::worker
