// RedisBroker::publish: LPUSH in pipelined chunks, one round trip for a single message.
#include <algorithm>
#include <utility>

#include "broker/redis/redis_broker.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kChunkMessages = 1'000;
constexpr std::size_t kChunkBytes = 1u << 20;

// Commands that travel together, and which replies belong to which message.
struct Chunk {
  struct Part {
    std::size_t message = 0;
    std::size_t replies = 0;
    std::string declares;  // the queue whose binding is written before it
  };
  std::string bytes;
  std::size_t replies = 0;
  std::vector<Part> parts;

  [[nodiscard]] bool is_full() const { return parts.size() >= kChunkMessages || bytes.size() >= kChunkBytes; }
  void add(std::initializer_list<std::string_view> words) {
    client::append_command(bytes, words);
    ++replies;
    ++parts.back().replies;
  }
};

Result<void> outcome(std::span<const client::RedisReply> replies) {
  for (const auto& reply : replies) {
    if (reply.is_error()) return tl::unexpected(client::failure_of(reply));
  }
  return {};
}

}  // namespace

std::vector<Result<void>> RedisBroker::publish(std::span<const wire::TaskMessage> messages, Deadline deadline) {
  std::vector<Result<void>> outcomes(messages.size());
  const auto fail_from = [&](std::size_t from, const Failure& why) {
    for (std::size_t i = from; i < outcomes.size(); ++i) {
      if (outcomes[i]) outcomes[i] = tl::unexpected(why);
    }
  };
  auto connection = pool_.take(deadline);
  if (!connection) {
    fail_from(0, connection.error());
    return outcomes;
  }
  const auto routes = route(**connection, messages, deadline);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!routes[i]) outcomes[i] = tl::unexpected(routes[i].error());
  }

  std::size_t next = 0;
  while (next < messages.size()) {
    Chunk chunk;
    for (; next < messages.size() && !chunk.is_full(); ++next) {
      if (!routes[next]) continue;
      const auto& message = messages[next];
      chunk.parts.push_back({next, 0, {}});
      const std::string binding = undeclared_binding(message);
      const bool here = std::any_of(chunk.parts.begin(), chunk.parts.end(),
                                    [&](const auto& part) { return part.declares == message.routing_key; });
      if (!binding.empty() && !here) {
        chunk.parts.back().declares = message.routing_key;
        chunk.add({"SADD", keys_.binding(message.routing_key), binding});
      }
      const std::string envelope = wire::encode_envelope(message);
      for (const auto& list : *routes[next]) chunk.add({"LPUSH", keys_.list(list), envelope});
    }
    if (chunk.parts.empty()) break;
    const auto replies = (*connection)->pipeline(chunk.bytes, chunk.replies, deadline);
    if (!replies) {
      for (const auto& part : chunk.parts) outcomes[part.message] = tl::unexpected(replies.error());
      // The rest was not sent; the same failure without the doubt.
      const bool doubt = replies.error().code == Errc::uncertain;
      fail_from(next, {doubt ? Errc::unavailable : replies.error().code, replies.error().message});
      break;
    }
    std::span<const client::RedisReply> rest(*replies);
    for (const auto& part : chunk.parts) {
      outcomes[part.message] = outcome(rest.first(part.replies));
      rest = rest.subspan(part.replies);
      if (part.declares.empty() || !outcomes[part.message]) continue;
      const std::lock_guard lock(mutex_);
      declared_.insert(part.declares);
    }
  }
  return outcomes;
}

RedisBroker::Routes RedisBroker::route(client::RedisSync& connection, std::span<const wire::TaskMessage> messages,
                                       Deadline deadline) {
  Routes routes;
  routes.reserve(messages.size());
  for (const auto& message : messages) {
    if (auto read = read_bindings(connection, message.exchange, deadline); !read) {
      routes.emplace_back(tl::unexpected(read.error()));
      continue;
    }
    const std::lock_guard lock(mutex_);
    routes.push_back(bindings_.lists_for(message));
  }
  return routes;
}

Result<void> RedisBroker::read_bindings(client::RedisSync& connection, const std::string& exchange, Deadline deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (bindings_.knows(exchange)) return {};
  }
  const auto rows = connection.command({"SMEMBERS", keys_.binding(exchange)}, deadline);
  if (!rows) {
    // Nothing of the message was sent yet.
    const bool doubt = rows.error().code == Errc::uncertain;
    return fail(doubt ? Errc::unavailable : rows.error().code, rows.error().message);
  }
  const std::lock_guard lock(mutex_);
  bindings_.learn(exchange, *rows);
  return {};
}

// The row that kombu's declare would write for the message's queue, unless this process has; else empty.
std::string RedisBroker::undeclared_binding(const wire::TaskMessage& message) {
  if (!message.exchange.empty()) return {};
  const std::lock_guard lock(mutex_);
  if (declared_.contains(message.routing_key)) return {};
  wire::QueueDeclaration queue;
  queue.name = message.routing_key;
  return keys_.binding_row(queue);
}

}  // namespace lovage::broker::redis
