// A blocking Redis connection with deadlines, and a pool of them: for producers, result readers, the
// lease thread and management commands.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_options.hpp"
#include "client/redis_reply.hpp"
#include "net/socket.hpp"

namespace lovage::client {

// One connection; one thread at a time. After any failure but `refused` it is closed: make a new one.
class RedisSync {
 public:
  // Resolves (asking the sentinels where there are any), connects, does TLS, AUTH, SELECT.
  static Result<std::unique_ptr<RedisSync>> connect(const RedisOptions& options, Deadline deadline);
  virtual ~RedisSync() = default;

  // Sends one command and waits for its reply. Error replies are failures (see failure_of).
  virtual Result<RedisReply> command(std::span<const std::string_view> arguments, Deadline deadline) = 0;
  Result<RedisReply> command(std::initializer_list<std::string_view> arguments, Deadline deadline);

  // Writes commands that were appended to `bytes` and reads `replies` replies, error replies among them
  // as they came. A failure after the first byte was written is `uncertain`.
  Result<std::vector<RedisReply>> pipeline(std::string_view bytes, std::size_t replies, Deadline deadline);

  // The halves of a pipeline, for who has something to do between them, and for subscriptions. A failure to read is
  // `uncertain`.
  virtual Result<void> write(std::string_view bytes, Deadline deadline, net::More more = net::More::no) = 0;
  virtual Result<std::vector<RedisReply>> read_replies(std::size_t count, Deadline deadline) = 0;
  // One reply; nothing when the deadline passed.
  virtual Result<std::optional<RedisReply>> read(Deadline deadline) = 0;

  [[nodiscard]] virtual bool usable() const noexcept = 0;
  [[nodiscard]] virtual int fd() const noexcept = 0;
};

// Connections for any number of threads: taken, used, given back. Bounded; idle ones are checked with
// a look at the socket (a closed one is dropped). After fork() the child starts with an empty pool and
// leaves its parent's connections alone.
class RedisPool {
 public:
  explicit RedisPool(RedisOptions options, std::size_t max_idle = 10);
  RedisPool(const RedisPool&) = delete;
  RedisPool& operator=(const RedisPool&) = delete;
  ~RedisPool();

  class Lease {
   public:
    Lease(RedisPool& pool, std::unique_ptr<RedisSync> connection);
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();  // gives the connection back if it is still usable
    RedisSync* operator->() const noexcept { return connection_.get(); }
    RedisSync& operator*() const noexcept { return *connection_; }
    // Closes the connection instead, because somebody else's answers are still to come on it.
    void drop() noexcept { connection_.reset(); }

   private:
    RedisPool* pool_;
    std::unique_ptr<RedisSync> connection_;
  };
  Result<Lease> take(Deadline deadline);
  [[nodiscard]] const RedisOptions& options() const noexcept { return options_; }

 private:
  struct State;
  State& state();
  void give_back(std::unique_ptr<RedisSync> connection) noexcept;

  const RedisOptions options_;
  const std::size_t max_idle_;
  std::atomic<State*> state_;  // owned; a forked child puts its own in
};

}  // namespace lovage::client
