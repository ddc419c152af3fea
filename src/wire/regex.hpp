// Regular expressions from strangers, in bounded time and memory. std::regex, which goes back and forth and calls
// itself for each character, gives a short pattern endless time and all of the stack.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.hpp"

namespace lovage::wire {

inline constexpr std::size_t kMaxRegexBytes = 1000;

// Whether the pattern matches the text from its start on, up to anywhere: Python's re.match().
//
// Read as Python reads it: characters, ".", "[a-z]", "[^a-z]", \d \w \s \D \W \S (of ASCII: every other character is a
// \D, \W and \S), escaped punctuation, "^", "$", "|", "( )", "(?: )" and the repetitions * + ? {m,n}, lazy ones too.
// Errors, each with its reason: bad_data for what is no pattern, and for what Python knows besides: back references,
// assertions, flags, named groups, possessive repetitions, other escapes, characters beyond ASCII; too_large for a
// pattern over kMaxRegexBytes, groups nested too deeply, and repetitions that multiply.
Result<bool> regex_match(std::string_view pattern, std::string_view text);

}  // namespace lovage::wire
