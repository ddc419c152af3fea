// The one table of settings: name, type, default, help. The TOML file, the environment, the command line
// and `lovage report` all go through it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <lovage/config.hpp>
#include <lovage/value.hpp>

namespace lovage::app {

// What a setting's value looks like.
enum class SettingType { text, boolean, integer, duration, list, table };

struct Setting {
  std::string_view name;
  SettingType type;
  std::string_view help;
  // Throws ConfigError with the reason alone ("must be true or false, not 'maybe'").
  void (*apply)(Config&, const Value&);
  Value (*read)(const Config&);
};

// In the order of lovage/config.hpp.
std::span<const Setting> settings();
// nullptr when there is no such setting.
const Setting* find_setting(std::string_view name) noexcept;

// Durations are numbers of seconds, as in Celery. Throws ConfigError: "unknown setting 'task_ack_late'
// (did you mean 'task_acks_late'?)", "task_acks_late: must be true or false, not 'maybe'".
void apply_setting(Config& config, std::string_view name, const Value& value);
// The same from text: numbers and true/false as such, lists with commas or as JSON, tables as JSON.
void apply_setting_text(Config& config, std::string_view name, std::string_view text);

// As above, from every CELERY_BROKER_URL, CELERY_RESULT_BACKEND and LOVAGE_<SETTING> in `environment`
// ("NAME=value"). A LOVAGE_ variable that is nearly a setting's name is an error; others are not ours.
void apply_environment(Config& config, std::span<const std::string> environment);
std::vector<std::string> process_environment();

// Reads a TOML file whose top-level keys are settings. Throws ConfigError with one line per problem:
// "celery.toml:3: task_acks_lat: unknown setting (did you mean 'task_acks_late'?)".
void apply_toml_file(Config& config, const std::string& path);

// A setting for listings: URLs without passwords, and what is named like a secret hidden.
Value masked(const Setting& setting, const Config& config);
// The settings that are not at their default, masked.
Object changed_settings(const Config& config);

}  // namespace lovage::app
