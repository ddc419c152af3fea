// SettlementRules: tasks that go on in another task's place, or beside it in its chord. Celery: replace, add_to_chord.
#include <iterator>
#include <utility>

#include "app/callbacks.hpp"
#include "app/canvas_lists.hpp"
#include "app/canvas_shape.hpp"
#include "app/launcher.hpp"
#include "app/stamping.hpp"
#include "wire/canvas.hpp"
#include "worker/exceptions.hpp"
#include "worker/settlements.hpp"

namespace lovage::worker {
namespace {

using broker::Settlement;
using wire::canvas_options;
using wire::CanvasKind;

// The task whose result is the signature's. `depth` bounds what a task may nest.
Value* last_of(Value& signature, int depth = 0) {
  if (signature.if_object() == nullptr || depth > 50) return nullptr;
  switch (wire::canvas_kind(signature)) {
    case CanvasKind::chain: {
      Array* const steps = wire::canvas_tasks(signature);
      return steps != nullptr && !steps->empty() ? last_of(steps->back(), depth + 1) : nullptr;
    }
    case CanvasKind::chord: {
      Value* const body = wire::chord_body(signature);
      return body != nullptr ? last_of(*body, depth + 1) : nullptr;
    }
    case CanvasKind::group:
    case CanvasKind::chunks:
    case CanvasKind::reference:
      return nullptr;
    case CanvasKind::task:
      return &signature;
  }
  return nullptr;
}

// A group has no result of its own: a chord whose body hands the list on has.
Value with_one_result(Value signature, const wire::TaskMessage& message) {
  const CanvasKind kind = wire::canvas_kind(signature);
  if (kind != CanvasKind::group && kind != CanvasKind::chunks) return signature;
  // Where the task ran somebody knows it.
  Object options;
  if (message.exchange.empty()) {
    options["queue"] = Value(message.routing_key);
  } else {
    options["exchange"] = Value(message.exchange);
    options["routing_key"] = Value(message.routing_key);
  }
  Array header;
  header.push_back(std::move(signature));
  return wire::make_chord(std::move(header), app::list_of_results(std::move(options)));
}

void append(Object& options, std::string_view name, const std::optional<Array>& links) {
  if (!links || links->empty()) return;
  Array all = wire::list_of(options.find(name)).value_or(Array{});
  all.insert(all.end(), links->begin(), links->end());
  options[name] = Value(std::move(all));
}

// The replacement in the place of the task: its id, callbacks, errbacks, chord and the steps that follow.
Result<Value> in_place_of(const app::Core& core, const Job& job, Value signature) {
  if (signature.if_object() == nullptr) return fail(Errc::bad_data, "replace(): not a signature");
  if (wire::canvas_kind(signature) == CanvasKind::group && app::has_callbacks(signature)) {
    if (auto ok = app::freeze(signature); !ok) return tl::unexpected(ok.error());
    if (auto ok = app::attach_callbacks(core, signature); !ok) return tl::unexpected(ok.error());
  }
  signature = with_one_result(std::move(signature), job.message);
  // What carries its id carries its stamps: who looks for them finds the replacement, too.
  if (auto stamped = app::stamp(signature, app::stampable(job.message->stamps)); !stamped)
    return tl::unexpected(stamped.error());
  Value* const last = last_of(signature);
  if (last == nullptr)
    return fail(Errc::bad_data, "replace(): an empty chain, or one that ends in a group, has no one result");
  const wire::TaskMessage& message = job.message;
  Object& options = canvas_options(*last);
  options["task_id"] = Value(message.id);
  options["replaced_task_nesting"] = Value(message.replaced_task_nesting + 1);
  if (message.group_id) options["group_id"] = Value(*message.group_id);
  if (message.group_index) options["group_index"] = Value(*message.group_index);
  if (message.ignore_result && options.find("ignore_result") == nullptr)
    options["ignore_result"] = Value(*message.ignore_result);
  if (!job.embed) return signature;
  if (job.embed->chord) options["chord"] = *job.embed->chord;
  append(options, "link", job.embed->callbacks);
  append(canvas_options(signature), "link_error", job.embed->errbacks);
  if (!job.embed->chain || job.embed->chain->empty()) return signature;
  Array steps;
  steps.push_back(std::move(signature));
  steps.insert(steps.end(), job.embed->chain->rbegin(), job.embed->chain->rend());
  return wire::make_chain(std::move(steps));
}

}  // namespace

Settlement SettlementRules::replaced(const Job& job, const execution::Outcome& outcome, Timestamp now) const {
  Settlement settlement;
  settlement.token = job.token;
  auto signature = in_place_of(facts_.core, job, outcome.replacement);
  if (!signature) return failed(job, encode_error(signature.error().message), {}, outcome.children, now);
  FanOut following{.embed = {.callbacks = Array{}, .errbacks = {}, .chain = {}, .chord = {}},
                   .result = {},
                   .root_id = job.root_id(),
                   .parent_id = job.id(),
                   .graph_id = job.graph_id()};
  following.embed.callbacks->push_back(std::move(*signature));
  const auto sent = send_following(settlement, std::move(following));
  if (!sent) return failed(job, encode_error(sent.error().message), {}, outcome.children, now);
  return settlement;
}

Result<void> SettlementRules::send_added(Settlement& settlement, const Job& job, const Array& added) const {
  if (added.empty()) return {};
  if (!settlement.counts) return fail(Errc::bad_data, "add_to_chord(): the task is no part of a chord");
  app::Launcher launcher(facts_.core, {job.root_id(), job.id()});
  for (Value signature : added) {
    const auto parts = app::place_in_chord(signature, settlement.counts->group_id, job.message->group_index.value_or(0),
                                           *job.embed->chord);
    if (!parts) return tl::unexpected(parts.error());
    settlement.counts->added += *parts;
    if (auto ok = launcher.add(std::move(signature), {}); !ok) return ok;
  }
  auto launched = launcher.take();
  settlement.sends = std::move(launched.messages);
  settlement.declares = std::move(launched.queues);
  settlement.chords = std::move(launched.chords);
  use_graph(settlement, launched.graph_id, launched.chords_by_reference, 0);
  return {};
}

}  // namespace lovage::worker
