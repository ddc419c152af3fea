// Signatures of workflows, as they travel: chains, groups, chords and chunks, told by their "subtask_type" or task.
// Pure functions on untrusted values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::wire {

enum class CanvasKind { task, chain, group, chord, chunks, reference };

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

// A signature that is stored as a node of its workflow's graph (broker/graph.hpp). Lovage's own form: only in messages
// to queues that Lovage's workers alone serve.
struct GraphReference {
  std::string graph_id;
  std::uint64_t page = 0;
  std::uint64_t position = 0;  // on the page
};
// What people know of the signature without reading it: the id of its result, and who hears when it can never run.
Value make_reference(const GraphReference& to, std::string result_id, Array errbacks);
// Nothing for what is no reference, or a malformed one.
std::optional<GraphReference> graph_reference(const Value& signature);
Array reference_errbacks(const Value& reference);

// The header of a message that holds its workflow's graph: its id.
inline constexpr std::string_view kGraphHeader = "lovage_graph";

}  // namespace lovage::wire
