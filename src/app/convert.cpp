#include <charconv>
#include <cstdlib>

#include <lovage/convert.hpp>

#include "wire/task_message.hpp"

namespace lovage::detail {

void throw_type_error(std::string_view expected, const Value& got) {
  throw TypeError("must be " + std::string(expected) + ", not " + std::string(python_type_name(got.kind())));
}

void throw_at_item(std::size_t index, const TypeError& inner) {
  throw TypeError("item " + std::to_string(index) + " " + inner.what());
}

void throw_at_member(std::string_view key, const TypeError& inner) {
  throw TypeError("member '" + std::string(key) + "' " + inner.what());
}

void throw_out_of_range(const Value& got, const std::string& low, const std::string& high) {
  throw TypeError("must be between " + low + " and " + high + ", not " + to_json(got));
}

void throw_wrong_length(std::size_t expected, std::size_t got) {
  throw TypeError("must have " + std::to_string(expected) + " items, not " + std::to_string(got));
}

std::optional<std::uint64_t> unsigned_from(const Value& value) noexcept {
  const auto* big = value.get_if<BigInt>();
  if (big == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = big->digits.data() + big->digits.size();
  const auto [at, error] = std::from_chars(big->digits.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

double number_from(const Value& value) {
  if (const double* held = value.if_real()) return *held;
  if (const std::int64_t* held = value.if_integer()) return static_cast<double>(*held);
  if (const auto* big = value.get_if<BigInt>()) return std::strtod(big->digits.c_str(), nullptr);
  throw_type_error("float", value);
}

std::string format_datetime(std::chrono::sys_time<std::chrono::microseconds> time) {
  return wire::to_wire_time(time).text;
}

std::chrono::sys_time<std::chrono::microseconds> parse_datetime(const Value& value) {
  const auto* held = value.get_if<DateTime>();
  const std::string* text = held != nullptr ? &held->iso : value.if_string();
  if (text == nullptr) throw_type_error("datetime", value);
  const auto parsed = wire::parse_wire_time(*text);
  if (!parsed) throw TypeError("must be an ISO 8601 datetime: " + parsed.error().message);
  return parsed->at;
}

std::optional<std::string> text_form(const Value& value, std::string_view type) {
  const std::string* text = value.if_string();
  if (type == "int") {
    if (const std::int64_t* number = value.if_integer()) return std::to_string(*number);
    return std::nullopt;
  }
  if (type == "bytes" || text == nullptr) return std::nullopt;
  if (type != "UUID") return *text;
  std::string hex;
  for (const char c : *text) {
    if (c != '-') hex.push_back(c);
  }
  return hex.size() == 32 ? std::optional(hex) : std::nullopt;
}

}  // namespace lovage::detail
