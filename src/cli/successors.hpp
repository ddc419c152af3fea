// What messages and continuations of workflows have still to send: tasks whose ids are known although no message is
// theirs yet.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/task_message.hpp"

namespace lovage::cli {

struct Successor {
  std::string id;
  bool joins = false;  // behind the chord that the message is a part of
};

// The steps behind it, its callbacks, the body of its chord, and what they all consist of. Nothing where the body
// cannot be read.
std::vector<Successor> successors_of(const wire::TaskMessage& message);
std::vector<Successor> successors_of_continuation(std::string_view text);

}  // namespace lovage::cli
