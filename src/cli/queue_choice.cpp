#include "cli/queue_choice.hpp"

#include <algorithm>

#include <lovage/error.hpp>

#include "base/suggest.hpp"
#include "cli/session.hpp"

namespace lovage::cli {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

void check_known(const std::vector<std::string>& names, std::vector<std::string> known, broker::Broker& broker) {
  const auto is_unknown = [&](const auto& name) { return !contains(known, name); };
  if (std::none_of(names.begin(), names.end(), is_unknown)) return;
  for (auto& queue : take(broker.queues({}, management_deadline()))) known.push_back(std::move(queue.name));
  for (const auto& name : names) {
    if (!contains(known, name)) throw ConfigError("unknown queue '" + name + "'" + did_you_mean(name, known));
  }
}

}  // namespace

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto end = text.find(',');
    if (auto name = trimmed(text.substr(0, end)); !name.empty()) names.push_back(std::move(name));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return names;
}

std::vector<std::string> configured_queues(const Config& config) {
  std::vector<std::string> names;
  for (const auto& queue : config.task_queues) names.push_back(queue.name);
  if (names.empty()) names.push_back(config.task_default_queue);
  return names;
}

std::vector<std::string> choose_queues(const Config& config, broker::Broker& broker,
                                       const std::vector<std::string>& wanted,
                                       const std::vector<std::string>& excluded) {
  const auto configured = configured_queues(config);
  check_known(wanted, configured, broker);
  check_known(excluded, configured, broker);
  auto names = wanted.empty() ? configured : wanted;
  std::erase_if(names, [&](const auto& name) { return contains(excluded, name); });
  if (names.empty()) throw ConfigError("no queue is left: all are excluded");
  return names;
}

}  // namespace lovage::cli
