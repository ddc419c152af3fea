// Where a message goes: the lists of the queues that its exchange and routing key lead to.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_reply.hpp"
#include "wire/queues.hpp"
#include "wire/task_message.hpp"

namespace lovage::broker::redis {

// Rows of _kombu.binding.<exchange>, as read a short while ago. One thread at a time.
class Bindings {
 public:
  explicit Bindings(wire::QueueLayout layout = {}) : layout_(std::move(layout)) {}

  // Whether the exchange's rows are known well enough to route by; the anonymous exchange always is.
  [[nodiscard]] bool knows(const std::string& exchange) const;
  // A reply to SMEMBERS. Rows that are none are left out.
  void learn(const std::string& exchange, const client::RedisReply& members);
  void forget() { known_.clear(); }
  void forget(const std::string& exchange) { known_.erase(exchange); }

  // The lists' names, without prefix. not_found when nothing is bound for the key.
  [[nodiscard]] Result<std::vector<std::string>> lists_for(const wire::TaskMessage& message) const;

  [[nodiscard]] Result<std::vector<std::string>> lists_for(const std::string& exchange, const std::string& routing_key,
                                                           int priority) const;

 private:
  struct Known {
    std::vector<wire::Binding> rows;
    Monotonic read;
  };
  wire::QueueLayout layout_;
  std::map<std::string, Known> known_;
};

}  // namespace lovage::broker::redis
