// UTF-8 as the wire needs it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lovage::wire {

// Strict UTF-8: no overlong forms, no surrogates.
bool is_utf8(std::string_view text) noexcept;

struct CodePoint {
  char32_t value;
  std::size_t length;  // bytes; 0 when the bytes are no UTF-8
};

// The first code point of a non-empty text. Surrogates in their three-byte form are let through: that is
// how Python's lone surrogates are held.
CodePoint decode_utf8(std::string_view text) noexcept;

// Any code point up to U+10FFFF, surrogates included.
void append_utf8(std::string& out, char32_t code_point);

}  // namespace lovage::wire
