// JSON as Python's json module reads and writes it: ", " and ": " between, ASCII only, bare NaN and
// Infinity, whole numbers of any length, and kombu's tagged objects for what JSON lacks.
#pragma once

#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "base/result.hpp"
#include "wire/appender.hpp"
#include "wire/body.hpp"

namespace lovage::wire {

// Errors: bad_data (bytes in 5.2's JSON, a string that is no UTF-8), too_large (over 100 levels).
// What was appended before an error stays.
Result<void> append_json(std::string& out, const Value& value, JsonTypes types);

// The text in quotes. Bytes that are no UTF-8 become U+FFFD; false when there were any.
bool append_json_string(std::string& out, std::string_view text);
void append_json_string(Appender& out, std::string_view text);

// As Python's repr() writes a float: shortest form that reads back, "1.0", "1e+16", "nan" as NaN.
void append_json_double(std::string& out, double value);

Result<Value> parse_json(std::string_view text, const DecodeLimits& limits);

}  // namespace lovage::wire
