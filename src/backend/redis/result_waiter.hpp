// Threads that wait for results share one subscription connection. One of them, the leader, reads it for
// all; when it leaves, another takes over. Nobody waits: nothing is subscribed, 0.2 s later at the latest.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_sync.hpp"

namespace lovage::backend::redis {

// Thread-safe. A forked child starts anew and leaves its parent's connection alone.
class ResultWaiter {
 public:
  explicit ResultWaiter(client::RedisPool& pool);
  ~ResultWaiter();
  ResultWaiter(const ResultWaiter&) = delete;
  ResultWaiter& operator=(const ResultWaiter&) = delete;

  // The meta under `key` once its state is ready; nothing when the deadline passed. Looks and subscribes in one step,
  // so that nothing is missed between the two; beside other waiters one GET after the subscription's confirmation
  // catches what was published before it.
  Result<std::optional<std::string>> wait(const std::string& key, Deadline deadline);

 private:
  struct State;
  State& state();

  client::RedisPool& pool_;
  std::atomic<State*> state_;  // owned; a forked child puts its own in
};

}  // namespace lovage::backend::redis
