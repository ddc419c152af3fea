#include "app/settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <lovage/error.hpp>

#include "app/settings_values.hpp"
#include "base/suggest.hpp"
#include "base/url.hpp"

namespace lovage::app {
namespace {

template <class T>
constexpr SettingType type_of() {
  if constexpr (std::is_same_v<T, bool>)
    return SettingType::boolean;
  else if constexpr (std::is_integral_v<T>)
    return SettingType::integer;
  else if constexpr (std::is_same_v<T, std::string>)
    return SettingType::text;
  else if constexpr (std::is_same_v<T, std::chrono::milliseconds> || std::is_same_v<T, std::chrono::seconds> ||
                     std::is_same_v<T, std::optional<std::chrono::milliseconds>>)
    return SettingType::duration;
  else if constexpr (std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, std::vector<Queue>>)
    return SettingType::list;
  else
    return SettingType::table;
}

template <class T>
T member_type(T Config::*);

// One row for a plain member of Config.
template <auto Member>
constexpr Setting row(std::string_view name, std::string_view help) {
  return {name, type_of<decltype(member_type(Member))>(), help,
          [](Config& config, const Value& value) { read_setting(value, config.*Member); },
          [](const Config& config) { return show_setting(config.*Member); }};
}

// A text that has to be one of a few; the words stand in Words::kList.
template <auto Member, class Words>
constexpr Setting choice(std::string_view name, std::string_view help) {
  return {name, SettingType::text, help,
          [](Config& config, const Value& value) {
            // TOML users write json_types = 5.6 as a number.
            std::string text;
            if (value.if_real() != nullptr)
              text = to_json(value);
            else
              read_setting(value, text);
            if (std::ranges::find(Words::kList, text) == Words::kList.end()) {
              std::string known;
              for (const auto word : Words::kList)
                known += (known.empty() ? "" : ", ") + std::string(word.empty() ? "''" : word);
              throw ConfigError("must be one of " + known + ", not '" + text + "'" + did_you_mean(text, Words::kList));
            }
            config.*Member = std::move(text);
          },
          [](const Config& config) { return show_setting(config.*Member); }};
}

// A number with a least value.
template <auto Member, std::int64_t Least>
constexpr Setting at_least(std::string_view name, std::string_view help) {
  return {name, SettingType::integer, help,
          [](Config& config, const Value& value) {
            auto number = config.*Member;
            read_setting(value, number);
            if (std::cmp_less(number, Least)) throw_expected("at least " + std::to_string(Least), value);
            config.*Member = number;
          },
          [](const Config& config) { return show_setting(config.*Member); }};
}

struct Durabilities {
  static constexpr std::array<std::string_view, 2> kList{"full", "normal"};
};
struct Serializers {
  static constexpr std::array<std::string_view, 2> kList{"json", "msgpack"};
};
struct Compressions {
  static constexpr std::array<std::string_view, 8> kList{"",     "zlib", "gzip",      "bzip2",
                                                         "bzip", "zstd", "zstandard", "none"};
};
struct JsonTypesWords {
  static constexpr std::array<std::string_view, 2> kList{"5.6", "5.2"};
};
struct Pools {
  static constexpr std::array<std::string_view, 3> kList{"prefork", "threads", "solo"};
};

using C = Config;
constexpr std::array kSettings{
    row<&C::broker_url>("broker_url", "Where messages wait: sqlite:///file.db, redis://host:6379/0, memory://"),
    row<&C::result_backend>("result_backend", "Where results wait; empty: where the broker is; disabled://: nowhere"),
    row<&C::broker_transport_options>(
        "broker_transport_options", "Options of the broker: global_keyprefix, priority_steps, visibility_timeout, ..."),
    row<&C::result_backend_transport_options>("result_backend_transport_options",
                                              "Options of the result backend: global_keyprefix, ..."),
    choice<&C::sqlite_durability, Durabilities>("sqlite_durability",
                                                "full survives power loss, normal survives process death"),
    row<&C::task_default_queue>("task_default_queue", "The queue of tasks that no route names"),
    row<&C::task_queues>(
        "task_queues",
        "The queues that are known by name, with their exchanges; `lovage_only = true`: no Python worker "
        "takes from it, large workflows there are stored once"),
    row<&C::task_create_missing_queues>("task_create_missing_queues",
                                        "Whether a queue outside task_queues is made on first use"),
    row<&C::task_routes>("task_routes", "Glob pattern of task names -> queue or route; the first match wins"),
    row<&C::task_default_priority>("task_default_priority", "Priority of messages without one; 0 is served first"),
    choice<&C::task_serializer, Serializers>("task_serializer", "How arguments are written: json or msgpack"),
    choice<&C::task_compression, Compressions>("task_compression", "zlib, bzip2, zstd, or empty for none"),
    row<&C::task_compression_threshold>("task_compression_threshold",
                                        "Bytes above which a message is compressed unasked (zlib); 0: never"),
    choice<&C::json_types, JsonTypesWords>("json_types", "How bytes, datetime, Decimal and UUID travel: 5.6 or 5.2"),
    row<&C::task_publish_retry>("task_publish_retry", "Whether a send is tried again while the broker is away"),
    row<&C::task_publish_retry_policy>("task_publish_retry_policy",
                                       "max_retries, interval_start, interval_step, interval_max of sends"),
    row<&C::task_publish_timeout>("task_publish_timeout", "Seconds after which a send gives up"),
    row<&C::accept_content>("accept_content", "The content types that a worker takes"),
    row<&C::task_always_eager>("task_always_eager", "Runs tasks in the sending process, at once (for tests)"),
    row<&C::task_eager_propagates>("task_eager_propagates", "Eager tasks throw at the caller"),
    row<&C::result_expires>("result_expires", "Seconds that results are kept; 0: for ever"),
    choice<&C::result_serializer, Serializers>("result_serializer", "How results are written: json or msgpack"),
    row<&C::result_extended>("result_extended", "Whether results carry the task's name, arguments and queue"),
    row<&C::task_ignore_result>("task_ignore_result", "Whether results are not stored"),
    row<&C::task_store_errors_even_if_ignored>("task_store_errors_even_if_ignored",
                                               "Stores errors of tasks whose result is ignored"),
    row<&C::task_allow_error_cb_on_chord_header>("task_allow_error_cb_on_chord_header",
                                                 "A chord's link_error is its header tasks', too"),
    row<&C::task_track_started>("task_track_started", "Whether STARTED is stored when a task begins"),
    row<&C::task_acks_late>("task_acks_late", "Messages leave the broker after the task, not before it"),
    row<&C::task_acks_on_failure_or_timeout>("task_acks_on_failure_or_timeout",
                                             "Whether a failed task's message leaves the broker"),
    row<&C::task_reject_on_worker_lost>("task_reject_on_worker_lost", "Whether a task whose process died is run again"),
    row<&C::task_time_limit>("task_time_limit", "Seconds after which a task is killed"),
    row<&C::task_soft_time_limit>("task_soft_time_limit", "Seconds after which a task is told to stop"),
    at_least<&C::task_max_strikes, 1>("task_max_strikes", "Deaths of its process that make a message a dead letter"),
    row<&C::unknown_task_ttl>("unknown_task_ttl", "Seconds that a message waits for a worker that knows its task"),
    choice<&C::worker_pool, Pools>("worker_pool", "prefork, threads or solo"),
    at_least<&C::worker_concurrency, 0>("worker_concurrency", "Tasks that run at once; 0: one per processor"),
    at_least<&C::worker_prefetch_multiplier, 0>("worker_prefetch_multiplier",
                                                "Messages reserved ahead, times the concurrency"),
    row<&C::worker_prefetch_bytes>("worker_prefetch_bytes", "Bytes of messages reserved ahead"),
    at_least<&C::worker_max_tasks_per_child, 0>("worker_max_tasks_per_child",
                                                "Tasks after which a child is replaced; 0: never"),
    row<&C::worker_max_memory_per_child>("worker_max_memory_per_child",
                                         "KiB of memory after which a child is replaced; 0: never"),
    row<&C::worker_warm_shutdown_timeout>("worker_warm_shutdown_timeout",
                                          "Seconds that TERM leaves running tasks, then they go back; 0: no limit"),
    row<&C::worker_soft_shutdown_timeout>("worker_soft_shutdown_timeout",
                                          "Seconds that a cold shutdown waits for running tasks first"),
    row<&C::worker_lease>("worker_lease", "Seconds of silence after which a worker counts as dead"),
    row<&C::broker_connection_max_retries>("broker_connection_max_retries",
                                           "Attempts to reach the broker at start; 0: for ever"),
    row<&C::broker_connection_retry_on_startup>("broker_connection_retry_on_startup",
                                                "Whether a worker waits for its broker at start"),
    row<&C::broker_connection_timeout>("broker_connection_timeout", "Seconds that one attempt to connect may take"),
    row<&C::timezone>("timezone", "Time zone of schedules"),
    at_least<&C::task_message_max_bytes, 1>("task_message_max_bytes", "Larger messages and results are refused"),
    at_least<&C::workflow_max_bytes, 1>("workflow_max_bytes",
                                        "Workflows with a larger message, all that follows it included, are refused"),
};

const Setting& required(std::string_view name) {
  if (const Setting* setting = find_setting(name)) return *setting;
  // Old Celery names are upper case; the hint is the new one.
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::vector<std::string_view> names;
  names.reserve(kSettings.size());
  for (const auto& setting : kSettings) names.push_back(setting.name);
  throw ConfigError("unknown setting '" + std::string(name) + "'" + did_you_mean(lower, names));
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

Value boolean_from(std::string_view text) {
  for (const auto word : {"true", "yes", "on", "1", "True", "TRUE"}) {
    if (text == word) return true;
  }
  for (const auto word : {"false", "no", "off", "0", "False", "FALSE"}) {
    if (text == word) return false;
  }
  return text;
}

Value number_from(std::string_view text) {
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, whole); error == std::errc() && at == end)
    return whole;
  double real = 0;
  if (const auto [at, error] = std::from_chars(text.data(), end, real); error == std::errc() && at == end) return real;
  if (text == "none" || text == "None" || text == "null") return {};
  return text;
}

Value list_from(std::string_view text) {
  if (text.starts_with('[')) return from_json(text);
  Array items;
  while (!text.empty()) {
    const auto comma = text.find(',');
    items.emplace_back(trimmed(text.substr(0, comma)));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return items;
}

Value value_from_text(SettingType type, std::string_view text) {
  switch (type) {
    case SettingType::text:
      return text;
    case SettingType::boolean:
      return boolean_from(trimmed(text));
    case SettingType::integer:
    case SettingType::duration:
      return number_from(trimmed(text));
    case SettingType::list:
      return list_from(trimmed(text));
    case SettingType::table:
      return from_json(text);
  }
  return {};
}

// What a key has to contain for its value to be hidden.
bool is_secret(std::string_view key) {
  std::string lower(key);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto word : {"pass", "token", "secret", "signature", "api_key", "credential"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

Value masked_value(std::string_view key, const Value& value) {
  if (const Object* table = value.if_object()) {
    Object result;
    for (const auto& [name, member] : *table) result.set(name, masked_value(name, member));
    return result;
  }
  if (is_secret(key)) return "********";
  if (const auto* text = value.if_string(); text != nullptr && text->find("://") != std::string::npos) {
    return redact_url(*text);
  }
  return value;
}

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view name) noexcept {
  const auto at = std::ranges::find(kSettings, name, &Setting::name);
  return at == kSettings.end() ? nullptr : &*at;
}

void apply_setting(Config& config, std::string_view name, const Value& value) {
  const Setting& setting = required(name);
  try {
    setting.apply(config, value);
  } catch (const ConfigError& error) {
    throw ConfigError(std::string(name) + ": " + error.what());
  }
}

void apply_setting_text(Config& config, std::string_view name, std::string_view text) {
  const Setting& setting = required(name);
  Value value;
  try {
    value = value_from_text(setting.type, text);
  } catch (const DecodeError& error) {
    throw ConfigError(std::string(name) + ": is no JSON: " + error.what());
  }
  apply_setting(config, name, value);
}

Value masked(const Setting& setting, const Config& config) {
  return masked_value(setting.name, setting.read(config));
}

Object changed_settings(const Config& config) {
  const Config defaults;
  Object changed;
  for (const auto& setting : kSettings) {
    if (setting.read(config) == setting.read(defaults)) continue;
    changed.set(std::string(setting.name), masked(setting, config));
  }
  return changed;
}

}  // namespace lovage::app
