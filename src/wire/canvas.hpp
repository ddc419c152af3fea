// Signatures of workflows, as they travel: chains, groups, chords and chunks, told by their "subtask_type" or task.
// Pure functions on untrusted values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::wire {

enum class CanvasKind { task, chain, group, chord, chunks };

// What is no signature at all counts as a task; signature_from_value() says what is wrong with it.
CanvasKind canvas_kind(const Value& signature) noexcept;

// The steps of a chain, the members of a group, the header tasks of a chord (whose header may be a list or a group);
// nullptr when there are none.
const Array* canvas_tasks(const Value& signature) noexcept;
Array* canvas_tasks(Value& signature) noexcept;
// Of a chord; nullptr when it has none.
const Value* chord_body(const Value& signature) noexcept;
Value* chord_body(Value& signature) noexcept;

// The signature's options; an empty object when it has none.
const Object& canvas_options(const Value& signature) noexcept;
// The same, made when missing. `signature` has to be an object.
Object& canvas_options(Value& signature);

// A text option; nothing when it is absent, of another type or empty.
std::optional<std::string> text_option(const Object& options, std::string_view key);
// One signature or a list of them, as a list; nothing when absent or null.
std::optional<Array> list_of(const Value* value);

// In the order of execution.
Value make_chain(Array steps);
Value make_group(Array members);
Value make_chord(Array header, Value body);

}  // namespace lovage::wire
