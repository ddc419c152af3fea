// Base64 with the standard alphabet and padding (RFC 4648).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lovage::wire {

constexpr std::size_t base64_size(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}
void append_base64(std::string& out, std::string_view bytes);

// Strict: empty for foreign characters, a wrong length, wrong padding or stray bits in the last group.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace lovage::wire
