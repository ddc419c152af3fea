// What commands write: answers to stdout, everything else to stderr.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/value.hpp>

namespace lovage::cli {

// One line to stdout.
void print(std::string_view line);
// A JSON value, one line, to stdout.
void print_json(const Value& value);
// "Error: ..." to stderr.
void print_error(std::string_view message);

// Columns that line up, the first row as headings; numbers (cells of digits alone) to the right.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// "1 message", "2 messages".
std::string count_of(std::uint64_t count, std::string_view noun);

enum class Colour { bold_red, bold_green, bold_cyan };
// The text in colour, when stdout is a terminal and `wanted`.
std::string paint(std::string_view text, Colour colour, bool wanted);

// Asks on the terminal; anything but y or yes is no.
bool confirm(std::string_view question);

// Writes out what is buffered; false when it could not be written (a full disk, a closed pipe).
bool flush_output();

}  // namespace lovage::cli
