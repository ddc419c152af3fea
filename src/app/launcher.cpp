#include "app/launcher.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

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

// What an option of a chain, group or chord means for the tasks in it is said in add_...(); all others are for tasks.
bool is_structural(std::string_view option) noexcept {
  static constexpr std::string_view kNames[] = {"task_id", "group_id", "group_index", "chord",      "chain",
                                                "link",    "root_id",  "parent_id",   "link_error", "add_to_parent"};
  return std::ranges::find(kNames, option) != std::end(kNames);
}

Result<void> check_object(const Value& signature) {
  if (signature.if_object() != nullptr) return {};
  return fail(Errc::bad_data, "a signature is no object");
}

void set_default(Object& options, std::string_view name, const Value* value) {
  if (value == nullptr || value->is_null()) return;
  Value& own = options[name];
  if (own.is_null()) own = *value;
}

// Appends `more` (one signature or a list) to the list under `name`, each once.
void append_links(Object& options, std::string_view name, const Value* more) {
  const auto added = wire::list_of(more);
  if (!added || added->empty()) return;
  Array links = wire::list_of(options.find(name)).value_or(Array{});
  for (const auto& link : *added) {
    if (std::ranges::find(links, link) == links.end()) links.push_back(link);
  }
  options[name] = Value(std::move(links));
}

// Options of a workflow that its tasks take over.
void pass_on(const Object& from, Value& to) {
  Object& own = canvas_options(to);
  for (const auto& [name, value] : from) {
    if (!is_structural(name)) own.set(name, value);
  }
}

void prepend(Value& signature, const Array& arguments) {
  const Value* const immutable = signature.find("immutable");
  if (arguments.empty() || (immutable != nullptr && immutable->if_bool() != nullptr && *immutable->if_bool())) return;
  Value& own = (*signature.if_object())["args"];
  if (own.if_array() == nullptr) own = Value(Array{});
  own.if_array()->insert(own.if_array()->begin(), arguments.begin(), arguments.end());
}

// Celery: chunks.group, one celery.starmap a chunk.
Result<Array> starmaps_of(const Value& chunks) {
  const Value* const kwargs = chunks.find("kwargs");
  const Value* const task = kwargs != nullptr ? kwargs->find("task") : nullptr;
  const Value* const it = kwargs != nullptr ? kwargs->find("it") : nullptr;
  const Value* const n = kwargs != nullptr ? kwargs->find("n") : nullptr;
  const Array* const items = it != nullptr ? it->if_array() : nullptr;
  const auto* const size = n != nullptr ? n->if_integer() : nullptr;
  if (task == nullptr || items == nullptr || size == nullptr || *size < 1)
    return fail(Errc::bad_data, "chunks need a task, a list and a size of at least 1");
  Array maps;
  const auto step = static_cast<std::size_t>(*size);
  for (std::size_t from = 0; from < items->size(); from += step) {
    const auto begin = items->begin() + static_cast<std::ptrdiff_t>(from);
    Array part(begin, begin + static_cast<std::ptrdiff_t>(std::min(step, items->size() - from)));
    Value map = wire::to_value(wire::SignatureData{.task = "celery.starmap",
                                                   .args = {},
                                                   .kwargs = {{"task", *task}, {"it", Value(std::move(part))}},
                                                   .options = {},
                                                   .subtask_type = std::nullopt,
                                                   .immutable = false});
    pass_on(canvas_options(*task), map);
    pass_on(canvas_options(chunks), map);
    maps.push_back(std::move(map));
  }
  return maps;
}

// Chunks are a group wherever they stand.
Result<void> expand_chunks(Value& signature) {
  if (canvas_kind(signature) != CanvasKind::chunks) return {};
  auto maps = starmaps_of(signature);
  if (!maps) return tl::unexpected(maps.error());
  Value group = wire::make_group(std::move(*maps));
  canvas_options(group) = canvas_options(std::as_const(signature));
  signature = std::move(group);
  return {};
}

// The steps of a chain without chains in it; what hangs at an inner chain hangs at its steps then.
Result<void> unroll(Value chain, Array& steps, int depth) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  Array* const tasks = canvas_tasks(chain);
  if (tasks == nullptr || tasks->empty()) return fail(Errc::bad_data, "a chain without tasks");
  const Object& options = canvas_options(std::as_const(chain));
  const Value* const args = chain.find("args");
  const std::size_t first = steps.size();
  for (auto& task : *tasks) {
    if (auto ok = check_object(task); !ok) return ok;
    if (canvas_kind(task) != CanvasKind::chain) {
      steps.push_back(std::move(task));
    } else if (auto ok = unroll(std::move(task), steps, depth + 1); !ok) {
      return ok;
    }
  }
  for (std::size_t i = first; i < steps.size(); ++i)
    append_links(canvas_options(steps[i]), "link_error", options.find("link_error"));
  Object& last = canvas_options(steps.back());
  append_links(last, "link", options.find("link"));
  for (const std::string_view name : {"group_id", "group_index", "chord"}) set_default(last, name, options.find(name));
  if (canvas_kind(steps.back()) == CanvasKind::task) set_default(last, "task_id", options.find("task_id"));
  pass_on(options, steps[first]);
  const Value* const immutable = chain.find("immutable");
  const bool takes = immutable == nullptr || immutable->if_bool() == nullptr || !*immutable->if_bool();
  if (args != nullptr && args->if_array() != nullptr && takes) prepend(steps[first], *args->if_array());
  return {};
}

// A group that something follows is the header of a chord.
Array with_chords(Array steps) {
  Array upgraded;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (canvas_kind(steps[i]) != CanvasKind::group || i + 1 == steps.size()) {
      upgraded.push_back(std::move(steps[i]));
      continue;
    }
    Array* const members = canvas_tasks(steps[i]);
    Object options = canvas_options(std::as_const(steps[i]));
    Value chord = wire::make_chord(members != nullptr ? std::move(*members) : Array{}, std::move(steps[i + 1]));
    const Value errbacks = options.find("link_error") != nullptr ? *options.find("link_error") : Value();
    options.erase("link_error");
    canvas_options(chord) = std::move(options);
    if (Array* const header = canvas_tasks(chord); header != nullptr && !errbacks.is_null()) {
      for (auto& task : *header) {
        if (task.if_object() != nullptr) append_links(canvas_options(task), "link_error", &errbacks);
      }
    }
    upgraded.push_back(std::move(chord));
    ++i;
  }
  return upgraded;
}

class Freezer {
 public:
  Result<void> freeze(Value& signature) {
    if (++depth_ > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
    auto done = freeze_at(signature);
    --depth_;
    return done;
  }

 private:
  Result<void> freeze_at(Value& signature) {
    if (auto ok = check_object(signature); !ok) return ok;
    if (auto ok = expand_chunks(signature); !ok) return ok;
    Object& options = canvas_options(signature);
    const CanvasKind kind = canvas_kind(signature);
    if (kind == CanvasKind::chord) {
      if (Value* const body = chord_body(signature)) {
        if (auto ok = freeze(*body); !ok) return ok;
      }
    }
    // A chord's own id is its header's, as Celery's is.
    if (kind != CanvasKind::chain && !text_option(options, "task_id")) options["task_id"] = Value(new_task_id());
    Array* const tasks = canvas_tasks(signature);
    if (kind == CanvasKind::task || tasks == nullptr) return {};
    for (std::size_t i = 0; i < tasks->size(); ++i) {
      if (auto ok = freeze((*tasks)[i]); !ok) return ok;
    }
    if (kind == CanvasKind::chain && !tasks->empty())
      canvas_options(signature)["task_id"] = Value(id_of(tasks->back()));
    return {};
  }

  static std::string id_of(const Value& signature) {
    const Value* const body = canvas_kind(signature) == CanvasKind::chord ? chord_body(signature) : nullptr;
    return body != nullptr ? id_of(*body) : text_option(canvas_options(signature), "task_id").value_or("");
  }

  int depth_ = 0;
};

// Makes parts of a chord out of the tasks whose ends it waits for.
class Placer {
 public:
  // The first part's index, and from each to the next.
  Placer(const std::string& group_id, const Value& body, std::int64_t first = 0, std::int64_t step = 1)
      : group_id_(group_id), body_(body), index_(first), step_(step) {}

  Result<void> place(Value& signature, int depth = 0) {
    if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
    if (auto ok = check_object(signature); !ok) return ok;
    switch (canvas_kind(signature)) {
      case CanvasKind::chain: {
        Array* const steps = canvas_tasks(signature);
        if (steps == nullptr || steps->empty()) return fail(Errc::bad_data, "a chain without tasks");
        return place(steps->back(), depth + 1);
      }
      case CanvasKind::chord: {
        Value* const body = chord_body(signature);
        if (body == nullptr) return fail(Errc::bad_data, "a chord without a body");
        return place(*body, depth + 1);
      }
      case CanvasKind::group: {
        Array* const members = canvas_tasks(signature);
        if (members == nullptr || members->empty())
          return fail(Errc::bad_data, "an empty group cannot be part of a chord");
        for (auto& member : *members) {
          if (auto ok = place(member, depth + 1); !ok) return ok;
        }
        return {};
      }
      case CanvasKind::chunks:
      case CanvasKind::task:
        break;
    }
    Object& options = canvas_options(signature);
    options["group_id"] = Value(group_id_);
    options["group_index"] = Value(index_);
    index_ += step_;
    ++parts_;
    options["chord"] = body_;
    return {};
  }
  [[nodiscard]] std::uint64_t parts() const noexcept { return parts_; }

 private:
  const std::string& group_id_;
  const Value& body_;
  std::int64_t index_;
  const std::int64_t step_;
  std::uint64_t parts_ = 0;
};

Value result_tuple(const std::string& id, Value parent, Value children) {
  return Value(Array{Value(Array{Value(id), std::move(parent)}), std::move(children)});
}

// The members of groups in a header count like its own tasks. Lovage keeps them in their order.
Result<void> flatten(Array members, Array& header, int depth) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  for (auto& member : members) {
    if (auto ok = check_object(member); !ok) return ok;
    if (auto ok = expand_chunks(member); !ok) return ok;
    Array* const inner = canvas_kind(member) == CanvasKind::group ? canvas_tasks(member) : nullptr;
    if (inner == nullptr) {
      header.push_back(std::move(member));
      continue;
    }
    const Object& options = canvas_options(std::as_const(member));
    for (auto& task : *inner) {
      if (auto ok = check_object(task); !ok) return ok;
      pass_on(options, task);
      append_links(canvas_options(task), "link_error", options.find("link_error"));
    }
    if (auto ok = flatten(std::move(*inner), header, depth + 1); !ok) return ok;
  }
  return {};
}

// One chain with what follows, as a body.
Value followed_by(Value body, const Array& rest) {
  if (rest.empty()) return body;
  Array steps;
  steps.push_back(std::move(body));
  steps.insert(steps.end(), rest.rbegin(), rest.rend());
  return wire::make_chain(std::move(steps));
}

}  // namespace

Result<void> freeze(Value& signature) {
  return Freezer().freeze(signature);
}

Result<std::uint64_t> place_in_chord(Value& signature, const std::string& group_id, std::int64_t index,
                                     const Value& body) {
  if (auto ok = freeze(signature); !ok) return tl::unexpected(ok.error());
  Placer placer(group_id, body, index, 0);
  if (auto ok = placer.place(signature); !ok) return tl::unexpected(ok.error());
  return placer.parts();
}

Launcher::Launcher(const Core& core, Lineage lineage, LaunchLimits limits)
    : core_(core), lineage_(std::move(lineage)), limits_(limits) {}

Result<void> Launcher::add(Value signature, std::span<const Value> arguments, Steps rest) {
  if (++depth_ > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  auto added = [&]() -> Result<void> {
    if (auto ok = check_object(signature); !ok) return ok;
    if (auto ok = expand_chunks(signature); !ok) return ok;
    switch (canvas_kind(signature)) {
      case CanvasKind::chain:
        return add_chain(std::move(signature), arguments, std::move(rest));
      case CanvasKind::group:
        return add_group(std::move(signature), arguments, std::move(rest));
      case CanvasKind::chord:
        return add_chord(std::move(signature), arguments, rest);
      case CanvasKind::chunks:
      case CanvasKind::task:
        break;
    }
    auto task = wire::signature_from_value(signature);
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
  try {
    auto prepared = prepare(core_, std::move(task), lineage_);
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
  if (auto ok = unroll(std::move(chain), steps, depth_); !ok) return ok;
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
  const Array* const callbacks = options.find("link") != nullptr ? options.find("link")->if_array() : nullptr;
  if (callbacks != nullptr && !members->empty() && members->front().if_object() != nullptr) {
    // As Celery does: after the first member, without its result.
    Array immutable = *callbacks;
    for (auto& callback : immutable)
      if (callback.if_object() != nullptr) callback.if_object()->set("immutable", Value(true));
    const Value links{std::move(immutable)};
    append_links(canvas_options(members->front()), "link", &links);
  }
  Array siblings = std::exchange(made_.results, {});
  for (std::size_t i = 0; i < members->size(); ++i) {
    Value member = std::move((*members)[i]);
    if (auto ok = check_object(member); !ok) return ok;
    pass_on(options, member);
    Object& own = canvas_options(member);
    append_links(own, "link_error", options.find("link_error"));
    if (is_part) {
      for (const std::string_view name : {"group_id", "group_index", "chord"})
        set_default(own, name, options.find(name));
    } else if (canvas_kind(member) != CanvasKind::group) {
      if (own.find("chord") == nullptr || own.find("chord")->is_null()) own["group_id"] = Value(group_id);
      if (Value& index = own["group_index"]; index.is_null()) index = Value(static_cast<std::int64_t>(i));
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
  const Value* const header_kwarg = chord.find("kwargs")->find("header");
  std::optional<std::string> group_id;
  if (header_kwarg->if_object() != nullptr) group_id = text_option(canvas_options(*header_kwarg), "task_id");
  if (!group_id) group_id = text_option(options, "task_id");
  if (!group_id) group_id = new_task_id();

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
  Placer placer(*group_id, body);
  for (auto& task : header) {
    pass_on(options, task);
    if (errbacks_everywhere) append_links(canvas_options(task), "link_error", options.find("link_error"));
    if (auto ok = freeze(task); !ok) return ok;
    if (auto ok = placer.place(task); !ok) return ok;
  }
  made_.chords.push_back({*group_id, placer.parts()});
  Array siblings = std::exchange(made_.results, {});
  for (auto& task : header) {
    if (auto added = add(std::move(task), arguments); !added) return added;
  }
  Array parts = std::exchange(made_.results, std::move(siblings));
  const std::string id = text_option(canvas_options(std::as_const(body)), "task_id").value_or("");
  made_.results.push_back(result_tuple(id, result_tuple(*group_id, Value(), Value(std::move(parts))), Value()));
  return {};
}

}  // namespace lovage::app
