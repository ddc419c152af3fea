// Regular expressions from strangers, in bounded time and memory: by PCRE2, whose limits say when to stop.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.hpp"

namespace lovage::wire {

inline constexpr std::size_t kMaxRegexBytes = 1000;

// Whether the pattern matches the text from its start on, up to anywhere: Python's re.match(), as far as Python's
// patterns and PCRE2's mean the same. Text that is no UTF-8 matches nothing there.
// Errors: bad_data for what is no pattern, with PCRE2's reason; too_large for a pattern over kMaxRegexBytes, and for
// one that takes more steps or memory than any sensible one does.
Result<bool> regex_match(std::string_view pattern, std::string_view text);

}  // namespace lovage::wire
