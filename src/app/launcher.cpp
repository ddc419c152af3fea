#include "app/launcher.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

#include "app/callbacks.hpp"
#include "app/canvas_lists.hpp"
#include "app/canvas_shape.hpp"
#include "app/graph_reference.hpp"
#include "base/uuid.hpp"
#include "wire/canvas.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;
using wire::text_option;

constexpr int kDeepest = 50;

Value result_tuple(const std::string& id, Value parent, Value children) {
  Array own;
  own.reserve(2);
  own.emplace_back(id);
  own.push_back(std::move(parent));
  Array tuple;
  tuple.reserve(2);
  tuple.emplace_back(std::move(own));
  tuple.push_back(std::move(children));
  return tuple;
}

// A group's callbacks hang at its first member and take nothing of its result, as Celery's do.
void hang_callbacks(const Object& group_options, Array& members) {
  const Value* const given = group_options.find("link");
  const Array* const callbacks = given != nullptr ? given->if_array() : nullptr;
  if (callbacks == nullptr || members.empty() || members.front().if_object() == nullptr) return;
  Array immutable = *callbacks;
  for (auto& callback : immutable)
    if (callback.if_object() != nullptr) callback.if_object()->set("immutable", Value(true));
  const Value links{std::move(immutable)};
  append_links(canvas_options(members.front()), "link", &links);
}

// A member that counts in no chord knows its group and its place there.
void place_member(Value& member, const std::string& group_id, std::size_t place) {
  if (canvas_kind(member) == CanvasKind::group) return;
  Object& options = canvas_options(member);
  const Value* const chord = options.find("chord");
  if (chord == nullptr || chord->is_null()) options["group_id"] = Value(group_id);
  if (Value& index = options["group_index"]; index.is_null()) index = Value(static_cast<std::int64_t>(place));
}

bool has_signature(const Object& options, std::string_view name) noexcept {
  const Value* const value = options.find(name);
  return value != nullptr && !value->is_null();
}

}  // namespace

bool holds_graph(const wire::TaskMessage& message) noexcept {
  return message.custom_headers.find(wire::kGraphHeader) != nullptr;
}

std::uint64_t graph_holders(std::span<const wire::TaskMessage> messages) noexcept {
  return static_cast<std::uint64_t>(std::ranges::count_if(messages, holds_graph));
}

Launcher::Launcher(const Core& core, Lineage lineage, LaunchLimits limits)
    : core_(core), lineage_(std::move(lineage)), limits_(limits) {
  made_.graph_id = lineage_.graph_id;
}

Result<void> Launcher::add(Value signature, std::span<const Value> arguments, Steps rest) {
  if (++depth_ > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  auto added = [&]() -> Result<void> {
    if (depth_ == 1 && has_callbacks(signature)) {
      if (auto ok = freeze(signature); !ok) return ok;
      if (auto ok = attach_callbacks(core_, signature); !ok) return ok;
    }
    if (auto ok = normalize(signature); !ok) return ok;
    switch (canvas_kind(signature)) {
      case CanvasKind::chain:
        return add_chain(std::move(signature), arguments, std::move(rest));
      case CanvasKind::group:
        return add_group(std::move(signature), arguments, std::move(rest));
      case CanvasKind::chord:
        return add_chord(std::move(signature), arguments, rest);
      case CanvasKind::reference:
        return fail(Errc::bad_data, "a reference to a signature that has not been read");
      case CanvasKind::chunks:
      case CanvasKind::task:
        break;
    }
    auto task = wire::signature_from_value(std::move(signature));
    if (!task) return tl::unexpected(task.error());
    return add_task(std::move(*task), arguments, std::move(rest));
  }();
  --depth_;
  return added;
}

Result<void> Launcher::add_task(wire::SignatureData task, std::span<const Value> arguments, Steps rest) {
  if (!task.immutable) task.args.insert(task.args.begin(), arguments.begin(), arguments.end());
  // What follows this task alone comes before what follows the whole.
  if (auto own = wire::list_of(task.options.find("chain")))
    rest.insert(rest.end(), std::make_move_iterator(own->begin()), std::make_move_iterator(own->end()));
  task.options.erase("chain");
  for (auto& step : rest) {
    if (auto ok = freeze(step); !ok) return ok;
  }
  if (!rest.empty()) task.options.set("chain", Value(std::move(rest)));
  return send(std::move(task));
}

Result<void> Launcher::send(wire::SignatureData task) {
  if (made_.messages.size() >= limits_.messages)
    return fail(Errc::too_large, fmt::format("more than {} messages", limits_.messages));
  // A frozen signature may carry these as null; whose successor it is is known here.
  task.options.erase("root_id");
  task.options.erase("parent_id");
  const bool is_mere_part = has_signature(task.options, "chord") && !has_signature(task.options, "chain") &&
                            !has_signature(task.options, "link");
  try {
    auto prepared = prepare(core_, call_of(task), lineage_);
    if (!lineage_.graph_id.empty() && !is_mere_part)
      prepared.message.custom_headers.set(std::string(wire::kGraphHeader), Value(lineage_.graph_id));
    if (prepared.queue) add_queue(std::move(*prepared.queue));
    bytes_ += prepared.message.body.size();
    if (bytes_ > limits_.bytes)
      return fail(Errc::too_large, fmt::format("messages of more than {} bytes together", limits_.bytes));
    made_.results.push_back(result_tuple(prepared.message.id, Value(), Value()));
    made_.messages.push_back(std::move(prepared.message));
    return {};
  } catch (const Error& error) {  // the rules of sending throw at callers
    return fail(Errc::bad_data, error.what());
  }
}

void Launcher::add_queue(wire::QueueDeclaration queue) {
  const auto same = [&](const auto& known) { return known.name == queue.name; };
  if (std::ranges::none_of(made_.queues, same)) made_.queues.push_back(std::move(queue));
}

Result<void> Launcher::add_chain(Value chain, std::span<const Value> arguments, Steps rest) {
  Array steps;
  if (auto ok = unroll(std::move(chain), steps, depth_, core_.config().task_allow_error_cb_on_chord_header); !ok)
    return ok;
  steps = with_chords(std::move(steps));
  for (std::size_t i = steps.size() - 1; i > 0; --i) rest.push_back(std::move(steps[i]));
  return add(std::move(steps.front()), arguments, std::move(rest));
}

Result<void> Launcher::add_group(Value group, std::span<const Value> arguments, Steps rest) {
  Array* const members = canvas_tasks(group);
  if (members == nullptr) return fail(Errc::bad_data, "a group without tasks");
  const Object options = canvas_options(std::as_const(group));
  if (!rest.empty()) {
    Array steps;
    steps.push_back(std::move(group));
    steps.push_back(followed_by(std::move(rest.back()), Array(rest.begin(), std::prev(rest.end()))));
    return add(std::move(with_chords(std::move(steps)).front()), arguments);
  }
  const std::string group_id = text_option(options, "task_id").value_or(new_task_id());
  const Value* const chord = options.find("chord");
  const bool is_part = chord != nullptr && chord->if_object() != nullptr;  // each member counts in that chord
  hang_callbacks(options, *members);
  Array siblings = std::exchange(made_.results, {});
  for (std::size_t i = 0; i < members->size(); ++i) {
    Value member = std::move((*members)[i]);
    if (auto ok = check_object(member); !ok) return ok;
    pass_on(options, member);
    hand_down(group, member);
    Object& own = canvas_options(member);
    append_links(own, "link_error", options.find("link_error"));
    if (is_part) {
      for (const std::string_view name : {"group_id", "group_index", "chord"})
        set_default(own, name, options.find(name));
    } else {
      place_member(member, group_id, i);
    }
    if (auto added = add(std::move(member), arguments); !added) return added;
  }
  Array results = std::exchange(made_.results, std::move(siblings));
  made_.results.push_back(result_tuple(group_id, Value(), Value(std::move(results))));
  return {};
}

Result<void> Launcher::add_chord(Value chord, std::span<const Value> arguments, const Steps& rest) {
  Array* const members = canvas_tasks(chord);
  Value* const given_body = chord_body(chord);
  if (members == nullptr || given_body == nullptr) return fail(Errc::bad_data, "a chord without a header or a body");
  const Object options = canvas_options(std::as_const(chord));
  const std::string group_id = header_id(chord).value_or(new_task_id());

  if (auto ok = check_object(*given_body); !ok) return ok;
  pass_on(options, *given_body);
  append_links(canvas_options(*given_body), "link", options.find("link"));
  append_links(canvas_options(*given_body), "link_error", options.find("link_error"));
  Value body = followed_by(std::move(*given_body), rest);
  for (const std::string_view name : {"group_id", "group_index", "chord"})
    set_default(canvas_options(body), name, options.find(name));
  if (auto ok = freeze(body); !ok) return ok;

  Array header;
  if (auto ok = flatten(std::move(*members), header, depth_); !ok) return ok;
  if (header.empty()) {
    const Value nothing{Array{}};
    return add(std::move(body), std::span(&nothing, 1));
  }
  const bool errbacks_everywhere = core_.config().task_allow_error_cb_on_chord_header;
  // Each of them carries the body.
  if (to_json(body).size() > limits_.bytes / header.size())
    return fail(Errc::too_large, fmt::format("messages of more than {} bytes together", limits_.bytes));
  for (auto& task : header) {
    pass_on(options, task);
    hand_down(chord, task);
    if (errbacks_everywhere) append_links(canvas_options(task), "link_error", options.find("link_error"));
    if (auto ok = end_in_one_result(core_.config(), task); !ok) return ok;
  }
  const auto parts = place_header(header, group_id, body);
  if (!parts) return tl::unexpected(parts.error());
  made_.chords.push_back({group_id, *parts});
  if (auto graph_id = graph_of(body)) {
    ++made_.chords_by_reference;
    made_.graph_id = std::move(*graph_id);
  }
  Array siblings = std::exchange(made_.results, {});
  for (auto& task : header) {
    if (auto added = add(std::move(task), arguments); !added) return added;
  }
  Array ended = std::exchange(made_.results, std::move(siblings));
  const std::string id = text_option(canvas_options(std::as_const(body)), "task_id").value_or("");
  made_.results.push_back(result_tuple(id, result_tuple(group_id, Value(), Value(std::move(ended))), Value()));
  return {};
}

}  // namespace lovage::app
