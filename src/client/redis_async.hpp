// A Redis connection on the event loop: everything that one loop turn asks for travels as one write,
// replies come back in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/backoff.hpp"
#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "client/redis_options.hpp"
#include "client/redis_reply.hpp"

namespace lovage::net {
class Loop;
}

namespace lovage::client {

// Loop thread only. Connects by itself and again after a loss, with back-off and full jitter, and never
// gives up until close(). A lost connection fails every command whose reply is outstanding
// (`uncertain`) or unwritten (`unavailable`); the caller asks again after on_connected.
class RedisAsync {
 public:
  using ReplyHandler = UniqueFunction<void(Result<RedisReply>)>;

  struct Events {
    UniqueFunction<void()> on_connected = {};  // before any command is sent; each time
    // After the handlers of the commands that were lost with it; also when connecting failed.
    UniqueFunction<void(const Failure&, std::chrono::milliseconds retry_in)> on_disconnected = {};
    // Messages of subscriptions ("message", "pmessage" arrays), which answer no command.
    UniqueFunction<void(RedisReply)> on_message = {};
  };
  struct Options {
    RedisOptions redis;
    Backoff backoff = {};
    // Silence: no reply while one is outstanding, and nothing on its way to the server either. Blocking commands
    // (BLMOVE ...) need more of both; 0 turns them off.
    // After so much of it a second connection is made beside this one. Where the server answers there, this one has
    // been swallowed on its way: the new one takes its place. A server that is slow answers neither. Of a connection
    // that is being made: after so long, once, and the first of both to be there is taken.
    std::chrono::milliseconds suspect_after{2'000};
    // After so much the connection is taken as dead, whatever the server does.
    std::chrono::milliseconds reply_timeout{10'000};
    // PING after so long without a word, so that silence is noticed where there is nothing to ask; 0: never.
    std::chrono::milliseconds keepalive{0};
    std::string client_name = {};
  };

  RedisAsync(net::Loop& loop, Options options, Events events);
  ~RedisAsync();  // closes; outstanding handlers are not called any more
  RedisAsync(const RedisAsync&) = delete;
  RedisAsync& operator=(const RedisAsync&) = delete;

  void connect();
  // Outstanding handlers are not called any more. connect() starts again.
  void close();
  [[nodiscard]] bool connected() const noexcept;
  // The id of this connection at the server (CLIENT ID), for CLIENT UNBLOCK; 0 when not connected.
  [[nodiscard]] std::int64_t client_id() const noexcept;

  // Queues one command; it leaves at the end of the loop turn, in one write with its neighbours. The
  // handler is called once, later, on the loop. Error replies reach it as replies (is_error()).
  void command(std::span<const std::string_view> arguments, ReplyHandler handler);
  void command(std::initializer_list<std::string_view> arguments, ReplyHandler handler);
  // Commands that were appended with append_command; error replies are among the replies, as they came.
  // At least one.
  void pipeline(std::string bytes, std::size_t replies, UniqueFunction<void(Result<std::vector<RedisReply>>)> handler);

  // Drops the connection now, as if it had been lost (tests, and READONLY after a fail-over).
  void reset(const Failure& why);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lovage::client
