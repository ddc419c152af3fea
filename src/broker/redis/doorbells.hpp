// The waits of an idle worker: one BLMOVE per list, each on a connection of its own, from the list into the
// incarnation's inbox for it. A wait is only a doorbell: what it brought is reserved by the take script, which the
// server carries out right behind the wait, or where that cannot tell by the reserve script.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_function.hpp"
#include "broker/redis/script.hpp"
#include "client/redis_async.hpp"

namespace lovage::broker::redis {

// Loop thread only.
class Doorbells {
 public:
  struct Events {
    UniqueFunction<void(const std::string& list, std::string message)> on_taken;
    UniqueFunction<void(const std::string& list)> on_ring;         // something may be in its inbox
    UniqueFunction<void(const std::string& list)> on_reconnected;  // or have been taken, unheard
    UniqueFunction<void()> on_quiet;  // a wait ended with nothing (timeout, unblocked); may be armed again
    UniqueFunction<void(const std::string& list, const std::string& error)> on_refused;
  };
  Doorbells(net::Loop& loop, client::RedisAsync::Options options, std::chrono::milliseconds wait, Events events);
  Doorbells(const Doorbells&) = delete;
  Doorbells& operator=(const Doorbells&) = delete;
  ~Doorbells();

  void add(const std::string& list_key, const std::string& inbox_key);
  void remove(const std::string& list_key);  // its connection goes; unblock() first

  // Starts a wait on every list that has none, and behind it the call that `take_of` makes for the list. `wait` is the
  // server-side timeout.
  void arm(const std::function<ScriptCall(const std::string& list)>& take_of);
  // The connection `commands` was lost, and is there again: those of the waits may be as dead, unheard. Makes them
  // anew.
  void start_over(client::RedisAsync& commands);
  // Ends every wait at the server, through `commands`: nothing enters an inbox after the server has read
  // this, but by a wait that it had not read yet; that one rings.
  void unblock(client::RedisAsync& commands);
  // How many waits are outstanding.
  [[nodiscard]] std::size_t waiting() const noexcept;
  [[nodiscard]] bool at_rest() const noexcept { return waiting() == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return bells_.size(); }

 private:
  struct Bell;
  void answered(Bell& bell, const client::RedisReply& wait, client::RedisReply& take);
  static void unblock(const std::shared_ptr<Bell>& bell, client::RedisAsync& commands);

  net::Loop& loop_;
  client::RedisAsync::Options options_;
  std::string wait_seconds_;
  Events events_;
  std::vector<std::shared_ptr<Bell>> bells_;
};

}  // namespace lovage::broker::redis
