// The waits of an idle worker: one BLMOVE per list, each on a connection of its own, from the list into the
// incarnation's inbox for it. Behind it, on the same connection, the server says whether what came is plain: nothing
// else waits in the list, and nothing is marked. Plain messages may be run at once; all others are reserved first.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_function.hpp"
#include "client/redis_async.hpp"

namespace lovage::broker::redis {

// Loop thread only.
class Doorbells {
 public:
  struct Events {
    UniqueFunction<void(const std::string& list, std::string message)> on_plain;  // it is in the inbox
    UniqueFunction<void(const std::string& list)> on_ring;                        // something is in its inbox
    UniqueFunction<void(const std::string& list)> on_reconnected;                 // or have been taken, unheard
    UniqueFunction<void()> on_quiet;  // a wait ended with nothing (timeout, unblocked); may be armed again
    UniqueFunction<void(const std::string& list, const std::string& error)> on_refused;
  };
  // `marks`: keys that exist where some message is marked.
  Doorbells(net::Loop& loop, client::RedisAsync::Options options, std::chrono::milliseconds wait,
            std::vector<std::string> marks, Events events);
  Doorbells(const Doorbells&) = delete;
  Doorbells& operator=(const Doorbells&) = delete;
  ~Doorbells();

  void add(const std::string& list_key, const std::string& inbox_key);
  void remove(const std::string& list_key);  // its connection goes; unblock() first

  // Starts a wait on every list that has none. `wait` is the server-side timeout.
  void arm();
  // What leaves together with a wait, in front of it, and is answered together with it: nobody is woken for it alone.
  struct Errand {
    std::string command;              // the server keeps its answer to itself
    std::string check;                // asks for "1" once the command has succeeded
    UniqueFunction<void(bool)> done;  // it has; false: it may have
  };
  // Whether a wait on this list can take one along: it has none now, and the server can keep an answer to itself.
  [[nodiscard]] bool can_carry(const std::string& list_key) const noexcept;
  void arm(const std::string& list_key, Errand errand);
  // An inbox was looked into: what the waits of now bring may have been found there, and only rings.
  void looked_into() noexcept;
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
  [[nodiscard]] Bell* find(const std::string& list_key) const noexcept;
  void arm(Bell& bell, Errand errand);
  void answered(Bell& bell, client::RedisReply& wait, const client::RedisReply& others);
  static void unblock(const std::shared_ptr<Bell>& bell, client::RedisAsync& commands);

  net::Loop& loop_;
  client::RedisAsync::Options options_;
  std::string wait_seconds_;
  std::vector<std::string> marks_;
  Events events_;
  std::vector<std::shared_ptr<Bell>> bells_;
};

}  // namespace lovage::broker::redis
