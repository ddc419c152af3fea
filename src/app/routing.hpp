// Where a task's messages go. Celery: app/routes.py and app/amqp.py.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <lovage/config.hpp>

#include "wire/queues.hpp"

namespace lovage::app {

// What the sender, or the task itself, asked for; empty members are open.
struct Wanted {
  std::string queue;
  std::string exchange;
  std::string routing_key;
};

struct Destination {
  std::string exchange;  // empty: the anonymous exchange, routing_key names the queue
  std::string routing_key;
  std::optional<int> priority;                  // the route's
  std::optional<wire::QueueDeclaration> queue;  // what to declare first
};

// The router function, then task_routes (an exact name before patterns), then the default queue. Throws
// ConfigError for a queue that is not in task_queues when task_create_missing_queues is off.
Destination find_destination(const Config& config, std::string_view task, Wanted wanted);

// A queue as task_queues declares it, or as it would be made on first use. Throws ConfigError.
wire::QueueDeclaration queue_declaration(const Config& config, const std::string& name);

}  // namespace lovage::app
