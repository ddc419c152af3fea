// One reply of a Redis server (RESP2), as a value; and commands as bytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct redisReply;
struct redisReader;

namespace lovage::client {

class RedisReply {
 public:
  enum class Kind { nil, integer, string, status, error, array };
  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;  // string, status, error
  std::vector<RedisReply> items;

  [[nodiscard]] bool is_nil() const noexcept { return kind == Kind::nil; }
  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
};

// The failure that an error reply means: LOADING, READONLY, MASTERDOWN, UNBLOCKED, TRYAGAIN and the
// like are server_busy; all else is refused.
Failure failure_of(const RedisReply& error);

// Appends one command in RESP to `out`.
void append_command(std::string& out, std::span<const std::string_view> arguments);
void append_command(std::string& out, std::initializer_list<std::string_view> arguments);

// Bytes in, replies out, bounded: a bulk string over `max_bulk` or nesting over a few levels is bad_data.
class RedisReader {
 public:
  RedisReader();
  ~RedisReader();
  RedisReader(RedisReader&&) noexcept;
  RedisReader& operator=(RedisReader&&) noexcept;
  Result<void> feed(std::string_view bytes);
  // Nothing: more bytes are needed.
  Result<std::optional<RedisReply>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace lovage::client
