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

// An error that says that this server is not (or not yet, or no more) the one to talk to: LOADING,
// READONLY, MASTERDOWN, and UNBLOCKED by a fail-over. The connection is to be made anew.
bool wants_another_server(const RedisReply& reply);
bool wants_another_server(const Failure& failure);

// Appends one command in RESP to `out`.
void append_command(std::string& out, std::span<const std::string_view> arguments);
// The same in pieces: a command's head, then each of its words.
void append_command_head(std::string& out, std::size_t words);
void append_word(std::string& out, std::string_view word);
void append_command(std::string& out, std::initializer_list<std::string_view> arguments);

// Bytes in, replies out, bounded: a reply of more than `max_reply` bytes or nesting over a few levels is
// bad_data, and so is all that follows. Call next() until it has nothing before feeding more.
class RedisReader {
 public:
  // The default is the longest string that Redis keeps.
  static constexpr std::size_t kMaxReply = std::size_t{512} * 1024 * 1024;
  explicit RedisReader(std::size_t max_reply = kMaxReply);
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;
  ~RedisReader();
  RedisReader(RedisReader&&) noexcept;
  RedisReader& operator=(RedisReader&&) noexcept;
  Result<void> feed(std::string_view bytes);
  // Nothing: more bytes are needed.
  Result<std::optional<RedisReply>> next();
  // Not a byte is left over: the connection is in step.
  [[nodiscard]] bool empty() const noexcept { return reply_size_ == 0; }

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::size_t max_reply_;
  std::size_t reply_size_ = 0;  // bytes of the reply that is not complete yet
};

}  // namespace lovage::client
