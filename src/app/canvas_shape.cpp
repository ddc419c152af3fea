#include "app/canvas_shape.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "app/stamping.hpp"
#include "base/uuid.hpp"
#include "wire/canvas.hpp"
#include "wire/signature.hpp"

namespace lovage::app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;
using wire::chord_body;
using wire::text_option;

constexpr int kDeepest = 50;

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

Result<void> expand_chunks(Value& signature) {
  if (canvas_kind(signature) != CanvasKind::chunks) return {};
  auto maps = starmaps_of(signature);
  if (!maps) return tl::unexpected(maps.error());
  Value group = wire::make_group(std::move(*maps));
  canvas_options(group) = canvas_options(std::as_const(signature));
  signature = std::move(group);
  return {};
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
    if (auto ok = normalize(signature); !ok) return ok;
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
    const auto given = text_option(options, "task_id");
    if (kind == CanvasKind::chain && given && !tasks->empty() && id_of(tasks->back()).empty())
      name_result(tasks->back(), *given);
    for (auto& task : *tasks) {
      if (auto ok = freeze(task); !ok) return ok;
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
      case CanvasKind::reference:  // for the last task that it leads to
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

}  // namespace

bool is_structural(std::string_view option) noexcept {
  static constexpr std::array<std::string_view, 10> kNames{"task_id",    "group_id",     "group_index", "chord",
                                                           "chain",      "link",         "root_id",     "parent_id",
                                                           "link_error", "add_to_parent"};
  return std::ranges::find(kNames, option) != kNames.end();
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

void append_links(Object& options, std::string_view name, const Value* more) {
  const auto added = wire::list_of(more);
  if (!added || added->empty()) return;
  Array links = wire::list_of(options.find(name)).value_or(Array{});
  for (const auto& link : *added) {
    if (std::ranges::find(links, link) == links.end()) links.push_back(link);
  }
  options[name] = Value(std::move(links));
}

void pass_on(const Object& from, Value& to) {
  Object& own = canvas_options(to);
  for (const auto& [name, value] : from) {
    if (is_structural(name) || name == "stamped_headers") continue;
    if (is_stamp(from, name))
      add_stamp(own, name, value);
    else
      own.set(name, value);
  }
}

Result<void> normalize(Value& signature) {
  if (auto ok = check_object(signature); !ok) return ok;
  if (auto ok = expand_chunks(signature); !ok) return ok;
  if (canvas_kind(signature) == CanvasKind::task) return {};  // sent as it is, with what follows it
  if (const auto rest = wire::list_of(canvas_options(std::as_const(signature)).find("chain"))) {
    canvas_options(signature).erase("chain");
    signature = followed_by(std::move(signature), *rest);
  }
  return {};
}

Result<void> unroll(Value chain, Array& steps, int depth, bool headers_hear) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  Array* const tasks = canvas_tasks(chain);
  if (tasks == nullptr || tasks->empty()) return fail(Errc::bad_data, "a chain without tasks");
  const Object& options = canvas_options(std::as_const(chain));
  const std::size_t first = steps.size();
  for (auto& task : *tasks) {
    if (auto ok = normalize(task); !ok) return ok;
    if (canvas_kind(task) != CanvasKind::chain) {
      steps.push_back(std::move(task));
    } else if (auto ok = unroll(std::move(task), steps, depth + 1, headers_hear); !ok) {
      return ok;
    }
  }
  for (std::size_t i = first; i < steps.size(); ++i) {
    // A group that something follows is the header of a chord, whose body hears of its failures.
    const bool is_header = canvas_kind(steps[i]) == CanvasKind::group && i + 1 < steps.size();
    if (!is_header || headers_hear) append_links(canvas_options(steps[i]), "link_error", options.find("link_error"));
  }
  Object& last = canvas_options(steps.back());
  append_links(last, "link", options.find("link"));
  for (const std::string_view name : {"group_id", "group_index", "chord"}) set_default(last, name, options.find(name));
  if (canvas_kind(steps.back()) == CanvasKind::task) set_default(last, "task_id", options.find("task_id"));
  pass_on(options, steps[first]);
  hand_down(chain, steps[first]);
  return {};
}

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
    hand_down(steps[i], chord);
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

Result<void> flatten(Array members, Array& header, int depth) {
  if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
  for (auto& member : members) {
    if (auto ok = normalize(member); !ok) return ok;
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
      hand_down(member, task);
    }
    if (auto ok = flatten(std::move(*inner), header, depth + 1); !ok) return ok;
  }
  return {};
}

Value followed_by(Value body, const Array& rest) {
  if (rest.empty()) return body;
  Array steps;
  steps.push_back(std::move(body));
  steps.insert(steps.end(), rest.rbegin(), rest.rend());
  return wire::make_chain(std::move(steps));
}

void name_result(Value& signature, const std::string& id, int depth) {
  if (depth > kDeepest || signature.if_object() == nullptr) return;
  const CanvasKind kind = canvas_kind(signature);
  Array* const steps = kind == CanvasKind::chain ? canvas_tasks(signature) : nullptr;
  Value* const last = kind == CanvasKind::chord             ? chord_body(signature)
                      : steps != nullptr && !steps->empty() ? &steps->back()
                                                            : nullptr;
  if (last != nullptr) return name_result(*last, id, depth + 1);
  canvas_options(signature)["task_id"] = Value(id);
}

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

Result<std::uint64_t> place_header(Array& header, const std::string& group_id, const Value& body) {
  Placer placer(group_id, body);
  for (auto& task : header) {
    if (auto ok = freeze(task); !ok) return tl::unexpected(ok.error());
    if (auto ok = placer.place(task); !ok) return tl::unexpected(ok.error());
  }
  return placer.parts();
}

std::optional<std::string> header_id(const Value& chord) {
  const Value* const kwargs = chord.find("kwargs");
  const Value* const header = kwargs != nullptr ? kwargs->find("header") : nullptr;
  if (header != nullptr && header->if_object() != nullptr) {
    if (auto id = text_option(canvas_options(*header), "task_id")) return id;
  }
  return text_option(canvas_options(chord), "task_id");
}

}  // namespace lovage::app
