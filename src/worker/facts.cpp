#include "worker/facts.hpp"

#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <lovage/error.hpp>

namespace lovage::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLongestLimit{std::int64_t{10} * 365 * 86'400};

// Limits from the wire are hostile: NaN, negative and absurdly large ones are no limits.
std::optional<milliseconds> limit_from(std::optional<double> seconds) {
  constexpr auto kLongest = static_cast<double>(kLongestLimit.count());
  if (!seconds || !std::isfinite(*seconds) || *seconds <= 0 || *seconds > kLongest) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(std::ceil(*seconds * 1'000)));
}

// The program's own limits may be hours::max(): clocks count nanoseconds, and would overflow.
std::optional<milliseconds> bounded(std::optional<milliseconds> limit) {
  if (limit && *limit > kLongestLimit) return std::nullopt;
  return limit;
}

template <class T>
std::optional<T> first_of(std::optional<T> first, std::optional<T> second, std::optional<T> third) {
  return first ? first : second ? second : third;
}

wire::Serializer serializer_named(const std::string& name) {
  const auto serializer = wire::serializer_from_name(name);
  if (!serializer) throw ConfigError(fmt::format("unknown serializer '{}': json and msgpack are known", name));
  return *serializer;
}

}  // namespace

Facts make_facts(const app::Core& core, std::string node_name, bool stores_results) {
  const Config& config = core.config();
  if (config.json_types != "5.6" && config.json_types != "5.2")
    throw ConfigError(fmt::format("json_types is '{}': 5.6 and 5.2 are known", config.json_types));
  Facts facts{.core = core,
              .node_name = std::move(node_name),
              .accept_content = {},
              .json_types = config.json_types == "5.2" ? wire::JsonTypes::celery_5_2 : wire::JsonTypes::celery_5_6,
              .result_serializer = serializer_named(config.result_serializer),
              .stores_results = stores_results};
  for (const auto& name : config.accept_content)
    facts.accept_content.emplace_back(wire::mime_name(serializer_named(name)));
  return facts;
}

TaskRules rules_for(const wire::TaskMessage& message, const app::TaskDefinition* task, const Facts& facts) {
  static const TaskOptions kNone;
  const TaskOptions& own = task != nullptr ? task->options : kNone;
  const Config& config = facts.config();
  const bool ignored = message.ignore_result.value_or(own.ignore_result.value_or(config.task_ignore_result));
  const bool errors_anyway = own.store_errors_even_if_ignored.value_or(config.task_store_errors_even_if_ignored);
  TaskRules rules;
  rules.acks_late = own.acks_late.value_or(config.task_acks_late);
  rules.acks_on_failure_or_timeout = own.acks_on_failure_or_timeout.value_or(config.task_acks_on_failure_or_timeout);
  rules.reject_on_worker_lost = own.reject_on_worker_lost.value_or(config.task_reject_on_worker_lost);
  rules.stores_result = facts.stores_results && !ignored;
  rules.stores_errors = facts.stores_results && (!ignored || errors_anyway);
  rules.track_started = rules.stores_result && own.track_started.value_or(config.task_track_started);
  rules.soft_time_limit =
      bounded(first_of(limit_from(message.timelimit.soft), own.soft_time_limit, config.task_soft_time_limit));
  rules.time_limit = bounded(first_of(limit_from(message.timelimit.hard), own.time_limit, config.task_time_limit));
  return rules;
}

}  // namespace lovage::worker
