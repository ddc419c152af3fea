#include "worker/queue_selection.hpp"

#include <algorithm>

#include <lovage/error.hpp>

#include "app/routing.hpp"

namespace lovage::worker {
std::vector<wire::QueueDeclaration> select_queues(const Config& config, const std::vector<std::string>& chosen,
                                                  const std::vector<std::string>& excluded) {
  std::vector<std::string> names = chosen;
  if (names.empty())
    for (const auto& queue : config.task_queues) names.push_back(queue.name);
  if (names.empty()) names.push_back(config.task_default_queue);
  std::vector<wire::QueueDeclaration> queues;
  for (const auto& name : names) {
    const auto same = [&](const auto& queue) { return queue.name == name; };
    if (std::find(excluded.begin(), excluded.end(), name) != excluded.end()) continue;
    if (std::find_if(queues.begin(), queues.end(), same) == queues.end())
      queues.push_back(app::queue_declaration(config, name));
  }
  if (queues.empty()) throw ConfigError("no queue is left to consume from");
  return queues;
}

}  // namespace lovage::worker
