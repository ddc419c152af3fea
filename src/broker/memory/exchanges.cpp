#include "broker/memory/exchanges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lovage::broker::memory {

void Exchanges::declare(const wire::QueueDeclaration& queue) {
  Exchange& exchange = exchanges_[queue.exchange.empty() ? queue.name : queue.exchange];
  exchange.type = queue.exchange_type;
  wire::Binding binding = wire::binding_of(queue);
  const auto is_same = [&](const wire::Binding& each) {
    return each.routing_key == binding.routing_key && each.pattern == binding.pattern && each.queue == binding.queue;
  };
  if (std::none_of(exchange.bindings.begin(), exchange.bindings.end(), is_same)) {
    exchange.bindings.push_back(std::move(binding));
  }
}

Result<std::vector<std::string>> Exchanges::route(const wire::TaskMessage& message) const {
  const auto exchange = exchanges_.find(message.exchange);
  if (exchange != exchanges_.end()) {
    auto queues = wire::route(exchange->second.type, exchange->second.bindings, message.routing_key);
    if (!queues.empty()) return queues;
  }
  return fail(Errc::not_found, fmt::format("exchange '{}' has no queue bound for routing key '{}'", message.exchange,
                                           message.routing_key));
}

}  // namespace lovage::broker::memory
