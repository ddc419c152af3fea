#include "app/registry.hpp"

#include <algorithm>
#include <utility>

#include <lovage/error.hpp>

#include "app/builtins.hpp"

namespace lovage::app {

const TaskDefinition& Registry::add(TaskDefinition definition) {
  if (definition.name.empty()) throw ConfigError("a task needs a name");
  auto name = definition.name;
  const auto [at, added] =
      tasks_.try_emplace(std::move(name), std::make_unique<const TaskDefinition>(std::move(definition)));
  if (!added) throw ConfigError("the task '" + at->first + "' is declared twice");
  return *at->second;
}

const TaskDefinition* Registry::find(std::string_view name) const noexcept {
  const auto at = tasks_.find(name);
  return at == tasks_.end() ? nullptr : at->second.get();
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  names.reserve(tasks_.size());
  for (const auto& [name, task] : tasks_) {
    if (!is_builtin(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace lovage::app
