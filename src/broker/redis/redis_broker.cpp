#include "broker/redis/redis_broker.hpp"

#include <utility>

#include "base/uuid.hpp"
#include "broker/dead_letters.hpp"
#include "broker/redis/redis_consumer.hpp"
#include "broker/redis/redis_lease.hpp"
#include "broker/redis/server_info.hpp"

namespace lovage::broker::redis {

RedisBroker::RedisBroker(RedisBrokerOptions options)
    : options_(std::move(options)),
      keys_(options_.redis.global_keyprefix, options_.layout),
      pool_(options_.redis),
      bindings_(options_.layout) {}

RedisBroker::~RedisBroker() = default;

ConsumerPair RedisBroker::make_consumer(net::Loop& loop, ConsumerOptions options) {
  auto heartbeat = std::make_shared<Heartbeat>();
  const IncarnationId incarnation(new_uuid());
  const auto lease = options.lease;
  ConsumerSetup setup{options_.redis, keys_, options_.results, incarnation, std::move(options), heartbeat};
  ConsumerPair pair;
  pair.consumer = std::make_unique<RedisConsumer>(loop, std::move(setup));
  pair.lease = std::make_unique<RedisLease>(options_.redis, keys_, incarnation, lease, heartbeat, options_.unacked);
  return pair;
}

std::unique_ptr<Lease> RedisBroker::make_sweeper(std::chrono::milliseconds lease) {
  return std::make_unique<RedisLease>(options_.redis, keys_, IncarnationId(new_uuid()), lease,
                                      std::make_shared<Heartbeat>(), options_.unacked);
}

Result<void> RedisBroker::declare(std::span<const wire::QueueDeclaration> queues, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  std::string bytes;
  for (const auto& queue : queues) {
    const std::string exchange = queue.exchange.empty() ? queue.name : queue.exchange;
    client::append_command(bytes, {"SADD", keys_.binding(exchange), keys_.binding_row(queue)});
  }
  if (queues.empty()) return {};
  const auto replies = (*connection)->pipeline(bytes, queues.size(), deadline);
  if (!replies) return tl::unexpected(replies.error());
  for (const auto& reply : *replies) {
    if (reply.is_error()) return tl::unexpected(client::failure_of(reply));
  }
  const std::lock_guard lock(mutex_);
  bindings_.forget();
  return {};
}

Result<ServerReport> RedisBroker::check(Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  auto report = check_server(**connection, deadline);
  if (!report) return report;
  if (options_.allow_eviction && !report->refusal.empty()) {
    report->warnings.insert(report->warnings.begin(), std::exchange(report->refusal, {}));
  }
  const auto dead = (*connection)->command({"XLEN", keys_.dead()}, deadline);
  if (!dead) return tl::unexpected(dead.error());
  warn_of_dead_letters(static_cast<std::uint64_t>(dead->integer), report->warnings);
  return report;
}

Result<void> RedisBroker::probe_results(Deadline deadline) {
  if (!options_.results) return fail(Errc::misconfigured, "results are not kept in a Redis");
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const std::string nobodys = "lovage-probe-" + new_uuid();
  const ChordKeys chord = chord_keys(options_.results->prefix, nobodys);
  const auto reply =
      run(**connection,
          {&probe_results_script(),
           {keys_.incarnations(), result_key(options_.results->prefix, nobodys), chord.parts, chord.size, chord.more},
           {std::to_string(options_.redis.db), std::to_string(options_.results->db), nobodys}},
          deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->integer != 1) return fail(Errc::misconfigured, "SELECT in a script leads to another database");
  return {};
}

Result<std::string> RedisBroker::identity(Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  return server_identity(**connection, deadline);
}

}  // namespace lovage::broker::redis
