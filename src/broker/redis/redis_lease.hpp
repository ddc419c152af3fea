// The lease of an incarnation on Redis, and its turn at sweeping.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/consumer.hpp"
#include "broker/lease_observer.hpp"
#include "broker/redis/redis_consumer.hpp"
#include "broker/redis/unacked.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// Every worker observes, so that a sweeper's own death costs nobody the counting; only the holder of the lock acts.
class RedisLease final : public Lease {
 public:
  RedisLease(client::RedisOptions redis, Keys keys, IncarnationId incarnation, std::chrono::milliseconds lease,
             std::shared_ptr<Heartbeat> heartbeat, std::optional<UnackedOptions> unacked,
             const Clock& clock = Clock::system());

  Result<Renewal> renew(Deadline deadline) override;
  Result<std::vector<Swept>> sweep(Deadline deadline) override;

 private:
  // The connection in use, or a new one; a failed command drops it.
  Result<client::RedisSync*> connection(Deadline deadline);
  Result<client::RedisReply> call(const ScriptCall& script, Deadline deadline);
  Result<client::RedisReply> command(std::initializer_list<std::string_view> words, Deadline deadline);
  void drop_connection();

  Result<std::vector<DeadIncarnation>> observe(Deadline deadline);
  Result<std::optional<Swept>> give_back(const DeadIncarnation& dead, Deadline deadline);
  Result<void> look_at_orphans(Deadline deadline);
  Result<void> look_at_unacked(Deadline deadline);

  const client::RedisOptions redis_;
  const Keys keys_;
  const IncarnationId incarnation_;
  const std::chrono::milliseconds lease_;
  const std::shared_ptr<Heartbeat> heartbeat_;
  const Clock& clock_;
  LeaseObserver observer_;
  std::optional<UnackedSweep> unacked_;
  bool unacked_refused_ = false;  // said already
  std::unique_ptr<client::RedisSync> connection_;
};

}  // namespace lovage::broker::redis
