// Text from the wire as a log or a terminal may show it.
#pragma once

#include <string>
#include <string_view>

namespace lovage {

enum class Lines { one, many };

// The text with everything escaped that could steer a terminal or feign another line: control characters (of C0 and C1)
// and bytes that are no UTF-8 as \xNN, line separators and those that turn the direction of writing as \uNNNN. With
// Lines::many, newlines and tabs stay: for texts that have lines, as tracebacks.
std::string printable(std::string_view text, Lines lines = Lines::one);

}  // namespace lovage
