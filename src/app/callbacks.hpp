// on_success, on_failure and on_complete of workflows, said in the wire's own words: link and link_error.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "app/core.hpp"
#include "base/result.hpp"

namespace lovage::app {

inline constexpr std::string_view kOnSuccess = "on_success";
inline constexpr std::string_view kOnFailure = "on_failure";
inline constexpr std::string_view kOnComplete = "on_complete";

// Whether it, or a signature in it, has any of the three.
bool has_callbacks(const Value& signature);

// Puts them where they belong, in all that a frozen signature consists of. A group has no end of its own: one that has
// callbacks becomes the header of a chord whose body hands the list on. Fails with bad_data or too_large.
Result<void> attach_callbacks(const Core& core, Value& frozen);

// Whether a chord is a group that has callbacks: its result is still the group's.
bool stands_for_group(const Value& chord) noexcept;

// The id of the result of a frozen signature: of a group, the group's.
std::string result_id(Value& frozen);

}  // namespace lovage::app
