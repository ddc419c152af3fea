// What the settlement rules need to know of the app and of this worker: settings read once, taken apart.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "app/core.hpp"
#include "wire/body.hpp"
#include "wire/task_message.hpp"

namespace lovage::worker {

// Constant after start; `core` outlives it.
struct Facts {
  const app::Core& core;
  std::string node_name;                    // "celery@host"
  std::vector<std::string> accept_content;  // MIME names
  wire::JsonTypes json_types = wire::JsonTypes::celery_5_6;
  wire::Serializer result_serializer = wire::Serializer::json;
  bool stores_results = true;  // false: there is no result backend

  [[nodiscard]] const Config& config() const noexcept { return core.config(); }
  [[nodiscard]] const app::Registry& registry() const noexcept { return core.registry(); }
};

// Throws ConfigError for settings that name no serializer or JSON form.
Facts make_facts(const app::Core& core, std::string node_name, bool stores_results);

// The options in force for one message: it wins over its task, and its task over the setting.
struct TaskRules {
  bool acks_late = true;
  bool acks_on_failure_or_timeout = true;
  bool reject_on_worker_lost = true;
  bool track_started = false;
  bool stores_result = true;
  bool stores_errors = true;
  std::optional<std::chrono::milliseconds> soft_time_limit;
  std::optional<std::chrono::milliseconds> time_limit;
};

TaskRules rules_for(const wire::TaskMessage& message, const app::TaskDefinition* task, const Facts& facts);

}  // namespace lovage::worker
