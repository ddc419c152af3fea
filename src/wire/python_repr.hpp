// Python's repr() of single values; see body.hpp for whole arguments.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::wire {

// Anything but strings, bytes, arrays and objects: "None", "1.5", "Decimal('1.500')".
std::string scalar_repr(const Value& value);

// A string in quotes with control characters escaped: 'it is', "it's", 'a\nb'.
std::string python_string(std::string_view text);

}  // namespace lovage::wire
