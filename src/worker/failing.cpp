// SettlementRules: whom a task's end concerns beside those who wait for its own result.
#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>
#include <lovage/states.hpp>

#include "base/logging.hpp"
#include "base/printable.hpp"
#include "wire/result_meta.hpp"
#include "wire/signature.hpp"
#include "worker/exceptions.hpp"
#include "worker/metas.hpp"
#include "worker/settlements.hpp"
#include "worker/successors.hpp"

namespace lovage::worker {
namespace {

using broker::Settlement;

// Celery's chord parts: what Python workers write and read.
std::string part_text(const std::string& task_id, std::string_view state, std::string_view result_json) {
  return fmt::format(R"([1, {}, "{}", {}])", to_json(Value(task_id)), state, result_json);
}

// As the value of a result; arguments that cannot be written are replaced by their repr, as in a stored one.
std::string json_of(const wire::ExceptionInfo& exception) {
  try {
    return to_json(wire::to_value(exception));
  } catch (const EncodeError&) {
    wire::ExceptionInfo plain{.type = exception.type, .module = exception.module, .arguments = {}};
    for (const auto& argument : exception.arguments) plain.arguments.emplace_back(wire::safe_repr(argument));
    return to_json(wire::to_value(plain));
  }
}

// An errback that is registered here and still misses three arguments is told (request, exc, traceback), as Celery's
// are that are called in the worker.
bool wants_details(const app::TaskDefinition* task, const wire::SignatureData& errback) {
  return task != nullptr && task->parameters.size() == 3 + errback.args.size() + errback.kwargs.size();
}

Value with_details(wire::SignatureData errback, const Failed& failed) {
  if (!errback.immutable) {
    const Array details{failed.request, wire::to_value(failed.exception), Value(failed.traceback)};
    errback.args.insert(errback.args.begin(), details.begin(), details.end());
    errback.immutable = true;
  }
  return wire::to_value(errback);
}

}  // namespace

Value request_value(const Job& job) {
  const wire::TaskMessage& message = job.message;
  const auto text = [](const std::optional<std::string>& value) { return value ? Value(*value) : Value(); };
  Object request{{"id", Value(message.id)},
                 {"task", Value(message.task)},
                 {"root_id", Value(job.root_id())},
                 {"parent_id", text(message.parent_id)},
                 {"group", text(message.group_id)},
                 {"group_index", message.group_index ? Value(*message.group_index) : Value()},
                 {"retries", Value(message.retries)},
                 {"argsrepr", Value(message.argsrepr)},
                 {"kwargsrepr", Value(message.kwargsrepr)},
                 {"origin", Value(message.origin)},
                 {"reply_to", Value(message.reply_to)}};
  return request;
}

bool SettlementRules::is_news(const std::string& errback) const {
  constexpr std::size_t kMost = 1'000;
  return warned_of_.size() < kMost && warned_of_.insert(errback).second;
}

// An errback that cannot be sent costs itself alone: the failure is stored and the others are sent all the same.
void SettlementRules::send_errbacks(Settlement& settlement, const Array& errbacks, const app::Lineage& lineage,
                                    const Failed& failed) const {
  const Value* const id = failed.request.find("id");
  const std::string failed_id = id != nullptr && id->if_string() != nullptr ? *id->if_string() : "";
  const auto warn = [&](const std::string& why) {
    log::warning(fmt::format("Task [{}]: an errback is not sent: {}", printable(failed_id), why), {{"id", failed_id}});
  };
  Array sendable;
  for (const auto& errback : errbacks) {
    auto signature = wire::signature_from_value(errback);
    if (!signature) {
      warn(signature.error().message);
      continue;
    }
    const app::TaskDefinition* const task = facts_.registry().find(signature->task);
    const bool is_told_its_id = !signature->immutable && !signature->subtask_type;
    if (task == nullptr && is_told_its_id && is_news(signature->task))
      log::warning(fmt::format("The errback '{}' is not registered here, so it is sent the failed task's id alone: one "
                               "that takes (request, exc, traceback) cannot run. This is said once.",
                               printable(signature->task)),
                   {{"name", signature->task}});
    const bool details = wants_details(task, *signature);
    sendable.push_back(details ? with_details(std::move(*signature), failed) : errback);
  }
  if (sendable.empty()) return;
  auto successors = after_failure(facts_, lineage, sendable, failed_id);
  if (!successors) return warn(successors.error().message);
  std::move(successors->messages.begin(), successors->messages.end(), std::back_inserter(settlement.sends));
  std::move(successors->queues.begin(), successors->queues.end(), std::back_inserter(settlement.declares));
  std::move(successors->chords.begin(), successors->chords.end(), std::back_inserter(settlement.chords));
}

// The message's own part, when it is a header task.
void SettlementRules::count_part(Settlement& settlement, const Job& job, std::string_view state,
                                 std::string_view result_json) const {
  const wire::TaskMessage& message = job.message;
  if (!job.embed || !job.embed->chord || !message.group_id) return;
  settlement.counts =
      broker::ChordCount{.group_id = *message.group_id,
                         .parts = {{message.group_index, message.id, part_text(message.id, state, result_json)}},
                         .added = 0,
                         .continuation = encode_join(*message.group_id, body_json(job), job.root_id(), message.id)};
}

// Of the chord that the job is part of. The header tasks of one chord share it, see EmbedReader.
const std::string& SettlementRules::body_json(const Job& job) const {
  if (last_embed_ != job.embed) {
    last_body_ = to_json(*job.embed->chord);
    last_embed_ = job.embed;
  }
  return last_body_;
}

Settlement SettlementRules::graph_lost(const Job& job, const std::string& why, Timestamp now) const {
  return dead(job, "graph-lost", why, bad_message_error("graph-lost", why), now);
}

// Whoever waits for one of them is told, and the chord that they are part of goes on without them.
void SettlementRules::settle_abandoned(Settlement& settlement, const Abandoned& abandoned, const Ending& ending,
                                       const app::Lineage& lineage, Timestamp now) const {
  const bool is_stored = facts_.stores_results && ending.is_stored;
  if (is_stored) store_abandoned(settlement, abandoned, ending.state, ending.exception, ending.traceback, now);
  if (!abandoned.parts.empty() && !settlement.counts) count_abandoned(settlement, abandoned, ending, lineage);
  if (is_stored && !abandoned.references.empty()) give_up_stored(settlement, abandoned, ending);
}

void SettlementRules::store_abandoned(Settlement& settlement, const Abandoned& abandoned, std::string_view state,
                                      const wire::ExceptionInfo& exception, const std::string& traceback,
                                      Timestamp now) const {
  for (const auto& task : abandoned.tasks) {
    wire::TaskMessage never;
    never.id = task.id;
    never.task = task.task;
    never.group_id = task.group_id;
    settlement.results.push_back(exception_meta(never, state, exception, traceback, {}, facts_, now));
  }
}

void SettlementRules::count_abandoned(Settlement& settlement, const Abandoned& abandoned, const Ending& ending,
                                      const app::Lineage& lineage) {
  broker::ChordCount counts{.group_id = abandoned.group_id, .parts = {}, .added = 0, .continuation = {}};
  const std::string result = json_of(ending.exception);
  for (const auto& part : abandoned.parts)
    counts.parts.push_back({part.index, part.task_id, part_text(part.task_id, ending.state, result)});
  counts.continuation =
      encode_continuation(Join{abandoned.group_id, abandoned.body, lineage.root_id, abandoned.parts.back().task_id});
  settlement.counts = std::move(counts);
}

// The ends of what is stored are told already. What lies before them is read and told in steps of its own.
void SettlementRules::give_up_stored(Settlement& settlement, const Abandoned& abandoned, const Ending& ending) {
  GiveUp give_up{.references = abandoned.references,
                 .state = std::string(ending.state),
                 .exception = wire::to_value(ending.exception),
                 .traceback = ending.traceback,
                 .counts = std::exchange(settlement.counts, std::nullopt)};
  if (settlement.graph && settlement.graph->ended > 0)
    give_up.graph_id = std::exchange(settlement.graph, std::nullopt)->graph_id;
  settlement.disposal = broker::Disposal::carry_on;
  settlement.continuation = encode_continuation(give_up);
}

Settlement SettlementRules::given_up(Token token, GiveUp give_up, const Abandoned& found, Timestamp now) const {
  Settlement settlement;
  settlement.token = token;
  store_abandoned(settlement, found, give_up.state, wire::exception_from_value(give_up.exception), give_up.traceback,
                  now);
  if (!give_up.references.empty()) {
    settlement.disposal = broker::Disposal::carry_on;
    settlement.continuation = encode_continuation(give_up);
    return settlement;
  }
  settlement.counts = std::move(give_up.counts);
  use_graph(settlement, give_up.graph_id, 0, 1);
  return settlement;
}

// The later steps of the chain will never run.
void SettlementRules::settle_chord_and_chain(Settlement& settlement, const Job& job, const Ending& ending,
                                             Timestamp now) const {
  if (!job.embed) return;
  count_part(settlement, job, ending.state, json_of(ending.exception));
  if (!job.embed->chain) return;
  Abandoned abandoned;
  const Array& steps = *job.embed->chain;
  std::for_each(steps.rbegin(), steps.rend(), [&](const Value& step) { abandon(step, abandoned); });
  settle_abandoned(settlement, abandoned, ending, {job.root_id(), job.id()}, now);
}

}  // namespace lovage::worker
