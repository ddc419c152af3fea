// What messages and continuations of workflows have still to send: tasks whose ids are known although no message is
// theirs yet.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/broker.hpp"
#include "wire/task_message.hpp"

namespace lovage::cli {

struct Successor {
  std::string id;
  bool joins = false;         // behind the chord that the message is a part of
  std::string graph_id = {};  // it is the end of what is stored in this graph; empty: of nothing
};

// The steps behind it, its callbacks, the body of its chord, and what they all consist of. Nothing where the body
// cannot be read.
std::vector<Successor> successors_of(const wire::TaskMessage& message);
std::vector<Successor> successors_of_continuation(std::string_view text);

// What messages refer to, read once: for one look at a store.
class StoredGraphs {
 public:
  explicit StoredGraphs(broker::Broker& broker) : broker_(broker) {}
  // Adds what is stored of the graphs among them, but for those that were asked for before. Throws ConnectionError.
  void add_to(std::vector<Successor>& successors);

 private:
  broker::Broker& broker_;
  std::set<std::string> read_;
};

}  // namespace lovage::cli
