#include "worker/metas.hpp"

#include <utility>

#include <lovage/states.hpp>

namespace lovage::worker {
namespace {

using broker::StoreResult;

// What result_extended adds. A body that cannot be read leaves args and kwargs null.
Object extended_fields(const wire::TaskMessage& message, const Facts& facts) {
  Object fields{{"name", Value(message.task)}, {"args", Value()}, {"kwargs", Value()}};
  const wire::DecodeLimits limits{.max_bytes = facts.config().task_message_max_bytes};
  if (auto body = wire::decode_body(message, facts.accept_content, limits)) {
    fields.set("args", Value(std::move(body->args)));
    fields.set("kwargs", Value(std::move(body->kwargs)));
  }
  fields.set("worker", Value(facts.node_name));
  fields.set("retries", Value(message.retries));
  fields.set("queue", Value(message.routing_key));
  if (!message.stamped_headers.is_null()) fields.set("stamped_headers", message.stamped_headers);
  for (const auto& [name, stamp] : message.stamps) fields.set(name, stamp);
  return fields;
}

wire::ResultMeta meta_of(const wire::TaskMessage& message, std::string_view state, const Facts& facts) {
  wire::ResultMeta meta;
  meta.task_id = message.id;
  meta.status = std::string(state);
  meta.group_id = message.group_id;
  meta.parent_id = message.parent_id;
  if (facts.config().result_extended) meta.extended = extended_fields(message, facts);
  return meta;
}

Result<StoreResult> encoded(const wire::ResultMeta& meta, const Facts& facts) {
  auto text = wire::encode_result_meta(meta, facts.result_serializer, facts.json_types);
  if (!text) return tl::unexpected(text.error());
  return StoreResult{.task_id = meta.task_id, .state = meta.status, .meta = std::move(*text)};
}

StoreResult success_meta_fast(const wire::TaskMessage& message, const execution::Outcome& outcome,
                              const Array& children, const Facts& facts, Timestamp now) {
  const std::string children_json = children.empty() ? "[]" : to_json(Value(children));
  const std::string date_done = wire::date_done_text(now, facts.json_types);
  wire::SuccessMeta meta{.task_id = message.id,
                         .result_json = outcome.result_json,
                         .children_json = children_json,
                         .date_done = date_done,
                         .group_id = std::nullopt,
                         .parent_id = std::nullopt};
  if (message.group_id) meta.group_id = *message.group_id;
  if (message.parent_id) meta.parent_id = *message.parent_id;
  return {.task_id = message.id, .state = std::string(states::success), .meta = wire::encode_success_meta(meta)};
}

}  // namespace

Result<StoreResult> success_meta(const wire::TaskMessage& message, const execution::Outcome& outcome,
                                 const Array& children, const Facts& facts, Timestamp now) {
  if (!facts.config().result_extended && facts.result_serializer == wire::Serializer::json)
    return success_meta_fast(message, outcome, children, facts, now);
  auto value = wire::decode_value(outcome.result_json, wire::Serializer::json);
  if (!value) return tl::unexpected(value.error());
  wire::ResultMeta meta = meta_of(message, states::success, facts);
  meta.result = std::move(*value);
  meta.children = Value(children);
  meta.date_done = wire::date_done_text(now, facts.json_types);
  return encoded(meta, facts);
}

StoreResult exception_meta(const wire::TaskMessage& message, std::string_view state,
                           const wire::ExceptionInfo& exception, std::string traceback, Array children,
                           const Facts& facts, Timestamp now) {
  wire::ResultMeta meta = meta_of(message, state, facts);
  if (!exception.type.empty()) meta.result = wire::to_value(exception);
  if (!traceback.empty()) meta.traceback = std::move(traceback);
  meta.children = Value(std::move(children));
  if (states::is_ready(state)) meta.date_done = wire::date_done_text(now, facts.json_types);
  if (auto stored = encoded(meta, facts)) return std::move(*stored);
  // As Celery does with what cannot be encoded: the texts alone.
  wire::ExceptionInfo plain{.type = exception.type, .module = exception.module, .arguments = {}};
  for (const auto& argument : exception.arguments) plain.arguments.emplace_back(wire::safe_repr(argument));
  meta.result = wire::to_value(plain);
  meta.extended = {};
  if (auto stored = encoded(meta, facts)) return std::move(*stored);
  // Not even texts (invalid UTF-8): the type has to do.
  meta.result = wire::to_value({.type = "Exception", .module = "builtins", .arguments = {}});
  meta.traceback.reset();
  return {.task_id = message.id, .state = meta.status, .meta = encoded(meta, facts)->meta};
}

Result<StoreResult> state_meta(const wire::TaskMessage& message, std::string_view state, Value result,
                               const Facts& facts) {
  wire::ResultMeta meta = meta_of(message, state, facts);
  meta.result = std::move(result);
  meta.children = Value(Array{});
  return encoded(meta, facts);
}

}  // namespace lovage::worker
