// Settings from outside the program: the environment and a TOML file.
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <mutex>
#include <set>
#include <sstream>

#include <lovage/error.hpp>

#include "app/settings.hpp"
#include "base/logging.hpp"
#include "base/printable.hpp"
#include "base/suggest.hpp"

namespace lovage::app {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The setting that an environment variable is for; empty: none of ours.
std::string setting_of(std::string_view variable) {
  if (variable == "CELERY_BROKER_URL") return "broker_url";
  if (variable == "CELERY_RESULT_BACKEND") return "result_backend";
  static constexpr std::string_view kPrefix = "LOVAGE_";
  if (!variable.starts_with(kPrefix)) return {};
  std::string name = lower_case(variable.substr(kPrefix.size()));
  if (find_setting(name) != nullptr) return name;
  std::vector<std::string_view> names;
  for (const auto& setting : settings()) names.push_back(setting.name);
  return nearest(name, names) ? name : std::string();
}

// Read elsewhere, by the tests and for them.
bool is_for_tests(std::string_view variable) {
  return variable == "LOVAGE_KILL_POINT" || variable.starts_with("LOVAGE_TEST_");
}

// Once a process and variable: an app reads the environment at its start, a program may have several apps.
void warn_of_unknown(const std::string& variable) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (!said.insert(variable).second) return;
  log::warning("environment variable " + printable(variable) + ": there is no such setting; it is ignored");
}

template <class Time>
std::string text_of(const Time& time) {
  std::ostringstream out;
  out << time;
  return out.str();
}

Value value_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Object members;
    for (const auto& [key, member] : *table) members.set(std::string(key.str()), value_of(member));
    return members;
  }
  if (const auto* array = node.as_array()) {
    Array items;
    for (const auto& item : *array) items.push_back(value_of(item));
    return items;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* date = node.as_date()) return Date{text_of(date->get())};
  if (const auto* time = node.as_time()) return TimeOfDay{text_of(time->get())};
  if (const auto* moment = node.as_date_time()) return DateTime{text_of(moment->get())};
  return {};
}

// toml++ keeps tables sorted by name; routes are tried in the order of the file.
Value ordered_value_of(const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr) return value_of(node);
  std::vector<std::pair<toml::source_position, std::string>> order;
  for (const auto& [key, member] : *table) order.emplace_back(key.source().begin, std::string(key.str()));
  std::ranges::sort(order, [](const auto& a, const auto& b) { return a.first < b.first; });
  Object members;
  for (const auto& [position, key] : order) members.set(key, value_of(*table->get(key)));
  return members;
}

toml::table parse(const std::string& path) {
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    throw ConfigError(path + (line > 0 ? ":" + std::to_string(line) : "") + ": " + std::string(error.description()));
  }
}

}  // namespace

void apply_environment(Config& config, std::span<const std::string> environment) {
  // CELERY_ names first: LOVAGE_BROKER_URL wins over CELERY_BROKER_URL.
  for (const bool own : {false, true}) {
    for (const auto& entry : environment) {
      const auto equals = entry.find('=');
      if (equals == std::string::npos || entry.starts_with("LOVAGE_") != own) continue;
      const auto variable = entry.substr(0, equals);
      if (is_for_tests(variable)) continue;
      const auto name = setting_of(variable);
      if (name.empty()) {
        if (own) warn_of_unknown(variable);
        continue;
      }
      try {
        apply_setting_text(config, name, std::string_view(entry).substr(equals + 1));
      } catch (const ConfigError& error) {
        throw ConfigError("environment variable " + variable + ": " + error.what());
      }
    }
  }
}

std::vector<std::string> process_environment() {
  std::vector<std::string> entries;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

void apply_toml_file(Config& config, const std::string& path) {
  const toml::table document = parse(path);
  Config result = config;
  std::string problems;
  for (const auto& [key, node] : document) {
    try {
      apply_setting(result, key.str(), ordered_value_of(node));
    } catch (const ConfigError& error) {
      problems +=
          (problems.empty() ? "" : "\n") + path + ":" + std::to_string(key.source().begin.line) + ": " + error.what();
    }
  }
  if (!problems.empty()) throw ConfigError(problems);
  config = std::move(result);
}

}  // namespace lovage::app
