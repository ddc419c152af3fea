// The states of many results at once.
#pragma once

#include <string>
#include <vector>

#include "app/core.hpp"
#include "app/result_node.hpp"

namespace lovage::app {

// All tasks in it: itself, or a group's members at any depth, in their order.
std::vector<const detail::ResultNode*> leaves_of(const detail::ResultNode& node);

// The state of each, in order: one request a thousand. Throws ConnectionError, and ConfigError without a backend.
std::vector<std::string> states_of(Core& core, const std::vector<const detail::ResultNode*>& leaves);

}  // namespace lovage::app
