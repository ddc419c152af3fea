#include "cli/print.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iostream>

#include <fmt/format.h>

#include "base/printable.hpp"

namespace lovage::cli {
namespace {

void write(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Characters, not bytes: queue names may hold any UTF-8.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

void print(std::string_view line) {
  write(stdout, line);
  write(stdout, "\n");
}

void print_json(const Value& value) {
  print(to_json(value));
}

void print_error(std::string_view message) {
  std::fflush(stdout);  // in the order of the events, where both go to one place
  write(stderr, fmt::format("Error: {}\n", printable(message, Lines::many)));
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(printable(row[i])));
  }
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      const std::string cell = printable(rows[r][i]);
      const std::string padding(widths[i] - width_of(cell), ' ');
      // A heading stands over its column's numbers.
      const bool right = is_number(r == 0 && rows.size() > 1 ? rows[1][i] : cell);
      line += (i == 0 ? "" : "  ") + (right ? padding + cell : cell + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string count_of(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string paint(std::string_view text, Colour colour, bool wanted) {
  if (!wanted || ::isatty(STDOUT_FILENO) == 0) return std::string(text);
  const int code = colour == Colour::bold_red ? 31 : colour == Colour::bold_green ? 32 : 36;
  return fmt::format("\033[1;{}m{}\033[0m", code, text);
}

bool confirm(std::string_view question) {
  write(stdout, question);
  std::fflush(stdout);
  std::string answer;
  if (!std::getline(std::cin, answer)) {
    write(stdout, "\n");
    return false;
  }
  std::transform(answer.begin(), answer.end(), answer.begin(), [](unsigned char c) { return std::tolower(c); });
  return answer == "y" || answer == "yes";
}

bool flush_output() {
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace lovage::cli
