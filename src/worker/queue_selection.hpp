// Which queues a worker consumes: task_queues, -Q and -X.
#pragma once

#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "wire/queues.hpp"

namespace lovage::worker {

// Throws ConfigError for a queue that is not declared when missing ones are not created, for an unknown
// exchange type, and when none is left.
std::vector<wire::QueueDeclaration> select_queues(const Config& config, const std::vector<std::string>& chosen,
                                                  const std::vector<std::string>& excluded);

}  // namespace lovage::worker
