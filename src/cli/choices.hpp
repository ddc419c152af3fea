// The words that the value of an option may be: for checking it, and for shell completion.
#pragma once

#include <span>
#include <string_view>

namespace lovage::cli {

// By the name of the value's type in the help text ("POOL"); empty where any text may stand.
std::span<const std::string_view> choices_of(std::string_view type);

}  // namespace lovage::cli
