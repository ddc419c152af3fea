// The exchanges of a store in memory and what is bound to them. No lock: the store has one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "wire/queues.hpp"
#include "wire/task_message.hpp"

namespace lovage::broker::memory {

class Exchanges {
 public:
  void declare(const wire::QueueDeclaration& queue);
  // The queues that a message to a named exchange goes to; not_found when there is none.
  [[nodiscard]] Result<std::vector<std::string>> route(const wire::TaskMessage& message) const;

 private:
  struct Exchange {
    wire::ExchangeType type = wire::ExchangeType::direct;
    std::vector<wire::Binding> bindings;
  };
  std::map<std::string, Exchange> exchanges_;
};

}  // namespace lovage::broker::memory
