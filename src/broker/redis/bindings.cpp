#include "broker/redis/bindings.hpp"

#include <algorithm>

namespace lovage::broker::redis {
namespace {

constexpr std::chrono::seconds kFresh{10};

// The type is not stored: only topic rows have a pattern.
wire::ExchangeType type_of(const std::vector<wire::Binding>& rows) {
  const bool topic = std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row.pattern.empty(); });
  return topic ? wire::ExchangeType::topic : wire::ExchangeType::direct;
}

}  // namespace

bool Bindings::knows(const std::string& exchange) const {
  if (exchange.empty()) return true;
  const auto found = known_.find(exchange);
  return found != known_.end() && std::chrono::steady_clock::now() - found->second.read < kFresh;
}

void Bindings::learn(const std::string& exchange, const client::RedisReply& members) {
  Known known{{}, std::chrono::steady_clock::now()};
  for (const auto& member : members.items) {
    if (auto row = wire::decode_binding(member.text, layout_.separator)) known.rows.push_back(std::move(*row));
  }
  known_[exchange] = std::move(known);
}

Result<std::vector<std::string>> Bindings::lists_for(const wire::TaskMessage& message) const {
  return lists_for(message.exchange, message.routing_key, message.priority);
}

Result<std::vector<std::string>> Bindings::lists_for(const std::string& exchange, const std::string& routing_key,
                                                     int priority) const {
  const int step = layout_.step_of(priority);
  if (exchange.empty()) return std::vector<std::string>{wire::list_name(routing_key, step, layout_.separator)};
  std::vector<std::string> lists;
  if (const auto found = known_.find(exchange); found != known_.end()) {
    const auto& rows = found->second.rows;
    for (const auto& queue : wire::route(type_of(rows), rows, routing_key)) {
      lists.push_back(wire::list_name(queue, step, layout_.separator));
    }
  }
  if (lists.empty()) {
    return fail(Errc::not_found,
                "no queue is bound to exchange '" + exchange + "' for routing key '" + routing_key + "'");
  }
  return lists;
}

}  // namespace lovage::broker::redis
