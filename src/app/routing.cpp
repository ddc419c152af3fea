#include "app/routing.hpp"

#include <utility>
#include <vector>

#include <lovage/error.hpp>

#include "base/suggest.hpp"

namespace lovage::app {
namespace {

std::optional<Route> find_route(const Config& config, std::string_view task) {
  if (config.task_router) {
    if (auto route = config.task_router(task)) return route;
  }
  for (const auto& [pattern, route] : config.task_routes) {
    if (pattern == task) return route;
  }
  for (const auto& [pattern, route] : config.task_routes) {
    if (wire::glob_match(pattern, task)) return route;
  }
  return std::nullopt;
}

wire::ExchangeType exchange_type(const Queue& queue) {
  if (queue.exchange_type == "direct") return wire::ExchangeType::direct;
  if (queue.exchange_type == "topic") return wire::ExchangeType::topic;
  if (queue.exchange_type == "fanout") return wire::ExchangeType::fanout;
  throw ConfigError("queue '" + queue.name + "': exchange_type must be direct, topic or fanout, not '" +
                    queue.exchange_type + "'");
}

void fill(std::string& open, const std::string& value) {
  if (open.empty()) open = value;
}

}  // namespace

wire::QueueDeclaration queue_declaration(const Config& config, const std::string& name) {
  for (const auto& queue : config.task_queues) {
    if (queue.name == name) return {queue.name, queue.exchange, exchange_type(queue), queue.routing_key};
  }
  const bool is_only_default = config.task_queues.empty() && name == config.task_default_queue;
  if (!config.task_create_missing_queues && !is_only_default) {
    std::vector<std::string> names;
    for (const auto& queue : config.task_queues) names.push_back(queue.name);
    if (names.empty()) names.push_back(config.task_default_queue);
    throw ConfigError("unknown queue '" + name + "'" + did_you_mean(name, names) +
                      ": it is not in task_queues, and task_create_missing_queues is off");
  }
  return {name, {}, wire::ExchangeType::direct, {}};
}

Destination find_destination(const Config& config, std::string_view task, Wanted wanted) {
  Destination destination;
  if (wanted.queue.empty()) {
    if (const auto route = find_route(config, task)) {
      fill(wanted.queue, route->queue);
      fill(wanted.exchange, route->exchange);
      fill(wanted.routing_key, route->routing_key);
      destination.priority = route->priority;
    }
  }
  const bool names_exchange = !wanted.exchange.empty() && !wanted.routing_key.empty();
  if (wanted.queue.empty() && names_exchange) {
    destination.exchange = std::move(wanted.exchange);
    destination.routing_key = std::move(wanted.routing_key);
    return destination;
  }
  fill(wanted.queue, config.task_default_queue);
  auto queue = queue_declaration(config, wanted.queue);
  if (!names_exchange && queue.exchange_type == wire::ExchangeType::direct) {
    destination.routing_key = queue.name;
  } else {
    const auto& name = queue.name;
    fill(wanted.exchange, queue.exchange.empty() ? name : queue.exchange);
    fill(wanted.routing_key, queue.routing_key.empty() ? name : queue.routing_key);
    destination.exchange = std::move(wanted.exchange);
    destination.routing_key = std::move(wanted.routing_key);
  }
  destination.queue = std::move(queue);
  return destination;
}

}  // namespace lovage::app
