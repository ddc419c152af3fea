#include "base/uuid.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "base/process_id.hpp"

namespace lovage {
namespace {

// The kernel's random bytes, fetched many at a time: one system call for 256 ids.
class RandomBytes {
 public:
  void take(std::array<std::uint8_t, 16>& out) {
    // A forked child has the parent's buffer: its bytes are spent.
    if (position_ + out.size() > buffer_.size() || owner_ != process_id()) refill();
    std::memcpy(out.data(), buffer_.data() + position_, out.size());
    position_ += out.size();
  }

 private:
  void refill() {
    std::size_t filled = 0;
    while (filled < buffer_.size()) {
      const ssize_t n = ::getrandom(buffer_.data() + filled, buffer_.size() - filled, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw std::runtime_error("getrandom failed: no source of random ids");
      filled += static_cast<std::size_t>(n);
    }
    position_ = 0;
    owner_ = process_id();
  }

  std::array<std::uint8_t, 4096> buffer_{};
  std::size_t position_ = 4096;
  pid_t owner_ = 0;
};

using Bytes = std::array<std::uint8_t, 16>;

Bytes random_bytes() {
  static thread_local RandomBytes random;
  Bytes bytes{};
  random.take(bytes);
  return bytes;
}

// "00" to "ff", one after the other.
constexpr std::array<char, 512> make_hex() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 512> hex{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    hex[2 * byte] = kDigits[byte / 16];
    hex[2 * byte + 1] = kDigits[byte % 16];
  }
  return hex;
}
constexpr std::array<char, 512> kHex = make_hex();

std::string text_of(Bytes bytes, unsigned version) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | version << 4U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);  // the variant of RFC 4122 and 9562
  std::string text(36, '-');
  char* to = text.data();
  const std::uint8_t* from = bytes.data();
  for (const std::size_t group : {4U, 2U, 2U, 2U, 6U}) {
    for (const std::uint8_t* const end = from + group; from != end; ++from, to += 2) {
      std::memcpy(to, kHex.data() + std::size_t{2} * *from, 2);
    }
    ++to;  // the dash that is there
  }
  return text;
}

}  // namespace

std::string new_uuid() {
  return text_of(random_bytes(), 4);
}

std::string new_task_id() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  auto time = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
  Bytes bytes = random_bytes();
  for (std::size_t i = 6; i-- > 0; time >>= 8U) bytes[i] = static_cast<std::uint8_t>(time);
  return text_of(bytes, 7);
}

}  // namespace lovage
