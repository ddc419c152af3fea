#include "wire/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace lovage::wire {
namespace {

constexpr bool is_continuation(unsigned char byte) noexcept {
  return (byte & 0xc0U) == 0x80U;
}

std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

CodePoint decode_utf8(std::string_view text) noexcept {
  constexpr CodePoint kBad{0xfffd, 0};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  std::size_t length = 0;
  char32_t value = 0;
  char32_t least = 0;
  if ((lead & 0xe0U) == 0xc0U) {
    length = 2, value = lead & 0x1fU, least = 0x80;
  } else if ((lead & 0xf0U) == 0xe0U) {
    length = 3, value = lead & 0x0fU, least = 0x800;
  } else if ((lead & 0xf8U) == 0xf0U) {
    length = 4, value = lead & 0x07U, least = 0x10000;
  } else {
    return kBad;
  }
  if (text.size() < length) return kBad;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(byte(i))) return kBad;
    value = (value << 6U) | (byte(i) & 0x3fU);
  }
  if (value < least || value > 0x10ffff) return kBad;
  return {value, length};
}

bool is_utf8(std::string_view text) noexcept {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const CodePoint next = decode_utf8(text);
    if (next.length == 0 || (next.value >= 0xd800 && next.value <= 0xdfff)) return false;
    text.remove_prefix(next.length);
  }
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto tail = [&](unsigned shift) { out.push_back(static_cast<char>(0x80U | ((code_point >> shift) & 0x3fU))); };
  if (code_point < 0x80) {
    out.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    out.push_back(static_cast<char>(0xc0U | (code_point >> 6U)));
    tail(0);
  } else if (code_point < 0x10000) {
    out.push_back(static_cast<char>(0xe0U | (code_point >> 12U)));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0U | (code_point >> 18U)));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace lovage::wire
