#include "app/callbacks.hpp"

#include <algorithm>
#include <utility>

#include <lovage/error.hpp>

#include "app/call_options.hpp"
#include "app/canvas_lists.hpp"
#include "app/canvas_shape.hpp"
#include "app/producer.hpp"
#include "base/uuid.hpp"
#include "wire/canvas.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;

constexpr int kDeepest = 50;

bool has_callbacks(const Value& signature, int depth) {
  const Object& options = canvas_options(signature);
  for (const std::string_view name : {kOnSuccess, kOnFailure, kOnComplete})
    if (options.find(name) != nullptr) return true;
  if (depth > kDeepest) return false;
  const auto in = [&](const Value& inner) { return has_callbacks(inner, depth + 1); };
  const Array* const tasks = canvas_tasks(signature);
  if (tasks != nullptr && std::ranges::any_of(*tasks, in)) return true;
  const Value* const body = canvas_kind(signature) == CanvasKind::chord ? chord_body(signature) : nullptr;
  return body != nullptr && in(*body);
}

// What the workflow's result is the result of: a task, or a group.
Value& end_of(Value& signature, int depth = 0) {
  Array* const steps = canvas_kind(signature) == CanvasKind::chain ? canvas_tasks(signature) : nullptr;
  const bool is_chord = canvas_kind(signature) == CanvasKind::chord && !stands_for_group(signature);
  Value* const next = steps != nullptr && !steps->empty() ? &steps->back() : is_chord ? chord_body(signature) : nullptr;
  return next != nullptr && depth < kDeepest ? end_of(*next, depth + 1) : signature;
}

// Its first argument is the id, whatever it hangs at. One that takes nothing takes nothing.
void give_id(Value& callback, const std::string& id, int depth = 0) {
  if (callback.if_object() == nullptr || depth > kDeepest) return;
  Array* const tasks = canvas_tasks(callback);
  if (tasks != nullptr) {
    const bool first_only = canvas_kind(callback) == CanvasKind::chain;
    for (std::size_t i = 0; i < (first_only ? std::min<std::size_t>(1, tasks->size()) : tasks->size()); ++i)
      give_id((*tasks)[i], id, depth + 1);
    return;
  }
  const Value* const immutable = callback.find("immutable");
  if (immutable != nullptr && immutable->if_bool() != nullptr && *immutable->if_bool()) return;
  Value& args = (*callback.if_object())["args"];
  if (args.if_array() == nullptr) args = Value(Array{});
  args.if_array()->insert(args.if_array()->begin(), Value(id));
  callback.if_object()->set("immutable", Value(true));
}

// Where the group's first task goes somebody knows celery.accumulate, too.
Result<void> route_as(const Core& core, const Value& member, const Object& group, Object& options) {
  const Value* task = &member;
  Object asked = canvas_options(*task);
  while (canvas_tasks(*task) != nullptr && !canvas_tasks(*task)->empty()) task = &canvas_tasks(*task)->front();
  for (const auto& [name, value] : canvas_options(*task)) asked.set(name, value);
  for (const std::string_view name : {"queue", "exchange", "routing_key"})
    if (const Value* const own = group.find(name)) asked.set(std::string(name), *own);
  const Value* const name = task->find("task");
  try {
    const auto destination = destination_of(
        core, name != nullptr && name->if_string() != nullptr ? *name->if_string() : "", CallOptions(asked));
    if (destination.queue) {
      options["queue"] = Value(destination.queue->name);
    } else {
      options["exchange"] = Value(destination.exchange);
      options["routing_key"] = Value(destination.routing_key);
    }
  } catch (const Error& error) {
    return fail(Errc::bad_data, error.what());
  }
  return {};
}

// The group as the header of a chord that ends with its list.
Result<void> make_chord_of(const Core& core, Value& group) {
  const Array* const members = canvas_tasks(std::as_const(group));
  if (members == nullptr) return fail(Errc::bad_data, "a group without tasks");
  Object options = canvas_options(std::as_const(group));
  Value list = list_of_results({{"task_id", Value(new_task_id())}});
  (*list.if_object())["kwargs"].if_object()->set("group", Value(true));
  if (auto ok = route_as(core, members->empty() ? group : members->front(), options, canvas_options(list)); !ok)
    return ok;
  Value chord = wire::make_chord(*members, std::move(list));
  // What hangs at a group hangs at its members.
  if (Array* const header = canvas_tasks(chord)) {
    for (auto& task : *header) {
      append_links(canvas_options(task), "link_error", options.find("link_error"));
      hand_down(group, task);
    }
  }
  options.erase("link_error");
  canvas_options(chord) = std::move(options);
  group = std::move(chord);
  return {};
}

// With one list of signatures removed from the options.
Array take_list(Object& options, std::string_view name) {
  Array list = wire::list_of(options.find(name)).value_or(Array{});
  options.erase(name);
  return list;
}

class Attaching {
 public:
  explicit Attaching(const Core& core) : core_(core) {}

  Result<void> attach(Value& signature, int depth = 0) {
    if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
    if (auto ok = check_object(signature); !ok) return ok;
    if (Array* const tasks = canvas_tasks(signature)) {
      for (auto& task : *tasks) {
        if (auto ok = attach(task, depth + 1); !ok) return ok;
      }
    }
    Value* const body = canvas_kind(signature) == CanvasKind::chord ? chord_body(signature) : nullptr;
    if (body != nullptr) {
      if (auto ok = attach(*body, depth + 1); !ok) return ok;
    }
    return attach_own(signature);
  }

 private:
  Result<void> attach_own(Value& signature) {
    Object& options = canvas_options(signature);
    Array success = take_list(options, kOnSuccess);
    Array failure = take_list(options, kOnFailure);
    Array complete = take_list(options, kOnComplete);
    if (success.empty() && failure.empty() && complete.empty()) return {};
    const std::string id = result_id(signature);
    for (auto& callback : complete) {
      give_id(callback, id);
      success.push_back(callback);
      failure.push_back(std::move(callback));
    }
    if (Value& end = end_of(signature); canvas_kind(end) == CanvasKind::group) {
      if (auto ok = make_chord_of(core_, end); !ok) return ok;
    }
    const Value links{std::move(success)};
    const Value errbacks{std::move(failure)};
    append_links(canvas_options(signature), "link", &links);
    append_links(canvas_options(signature), "link_error", &errbacks);
    return {};
  }

  const Core& core_;
};

}  // namespace

bool has_callbacks(const Value& signature) {
  return has_callbacks(signature, 0);
}

Result<void> attach_callbacks(const Core& core, Value& frozen) {
  return has_callbacks(frozen) ? Attaching(core).attach(frozen) : Result<void>();
}

bool stands_for_group(const Value& chord) noexcept {
  const Value* const body = chord_body(chord);
  const Value* const kwargs = body != nullptr ? body->find("kwargs") : nullptr;
  const Value* const task = body != nullptr ? body->find("task") : nullptr;
  return kwargs != nullptr && kwargs->find("group") != nullptr && task != nullptr && task->if_string() != nullptr &&
         *task->if_string() == "celery.accumulate";
}

std::string result_id(Value& frozen) {
  const Value& end = end_of(frozen);
  if (canvas_kind(end) == CanvasKind::chord) return header_id(end).value_or("");
  return wire::text_option(canvas_options(end), "task_id").value_or("");
}

}  // namespace lovage::app
