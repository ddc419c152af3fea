// Words of a command, in the form in which they travel.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "client/redis_reply.hpp"

namespace lovage::broker::redis {

struct Words {
  std::size_t count = 0;
  std::string bytes;

  void add(std::string_view word) {
    client::append_word(bytes, word);
    ++count;
  }
  void add(std::uint64_t number) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    add(std::string_view(digits.data(), end));
  }
  void add(const Words& more) {
    bytes += more.bytes;
    count += more.count;
  }
};

}  // namespace lovage::broker::redis
