#include "app/settings_values.hpp"

#include <array>
#include <cmath>
#include <span>
#include <string_view>

#include <lovage/error.hpp>

#include "base/suggest.hpp"

namespace lovage::app {
namespace {

double read_number(const Value& value) {
  if (const auto* whole = value.if_integer()) return static_cast<double>(*whole);
  if (const auto* real = value.if_real()) return *real;
  throw_expected("a number", value);
}

const Object& read_table(const Value& value) {
  if (const Object* table = value.if_object()) return *table;
  throw_expected("a table", value);
}

void check_keys(const Object& table, std::span<const std::string_view> known) {
  for (const auto& [key, value] : table) {
    bool found = false;
    for (const auto name : known) found = found || name == key;
    if (!found) throw ConfigError("unknown key '" + key + "'" + did_you_mean(key, known));
  }
}

std::string text_member(const Object& table, std::string_view key, std::string fallback = {}) {
  const Value* member = table.find(key);
  if (member == nullptr) return fallback;
  std::string text;
  read_setting(*member, text);
  return text;
}

Route read_route(const Value& value) {
  Route route;
  if (value.if_string() != nullptr) {
    read_setting(value, route.queue);
    return route;
  }
  static constexpr std::array<std::string_view, 4> kKeys{"queue", "exchange", "routing_key", "priority"};
  const Object& table = read_table(value);
  check_keys(table, kKeys);
  route.queue = text_member(table, "queue");
  route.exchange = text_member(table, "exchange");
  route.routing_key = text_member(table, "routing_key");
  if (const Value* priority = table.find("priority")) read_setting(*priority, route.priority);
  return route;
}

Queue read_queue(const Value& value) {
  Queue queue;
  if (value.if_string() != nullptr) {
    read_setting(value, queue.name);
  } else {
    static constexpr std::array<std::string_view, 5> kKeys{"name", "exchange", "exchange_type", "routing_key",
                                                           "lovage_only"};
    const Object& table = read_table(value);
    check_keys(table, kKeys);
    queue.name = text_member(table, "name");
    queue.exchange = text_member(table, "exchange");
    queue.exchange_type = text_member(table, "exchange_type", "direct");
    queue.routing_key = text_member(table, "routing_key");
    if (const Value* const only = table.find("lovage_only")) read_setting(*only, queue.lovage_only);
  }
  if (queue.name.empty()) throw ConfigError("a queue needs a name");
  if (queue.exchange_type != "direct" && queue.exchange_type != "topic" && queue.exchange_type != "fanout") {
    throw ConfigError("exchange_type must be direct, topic or fanout, not '" + queue.exchange_type + "'");
  }
  return queue;
}

}  // namespace

std::string shown(const Value& value) {
  if (const auto* text = value.if_string()) return "'" + *text + "'";
  if (value.if_array() != nullptr) return "a list";
  if (value.if_object() != nullptr) return "a table";
  return to_json(value);
}

void throw_expected(std::string_view expected, const Value& got) {
  throw ConfigError("must be " + std::string(expected) + ", not " + shown(got));
}

void read_setting(const Value& value, std::string& out) {
  if (value.is_null()) {
    out.clear();
  } else if (const auto* text = value.if_string()) {
    out = *text;
  } else {
    throw_expected("text", value);
  }
}

void read_setting(const Value& value, bool& out) {
  if (const auto* flag = value.if_bool()) {
    out = *flag;
  } else if (const auto* number = value.if_integer(); number != nullptr && (*number == 0 || *number == 1)) {
    out = *number == 1;
  } else {
    throw_expected("true or false", value);
  }
}

void read_setting(const Value& value, std::int64_t& out) {
  if (const auto* number = value.if_integer()) {
    out = *number;
  } else {
    throw_expected("a whole number", value);
  }
}

void read_setting(const Value& value, std::chrono::milliseconds& out) {
  if (value.is_null()) {
    out = std::chrono::milliseconds(0);
    return;
  }
  const double seconds = read_number(value);
  // A century is more than any wait; beyond it the arithmetic of deadlines would overflow.
  if (!(seconds >= 0 && seconds <= 3.2e9)) throw_expected("a number of seconds, not negative", value);
  out = std::chrono::milliseconds(std::llround(seconds * 1000));
}

void read_setting(const Value& value, std::map<std::string, Value>& out) {
  std::map<std::string, Value> entries;
  for (const auto& [key, entry] : read_table(value)) entries.insert_or_assign(key, entry);
  out = std::move(entries);
}

void read_setting(const Value& value, std::vector<std::string>& out) {
  const Array* items = value.if_array();
  if (items == nullptr) throw_expected("a list of texts", value);
  std::vector<std::string> texts(items->size());
  for (std::size_t i = 0; i < items->size(); ++i) read_setting((*items)[i], texts[i]);
  out = std::move(texts);
}

void read_setting(const Value& value, std::vector<Queue>& out) {
  const Array* items = value.if_array();
  if (items == nullptr) throw_expected("a list of queues", value);
  std::vector<Queue> queues;
  for (const auto& item : *items) queues.push_back(read_queue(item));
  out = std::move(queues);
}

void read_setting(const Value& value, std::vector<std::pair<std::string, Route>>& out) {
  std::vector<std::pair<std::string, Route>> routes;
  for (const auto& [pattern, route] : read_table(value)) routes.emplace_back(pattern, read_route(route));
  out = std::move(routes);
}

void read_setting(const Value& value, RetryPolicy& out) {
  static constexpr std::array<std::string_view, 4> kKeys{"max_retries", "interval_start", "interval_step",
                                                         "interval_max"};
  const Object& table = read_table(value);
  check_keys(table, kKeys);
  RetryPolicy policy;
  if (const Value* retries = table.find("max_retries")) {
    // Celery: None retries for ever; here until the deadline.
    if (retries->is_null())
      policy.max_retries = -1;
    else
      read_setting(*retries, policy.max_retries);
  }
  if (const Value* start = table.find("interval_start")) read_setting(*start, policy.interval_start);
  if (const Value* step = table.find("interval_step")) read_setting(*step, policy.interval_step);
  if (const Value* most = table.find("interval_max")) read_setting(*most, policy.interval_max);
  out = policy;
}

Value show_setting(const std::string& value) {
  return value;
}

Value show_setting(const std::map<std::string, Value>& value) {
  Object table;
  for (const auto& [key, entry] : value) table.set(key, entry);
  return table;
}

Value show_setting(const std::vector<std::string>& value) {
  return Array(value.begin(), value.end());
}

Value show_setting(const std::vector<Queue>& value) {
  Array queues;
  for (const auto& queue : value) {
    Object table{{"name", queue.name}, {"exchange_type", queue.exchange_type}};
    if (!queue.exchange.empty()) table.set("exchange", queue.exchange);
    if (!queue.routing_key.empty()) table.set("routing_key", queue.routing_key);
    if (queue.lovage_only) table.set("lovage_only", Value(true));
    queues.emplace_back(std::move(table));
  }
  return queues;
}

Value show_setting(const std::vector<std::pair<std::string, Route>>& value) {
  Object routes;
  for (const auto& [pattern, route] : value) {
    Object table;
    if (!route.queue.empty()) table.set("queue", route.queue);
    if (!route.exchange.empty()) table.set("exchange", route.exchange);
    if (!route.routing_key.empty()) table.set("routing_key", route.routing_key);
    if (route.priority) table.set("priority", *route.priority);
    routes.set(pattern, std::move(table));
  }
  return routes;
}

Value show_setting(const RetryPolicy& value) {
  return Object{{"max_retries", value.max_retries < 0 ? Value() : Value(value.max_retries)},
                {"interval_start", show_setting(value.interval_start)},
                {"interval_step", show_setting(value.interval_step)},
                {"interval_max", show_setting(value.interval_max)}};
}

Value show_setting(std::chrono::milliseconds value) {
  if (value.count() % 1000 == 0) return value.count() / 1000;
  return static_cast<double>(value.count()) / 1000;
}

}  // namespace lovage::app
