#include "app/stamping.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "app/canvas_shape.hpp"
#include "wire/canvas.hpp"

namespace lovage {
namespace {

Signature header_of(const Signature& chord) {
  const Value value = chord.to_value();
  const Array* const tasks = wire::canvas_tasks(value);
  return Signature::from_value(chord.core(), wire::make_group(tasks != nullptr ? *tasks : Array{}));
}

}  // namespace

Object StampingVisitor::on_chord_header_start(const Signature& chord, const Object& stamps) {
  return on_group_start(header_of(chord), stamps);
}

void StampingVisitor::on_chord_header_end(const Signature& chord, const Object& stamps) {
  on_group_end(header_of(chord), stamps);
}

namespace app {
namespace {

using wire::canvas_kind;
using wire::canvas_options;
using wire::canvas_tasks;
using wire::CanvasKind;

constexpr int kDeepest = 50;

// What means something among a signature's options already.
bool is_option(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 18> kNames{"queue",         "exchange",
                                                           "routing_key",   "priority",
                                                           "countdown",     "eta",
                                                           "expires",       "retries",
                                                           "time_limit",    "soft_time_limit",
                                                           "shadow",        "headers",
                                                           "serializer",    "compression",
                                                           "ignore_result", "replaced_task_nesting",
                                                           "reply_to",      "stamped_headers"};
  return is_structural(name) || std::ranges::find(kNames, name) != kNames.end();
}

const Array& stamp_names(const Object& options) noexcept {
  static const Array kNone{};
  const Value* const names = options.find("stamped_headers");
  return names != nullptr && names->if_array() != nullptr ? *names->if_array() : kNone;
}

Value appended(const Value& outer, const Value& inner) {
  const auto as_list = [](const Value& value) {
    return value.if_array() != nullptr ? *value.if_array() : Array{value};
  };
  Array list = as_list(outer);
  const Array more = as_list(inner);
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

class Stamper {
 public:
  explicit Stamper(const Stamping& stamping) : stamping_(stamping) {}

  Result<void> stamp(Value& signature, const Object& given, int depth = 0) {
    if (depth > kDeepest) return fail(Errc::too_large, "signatures nest too deeply");
    if (auto ok = check_object(signature); !ok) return ok;
    const CanvasKind kind = canvas_kind(signature);
    const Object stamps = joined(given, begun(kind, signature, given));
    for (const auto& [name, value] : stamps) {
      if (is_option(name)) return fail(Errc::misconfigured, "'" + name + "' is an option, and cannot be a stamp");
    }
    put_on(canvas_options(signature), stamps);
    // What hangs at a single task has stamps of its own.
    const bool is_single = kind == CanvasKind::task || kind == CanvasKind::chunks;
    if (auto ok = stamp_links(signature, is_single ? given : stamps, depth); !ok) return ok;
    if (is_single) return {};
    if (Array* const tasks = canvas_tasks(signature)) {
      for (auto& task : *tasks) {
        if (auto ok = stamp(task, stamps, depth + 1); !ok) return ok;
      }
    }
    end(kind, signature, stamps);
    Value* const body = kind == CanvasKind::chord ? wire::chord_body(signature) : nullptr;
    if (body == nullptr) return {};
    const Object more = ask(&StampingVisitor::on_chord_body, signature, stamps);
    return stamp(*body, joined(stamps, more), depth + 1);
  }

 private:
  using Hook = Object (StampingVisitor::*)(const Signature&, const Object&);
  using EndHook = void (StampingVisitor::*)(const Signature&, const Object&);

  Object ask(Hook hook, const Value& signature, const Object& given) const {
    if (stamping_.visitor == nullptr) return {};
    return (stamping_.visitor->*hook)(Signature::from_value(stamping_.core, signature), given);
  }

  Object begun(CanvasKind kind, const Value& signature, const Object& given) const {
    switch (kind) {
      case CanvasKind::chain:
        return ask(&StampingVisitor::on_chain_start, signature, given);
      case CanvasKind::group:
        return ask(&StampingVisitor::on_group_start, signature, given);
      case CanvasKind::chord:
        return ask(&StampingVisitor::on_chord_header_start, signature, given);
      case CanvasKind::chunks:
      case CanvasKind::task:
      case CanvasKind::reference:
        break;
    }
    return ask(&StampingVisitor::on_signature, signature, given);
  }

  void end(CanvasKind kind, const Value& signature, const Object& stamps) const {
    if (stamping_.visitor == nullptr) return;
    const EndHook hook = kind == CanvasKind::chain   ? &StampingVisitor::on_chain_end
                         : kind == CanvasKind::group ? &StampingVisitor::on_group_end
                                                     : &StampingVisitor::on_chord_header_end;
    (stamping_.visitor->*hook)(Signature::from_value(stamping_.core, signature), stamps);
  }

  Result<void> stamp_links(Value& signature, const Object& given, int depth) {
    static constexpr std::array<std::pair<std::string_view, Hook>, 2> kLinks{
        {{"link", &StampingVisitor::on_callback}, {"link_error", &StampingVisitor::on_errback}}};
    for (const auto& [name, hook] : kLinks) {
      Object& options = canvas_options(signature);
      if (options.find(name) == nullptr || options.find(name)->is_null()) continue;
      Value& links = options[name];
      const auto stamp_one = [&, hook = hook](Value& link) -> Result<void> {
        if (auto ok = check_object(link); !ok) return ok;
        return stamp(link, joined(given, ask(hook, link, given)), depth + 1);
      };
      Array* const list = links.if_array();
      if (list == nullptr) {
        if (auto ok = stamp_one(links); !ok) return ok;
        continue;
      }
      for (auto& link : *list) {
        if (auto ok = stamp_one(link); !ok) return ok;
      }
    }
    return {};
  }

  [[nodiscard]] Object joined(const Object& outer, Object inner) const {
    for (const auto& [name, value] : outer) {
      const Value* const present = inner.find(name);
      if (present == nullptr)
        inner.set(name, value);
      else if (stamping_.appends)
        inner.set(name, appended(value, *present));
    }
    return inner;
  }

  void put_on(Object& options, const Object& stamps) const {
    for (const auto& [name, value] : stamps) {
      const bool appends = stamping_.appends && is_stamp(options, name);
      if (appends)
        options.set(name, appended(value, *options.find(name)));
      else
        add_stamp(options, name, value);
    }
  }

  const Stamping& stamping_;
};

}  // namespace

bool is_stamp(const Object& options, std::string_view name) noexcept {
  const bool is_named = std::ranges::any_of(stamp_names(options), [&](const Value& known) {
    return known.if_string() != nullptr && *known.if_string() == name;
  });
  return is_named && options.find(name) != nullptr;
}

void add_stamp(Object& options, const std::string& name, const Value& value) {
  if (is_stamp(options, name)) return;
  Array names = stamp_names(options);
  const bool is_named = std::ranges::find(names, Value(name)) != names.end();
  if (!is_named) names.emplace_back(name);
  options["stamped_headers"] = Value(std::move(names));
  options.set(name, value);
}

Object stamps_of(const Object& options) {
  Object stamps;
  for (const auto& name : stamp_names(options)) {
    const Value* const stamp = name.if_string() != nullptr ? options.find(*name.if_string()) : nullptr;
    if (stamp != nullptr) stamps.set(*name.if_string(), *stamp);
  }
  return stamps;
}

Object stampable(const Object& stamps) {
  Object left;
  for (const auto& [name, value] : stamps) {
    if (!is_option(name)) left.set(name, value);
  }
  return left;
}

Result<void> stamp(Value& signature, const Object& stamps, const Stamping& stamping) {
  return Stamper(stamping).stamp(signature, stamps);
}

}  // namespace app
}  // namespace lovage
