#include "wire/canvas.hpp"

#include <utility>

#include "wire/signature.hpp"

namespace lovage::wire {
namespace {

constexpr std::string_view kReference = "lovage.reference";

const Value* kwarg(const Value& signature, std::string_view name) noexcept {
  const Value* const kwargs = signature.find("kwargs");
  return kwargs != nullptr ? kwargs->find(name) : nullptr;
}

const std::string* text_of(const Value& signature, std::string_view name) noexcept {
  const Value* const value = signature.find(name);
  return value != nullptr ? value->if_string() : nullptr;
}

Value make(std::string kind, Object kwargs) {
  std::string task = "celery." + kind;
  return to_value(SignatureData{.task = std::move(task),
                                .args = {},
                                .kwargs = std::move(kwargs),
                                .options = {},
                                .subtask_type = std::move(kind),
                                .immutable = false});
}

}  // namespace

CanvasKind canvas_kind(const Value& signature) noexcept {
  const std::string* const kind = text_of(signature, "subtask_type");
  if (kind != nullptr && *kind == "chain") return CanvasKind::chain;
  if (kind != nullptr && *kind == "group") return CanvasKind::group;
  if (kind != nullptr && *kind == "chord") return CanvasKind::chord;
  if (kind != nullptr && *kind == kReference) return CanvasKind::reference;
  const std::string* const task = text_of(signature, "task");
  return task != nullptr && *task == "celery.chunks" ? CanvasKind::chunks : CanvasKind::task;
}

const Array* canvas_tasks(const Value& signature) noexcept {
  const bool is_chord = canvas_kind(signature) == CanvasKind::chord;
  const Value* tasks = kwarg(signature, is_chord ? "header" : "tasks");
  if (is_chord && tasks != nullptr && tasks->if_object() != nullptr) tasks = kwarg(*tasks, "tasks");
  return tasks != nullptr ? tasks->if_array() : nullptr;
}

Array* canvas_tasks(Value& signature) noexcept {
  return const_cast<Array*>(canvas_tasks(std::as_const(signature)));  // NOLINT(*-const-cast): it is ours to change
}

const Value* chord_body(const Value& signature) noexcept {
  return kwarg(signature, "body");
}

Value* chord_body(Value& signature) noexcept {
  return const_cast<Value*>(chord_body(std::as_const(signature)));  // NOLINT(*-const-cast): it is ours to change
}

const Object& canvas_options(const Value& signature) noexcept {
  static const Object kNone;
  const Value* const options = signature.find("options");
  const Object* const object = options != nullptr ? options->if_object() : nullptr;
  return object != nullptr ? *object : kNone;
}

Object& canvas_options(Value& signature) {
  Value& options = (*signature.if_object())["options"];
  if (options.if_object() == nullptr) options = Value(Object{});
  return *options.if_object();
}

std::optional<std::string> text_option(const Object& options, std::string_view key) {
  const Value* const value = options.find(key);
  const std::string* const text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr && !text->empty() ? std::optional(*text) : std::nullopt;
}

std::optional<Array> list_of(const Value* value) {
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (const Array* const array = value->if_array()) return *array;
  return Array{*value};
}

Value make_chain(Array steps) {
  return make("chain", {{"tasks", Value(std::move(steps))}});
}

Value make_group(Array members) {
  return make("group", {{"tasks", Value(std::move(members))}});
}

Value make_chord(Array header, Value body) {
  return make("chord", {{"kwargs", Value(Object{})}, {"header", Value(std::move(header))}, {"body", std::move(body)}});
}

Value make_reference(const GraphReference& to, std::string result_id, Array errbacks) {
  Object kwargs{{"graph", Value(to.graph_id)},
                {"page", Value(static_cast<std::int64_t>(to.page))},
                {"position", Value(static_cast<std::int64_t>(to.position))}};
  if (!errbacks.empty()) kwargs.set("errbacks", Value(std::move(errbacks)));
  return to_value(SignatureData{.task = std::string(kReference),
                                .args = {},
                                .kwargs = std::move(kwargs),
                                .options = {{"task_id", Value(std::move(result_id))}},
                                .subtask_type = std::string(kReference),
                                .immutable = false});
}

std::optional<GraphReference> graph_reference(const Value& signature) {
  if (canvas_kind(signature) != CanvasKind::reference) return std::nullopt;
  const Value* const graph = kwarg(signature, "graph");
  const Value* const page = kwarg(signature, "page");
  const Value* const position = kwarg(signature, "position");
  if (graph == nullptr || page == nullptr || position == nullptr) return std::nullopt;
  const std::string* const id = graph->if_string();
  const std::int64_t* const page_number = page->if_integer();
  const std::int64_t* const at = position->if_integer();
  if (id == nullptr || id->empty() || page_number == nullptr || *page_number < 0 || at == nullptr || *at < 0)
    return std::nullopt;
  return GraphReference{*id, static_cast<std::uint64_t>(*page_number), static_cast<std::uint64_t>(*at)};
}

Array reference_errbacks(const Value& reference) {
  return list_of(kwarg(reference, "errbacks")).value_or(Array{});
}

}  // namespace lovage::wire
