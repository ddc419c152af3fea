// How each type of a setting is read from a Value and shown as one. Throws ConfigError with the reason.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <lovage/config.hpp>
#include <lovage/value.hpp>

namespace lovage::app {

// A short form of a value for messages: 'maybe', 12, a list.
std::string shown(const Value& value);
[[noreturn]] void throw_expected(std::string_view expected, const Value& got);

void read_setting(const Value& value, std::string& out);
void read_setting(const Value& value, bool& out);
void read_setting(const Value& value, std::int64_t& out);
void read_setting(const Value& value, std::map<std::string, Value>& out);
void read_setting(const Value& value, std::vector<std::string>& out);
void read_setting(const Value& value, std::vector<Queue>& out);
void read_setting(const Value& value, std::vector<std::pair<std::string, Route>>& out);
void read_setting(const Value& value, RetryPolicy& out);
// Seconds; never negative.
void read_setting(const Value& value, std::chrono::milliseconds& out);

template <class T>
requires(std::integral<T> && !std::same_as<T, bool> &&
         !std::same_as<T, std::int64_t>) void read_setting(const Value& value, T& out) {
  std::int64_t number = 0;
  read_setting(value, number);
  if (!std::in_range<T>(number)) {
    throw_expected("a number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                       std::to_string(std::numeric_limits<T>::max()),
                   value);
  }
  out = static_cast<T>(number);
}

inline void read_setting(const Value& value, std::chrono::seconds& out) {
  std::chrono::milliseconds exact{};
  read_setting(value, exact);
  const auto whole = std::chrono::floor<std::chrono::seconds>(exact);
  if (exact != whole) throw_expected("whole seconds", value);
  out = whole;
}

// null turns an optional setting off.
template <class T>
void read_setting(const Value& value, std::optional<T>& out) {
  if (value.is_null()) {
    out.reset();
    return;
  }
  T held{};
  read_setting(value, held);
  out = std::move(held);
}

Value show_setting(const std::string& value);
Value show_setting(const std::map<std::string, Value>& value);
Value show_setting(const std::vector<std::string>& value);
Value show_setting(const std::vector<Queue>& value);
Value show_setting(const std::vector<std::pair<std::string, Route>>& value);
Value show_setting(const RetryPolicy& value);
Value show_setting(std::chrono::milliseconds value);

template <class T>
requires std::integral<T> Value show_setting(T value) {
  return value;
}

inline Value show_setting(std::chrono::seconds value) {
  return show_setting(std::chrono::duration_cast<std::chrono::milliseconds>(value));
}

template <class T>
Value show_setting(const std::optional<T>& value) {
  return value ? show_setting(*value) : Value();
}

}  // namespace lovage::app
