// The shape of workflows: what their forms mean, before anything is sent. Pure functions on signatures as they travel;
// what comes from the wire is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "base/result.hpp"

namespace lovage::app {

// Gives every task and group in it the id that it lacks, so that copies of it agree. Celery: freeze. Fails with
// bad_data or too_large (nesting over 50).
Result<void> freeze(Value& signature);

// Makes parts of a chord, all with this index, out of those tasks in it whose ends the chord waits for; how many.
Result<std::uint64_t> place_in_chord(Value& signature, const std::string& group_id, std::int64_t index,
                                     const Value& body);
// The same for all of a header, with indices in its order.
Result<std::uint64_t> place_header(Array& header, const std::string& group_id, const Value& body);

Result<void> check_object(const Value& signature);
// The forms that all others here read: chunks are a group wherever they stand, and what follows a whole workflow by an
// option of its own makes a chain with it. Celery's workers hand what follows a chord to its body so. Fails with
// bad_data for what is no signature.
Result<void> normalize(Value& signature);
// The steps of a chain without chains in it; what hangs at an inner chain hangs at its steps then. `headers_hear`: its
// errbacks are also those of groups that something follows (task_allow_error_cb_on_chord_header).
Result<void> unroll(Value chain, Array& steps, int depth, bool headers_hear = false);
// A group that something follows is the header of a chord.
Array with_chords(Array steps);
// The members of groups in a header count like its own tasks. Lovage keeps them in their order.
Result<void> flatten(Array members, Array& header, int depth);
// One chain with what follows, as a body. `rest` is in reverse.
Value followed_by(Value body, const Array& rest);
// The id of a chord's header.
std::optional<std::string> header_id(const Value& chord);

// Gives the id to the task, or the group, whose result is the workflow's: a chain's last step, a chord's body.
void name_result(Value& signature, const std::string& id, int depth = 0);

// What such an option of a chain, group or chord means for the tasks in it depends on its form; all others are theirs.
bool is_structural(std::string_view option) noexcept;
// Options of a workflow that its tasks take over: all but those which concern its form. Their own stamps stay.
void pass_on(const Object& from, Value& to);
// Arguments that a workflow was given as a whole come before those of `task`, one of those that take them over: the
// first step, a member, a header task. Immutable ones are left alone.
void hand_down(const Value& whole, Value& task);
// Appends `more` (one signature or a list) to the list under `name`, each once.
void append_links(Object& options, std::string_view name, const Value* more);
void set_default(Object& options, std::string_view name, const Value* value);

}  // namespace lovage::app
