// Options of a signature, read without trust: they come from the wire.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::worker {

// A text option; nothing when it is absent, of another type or empty.
std::optional<std::string> text_option(const Object& options, std::string_view key);
// One signature or a list of them, as a list; nothing when absent or null.
std::optional<Array> list_of(const Value* value);

}  // namespace lovage::worker
