// Queues, exchanges and the lists that hold a queue's messages by priority: pure rules.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/names.hpp"

namespace lovage::wire {

inline constexpr std::array<int, 4> kDefaultPrioritySteps{0, 3, 6, 9};

// The step whose list takes a message of this priority: clamped to 0..9, the largest step not above it; the last
// step when all are above. `steps` ascend. 0 is served first.
int priority_step(int priority, std::span<const int> steps = kDefaultPrioritySteps) noexcept;

// How a queue's messages are spread over lists, and how lists and bindings are spelt: kombu's transport options
// priority_steps and sep. Everybody at a store has to use the same.
struct QueueLayout {
  std::vector<int> steps{kDefaultPrioritySteps.begin(), kDefaultPrioritySteps.end()};  // ascending, at least one
  std::string separator{kPrioritySeparator};                                           // not empty

  [[nodiscard]] int step_of(int priority) const noexcept { return priority_step(priority, steps); }
};

// "<queue>" for step 0, "<queue>\x06\x163" and so on.
std::string list_name(std::string_view queue, int step, std::string_view separator = kPrioritySeparator);

enum class ExchangeType { direct, topic, fanout };

// A queue as configured (task_queues) or created on first use (task_create_missing_queues).
struct QueueDeclaration {
  std::string name;
  std::string exchange;  // empty: named like the queue
  ExchangeType exchange_type = ExchangeType::direct;
  std::string routing_key;  // empty: the queue's name
};

// One row of the set _kombu.binding.<exchange>.
struct Binding {
  std::string routing_key;
  std::string pattern;  // topic exchanges: the regular expression kombu stores; else empty
  std::string queue;
};
std::string encode_binding(const Binding& binding, std::string_view separator = kPrioritySeparator);
std::optional<Binding> decode_binding(std::string_view member, std::string_view separator = kPrioritySeparator);
// The row that declaring this queue adds, exactly as kombu writes it.
Binding binding_of(const QueueDeclaration& queue);

// The queues that a message with this routing key goes to. Topic words are kombu's: "#" is any text, "*" is any text
// that does not end in a dot, so that, unlike at RabbitMQ, it spans several words too.
std::vector<std::string> route(ExchangeType type, std::span<const Binding> bindings, std::string_view routing_key);

// Shell-like match ("tasks.*", "?", "[ab]"), as task_routes and control patterns use. "?" and "[ab]" take one byte.
bool glob_match(std::string_view pattern, std::string_view text) noexcept;

}  // namespace lovage::wire
