#include "base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace lovage {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t size = 0;  // in bytes; 0: no UTF-8
};

std::uint8_t byte_at(std::string_view text, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(text[at]);
}

// The first character of a text that is not empty.
Character decode(std::string_view text) noexcept {
  const std::uint8_t first = byte_at(text, 0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return {};
  char32_t code = first & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(text, i) & 0xC0U) != 0x80) return {};
    code = code << 6U | (byte_at(text, i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < kSmallest[size] || code > 0x10FFFF || surrogate ? Character{} : Character{code, size};
}

bool turns_or_parts_lines(char32_t code) noexcept {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

bool is_plain(char c) noexcept {
  return c >= 0x20 && c < 0x7F;
}

}  // namespace

std::string printable(std::string_view text, Lines lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const Character next = decode(text);
    const bool control = next.code < 0x20 || (next.code >= 0x7F && next.code < 0xA0);
    const bool wanted = lines == Lines::many && (next.code == '\n' || next.code == '\t');
    const std::size_t size = std::max<std::size_t>(next.size, 1);
    if (next.size == 0) {
      out += fmt::format("\\x{:02x}", byte_at(text, 0));
    } else if (control && !wanted) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(next.code));
    } else if (turns_or_parts_lines(next.code)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(next.code));
    } else {
      out.append(text.substr(0, size));
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace lovage
