#include "app/call_options.hpp"

#include <lovage/error.hpp>

namespace lovage::app {
namespace {

[[noreturn]] void throw_wrong(std::string_view name, std::string_view expected, const Value& got) {
  throw TypeError("option '" + std::string(name) + "' must be " + std::string(expected) + ", not " +
                  std::string(python_type_name(got.kind())));
}

}  // namespace

const Value* CallOptions::find_given(std::string_view name) const {
  const Value* value = options_.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const std::string* CallOptions::text(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return nullptr;
  if (const auto* text = value->if_string()) return text;
  throw_wrong(name, "str", *value);
}

std::optional<std::int64_t> CallOptions::integer(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = value->if_integer()) return *number;
  throw_wrong(name, "int", *value);
}

std::optional<double> CallOptions::number(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = value->if_integer()) return static_cast<double>(*whole);
  if (const auto* real = value->if_real()) return *real;
  throw_wrong(name, "a number", *value);
}

std::optional<bool> CallOptions::flag(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = value->if_bool()) return *flag;
  throw_wrong(name, "bool", *value);
}

const Object* CallOptions::table(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return nullptr;
  if (const auto* table = value->if_object()) return table;
  throw_wrong(name, "dict", *value);
}

std::optional<Array> CallOptions::list(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* items = value->if_array()) return *items;
  return Array{*value};
}

std::optional<wire::WireTime> CallOptions::time(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto* moment = value->get_if<DateTime>();
  const auto* text = moment != nullptr ? &moment->iso : value->if_string();
  if (text == nullptr) throw_wrong(name, "a datetime", *value);
  auto time = wire::parse_wire_time(*text);
  if (!time) throw TypeError("option '" + std::string(name) + "': " + time.error().message);
  return std::move(*time);
}

}  // namespace lovage::app
