// RedisBroker::broadcast: a fanout exchange is a pub/sub channel.
#include "broker/redis/redis_broker.hpp"

namespace lovage::broker::redis {

Result<void> RedisBroker::broadcast(const wire::BroadcastMessage& message, Deadline deadline) {
  const auto envelope = wire::encode_envelope(message);
  if (!envelope) return tl::unexpected(envelope.error());
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const std::string channel =
      keys_.prefix() + wire::fanout_channel(options_.redis.db, message.exchange, message.routing_key);
  const auto heard = (*connection)->command({"PUBLISH", channel, *envelope}, deadline);
  if (!heard) return tl::unexpected(heard.error());
  return {};
}

}  // namespace lovage::broker::redis
