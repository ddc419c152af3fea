// A fast reader for JSON of the plain kind, which nearly every envelope is: printable ASCII, no escapes, small
// whole numbers. It copies nothing. All else is for json_reader.hpp: a text is plain, or is read again there.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lovage::wire {

// The end of what can stand in a plain string from `at` on: a quote, a backslash, a control character, what is not
// ASCII, or `end`.
inline const char* end_of_plain(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  const __m128i quotes = _mm_set1_epi8('"');
  const __m128i backslashes = _mm_set1_epi8('\\');
  const __m128i first_printable = _mm_set1_epi8(0x20);
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // As signed numbers, what is not ASCII is below 0.
    const __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quotes), _mm_cmpeq_epi8(block, backslashes)),
                                       _mm_cmplt_epi8(block, first_printable));
    if (const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found)); mask != 0)
      return at + std::countr_zero(mask);
  }
#endif
  while (at != end && *at != '"' && *at != '\\' && *at >= 0x20 && static_cast<unsigned char>(*at) < 0x80) ++at;
  return at;
}

// Calls a handler as RapidJSON's reader does. Strings handed out are parts of the text. A handler that knows which
// name should come next (expected_key(), or empty) is told expected_key_came() in the place of Key().
template <class Handler>
class PlainJsonReader {
 public:
  PlainJsonReader(std::string_view text, Handler& handler) noexcept
      : at_(text.data()), end_(text.data() + text.size()), handler_(handler) {}

  // False: the text is not plain, or not JSON, or the handler refused it. What the handler was told is void then.
  [[nodiscard]] bool read() {
    if (!value()) return false;
    while (depth_ > 0) {
      skip_blanks();
      if (peek() == ',') {
        ++at_;
        if ((in_object() && !key()) || !value()) return false;
      } else if (!at_end_of_container() || !close()) {
        return false;
      }
    }
    skip_blanks();
    return at_ == end_;
  }

 private:
  using Size = unsigned;  // as RapidJSON's SizeType

  // One bit for each open container, and what lies deeper is not plain.
  static constexpr int kMostDepth = 32;

  // No part of a plain text is a NUL byte, so it stands for the end too.
  [[nodiscard]] char peek() const noexcept { return at_ != end_ ? *at_ : '\0'; }
  [[nodiscard]] bool in_object() const noexcept { return (objects_ & 1U) != 0; }

  // Mostly there are none, or a single space.
  void skip_blanks() noexcept {
    if (peek() == ' ') ++at_;
    while (is_blank(peek())) ++at_;
  }
  static bool is_blank(char c) noexcept { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t'); }

  // A value, or the start of one: the members of a container are the caller's next values.
  bool value() {
    for (;;) {
      skip_blanks();
      switch (peek()) {
        case '{':
          if (!open(true)) return false;
          skip_blanks();
          if (at_end_of_container()) return true;
          if (!key()) return false;
          continue;
        case '[':
          if (!open(false)) return false;
          skip_blanks();
          if (at_end_of_container()) return true;
          continue;
        case '"':
          return text();
        case 'n':
          return word("null") && handler_.Null();
        case 't':
          return boolean("true", true);
        case 'f':
          return boolean("false", false);
        default:
          return number();
      }
    }
  }

  bool open(bool object) {
    if (++depth_ > kMostDepth) return false;
    ++at_;
    objects_ = objects_ << 1U | (object ? 1U : 0U);
    return object ? handler_.StartObject() : handler_.StartArray();
  }
  [[nodiscard]] bool at_end_of_container() const noexcept { return peek() == (in_object() ? '}' : ']'); }
  bool close() {
    const bool object = in_object();
    ++at_;
    --depth_;
    objects_ >>= 1U;
    return object ? handler_.EndObject(0) : handler_.EndArray(0);
  }

  // A member's name and what parts it from its value.
  bool key() {
    skip_blanks();
    if (accept_expected_key()) {
      handler_.expected_key_came();
    } else {
      std::string_view name;
      if (!string(name) || !handler_.Key(name.data(), static_cast<Size>(name.size()), true)) return false;
    }
    if (peek() != ':') {
      skip_blanks();
      if (peek() != ':') return false;
    }
    ++at_;
    return true;
  }

  bool accept_expected_key() noexcept {
    const std::string_view name = handler_.expected_key();
    if (name.empty() || end_ - at_ < static_cast<std::ptrdiff_t>(name.size() + 2)) return false;
    if (*at_ != '"' || at_[name.size() + 1] != '"' || std::string_view(at_ + 1, name.size()) != name) return false;
    at_ += name.size() + 2;
    return true;
  }

  bool string(std::string_view& content) noexcept {
    if (peek() != '"') return false;
    const char* const first = ++at_;
    at_ = end_of_plain(first, end_);
    content = {first, static_cast<std::size_t>(at_ - first)};
    if (peek() != '"') return false;
    ++at_;
    return true;
  }

  bool text() {
    std::string_view content;
    return string(content) && handler_.String(content.data(), static_cast<Size>(content.size()), true);
  }

  bool boolean(std::string_view expected, bool value) { return word(expected) && handler_.Bool(value); }

  bool word(std::string_view expected) noexcept {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  // Whole numbers that fit 64 bits. What follows is looked at by who expects a comma or an end.
  bool number() {
    constexpr std::ptrdiff_t kMostDigits = 18;
    const char* const start = at_;
    if (peek() == '-') ++at_;
    const char* const first = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    const auto digits = at_ - first;
    if (digits == 0 || digits > kMostDigits || (digits > 1 && *first == '0')) return false;
    return handler_.RawNumber(start, static_cast<Size>(at_ - start), true);
  }

  const char* at_;
  const char* const end_;
  Handler& handler_;
  int depth_ = 0;
  std::uint32_t objects_ = 0;  // the innermost container is the lowest bit
};

template <class Handler>
[[nodiscard]] bool read_plain_json(std::string_view text, Handler& handler) {
  return PlainJsonReader<Handler>(text, handler).read();
}

}  // namespace lovage::wire
