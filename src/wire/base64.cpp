#include "wire/base64.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lovage::wire {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kForeign = 0xff;

// The letters of twelve bits at a time: half as many steps as letter by letter.
constexpr std::array<char, 8192> make_pairs() {
  std::array<char, 8192> pairs{};
  for (std::size_t bits = 0; bits < 4096; ++bits) {
    pairs[2 * bits] = kAlphabet[bits >> 6U];
    pairs[2 * bits + 1] = kAlphabet[bits & 63U];
  }
  return pairs;
}
constexpr std::array<char, 8192> kPairs = make_pairs();

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr std::array<std::uint8_t, 256> kValues = make_values();

constexpr std::uint32_t byte_at(const char* bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}
void put_pair(char* to, std::uint32_t twelve_bits) {
  std::memcpy(to, kPairs.data() + std::size_t{2} * twelve_bits, 2);
}
constexpr std::uint32_t value_at(const char* text, std::size_t i) {
  return kValues[static_cast<unsigned char>(text[i])];
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const std::size_t start = out.size();
  out.resize(start + base64_size(bytes.size()));
  char* to = out.data() + start;
  const char* from = bytes.data();
  const std::size_t rest = bytes.size() % 3;
  for (const char* const end = from + (bytes.size() - rest); from != end; from += 3, to += 4) {
    const std::uint32_t group = byte_at(from, 0) << 16U | byte_at(from, 1) << 8U | byte_at(from, 2);
    put_pair(to, group >> 12U);
    put_pair(to + 2, group & 0xfffU);
  }
  if (rest == 0) return;
  const std::uint32_t group = byte_at(from, 0) << 16U | (rest == 2 ? byte_at(from, 1) << 8U : 0U);
  put_pair(to, group >> 12U);
  to[2] = rest == 2 ? kAlphabet[(group >> 6U) & 63U] : '=';
  to[3] = '=';
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out(text.size() / 4 * 3 - padding, '\0');
  char* to = out.data();
  const char* from = text.data();
  const char* const end_of_whole = from + (padding == 0 ? text.size() : text.size() - 4);
  std::uint32_t seen = 0;  // any value with bits over 63 shows a foreign character
  for (; from != end_of_whole; from += 4, to += 3) {
    const std::uint32_t a = value_at(from, 0), b = value_at(from, 1), c = value_at(from, 2), d = value_at(from, 3);
    seen |= a | b | c | d;
    const std::uint32_t group = a << 18U | b << 12U | c << 6U | d;
    to[0] = static_cast<char>(group >> 16U);
    to[1] = static_cast<char>(group >> 8U);
    to[2] = static_cast<char>(group);
  }
  if (padding != 0) {
    const std::uint32_t a = value_at(from, 0), b = value_at(from, 1);
    const std::uint32_t c = padding == 1 ? value_at(from, 2) : 0;
    seen |= a | b | c;
    const std::uint32_t group = a << 18U | b << 12U | c << 6U;
    const std::uint32_t stray = padding == 1 ? group & 0xffU : group & 0xffffU;
    if (stray != 0) return std::nullopt;
    to[0] = static_cast<char>(group >> 16U);
    if (padding == 1) to[1] = static_cast<char>(group >> 8U);
  }
  if (seen > 63) return std::nullopt;
  return out;
}

}  // namespace lovage::wire
