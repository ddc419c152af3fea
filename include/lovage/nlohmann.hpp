// For users of nlohmann::json: json values, and every type that nlohmann knows how to write and read, as
// arguments and results. Include it where such tasks are declared; the rest of Lovage does not need it.
//
//   struct Size { int width = 0, height = 0; };
//   NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Size, width, height)
//   template <>
//   struct lovage::Convert<Size> : lovage::ConvertWithNlohmann<Size> {};
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <lovage/convert.hpp>
#include <lovage/error.hpp>
#include <lovage/value.hpp>
#include <nlohmann/json.hpp>

namespace lovage {

// Throws EncodeError for binary values of a nlohmann subtype and other things that Values cannot hold.
template <class Json>
Value value_from_nlohmann(const Json& json) {
  switch (json.type()) {
    case nlohmann::detail::value_t::boolean:
      return json.template get<bool>();
    case nlohmann::detail::value_t::number_integer:
      return json.template get<std::int64_t>();
    case nlohmann::detail::value_t::number_unsigned:
      return json.template get<std::uint64_t>();
    case nlohmann::detail::value_t::number_float:
      return json.template get<double>();
    case nlohmann::detail::value_t::string:
      return json.template get<std::string>();
    case nlohmann::detail::value_t::binary:
      return Bytes{std::string(json.get_binary().begin(), json.get_binary().end())};
    case nlohmann::detail::value_t::array: {
      Array items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(value_from_nlohmann(item));
      return items;
    }
    case nlohmann::detail::value_t::object: {
      Object members;
      for (const auto& [key, member] : json.items()) members.set(key, value_from_nlohmann(member));
      return members;
    }
    case nlohmann::detail::value_t::null:
      return {};
    case nlohmann::detail::value_t::discarded:
      break;
  }
  throw EncodeError("a discarded JSON value cannot be sent");
}

// Bytes become binary values; datetimes, Decimals, UUIDs and whole numbers beyond 64 bits their text.
template <class Json = nlohmann::json>
Json value_to_nlohmann(const Value& value) {
  if (const auto* flag = value.if_bool()) return *flag;
  if (const auto* number = value.if_integer()) return *number;
  if (const auto* real = value.if_real()) return *real;
  if (const auto* text = value.if_string()) return *text;
  if (const auto* bytes = value.get_if<Bytes>()) {
    return Json::binary({bytes->data.begin(), bytes->data.end()});
  }
  if (const auto big = detail::unsigned_from(value)) return *big;
  if (const auto* big = value.get_if<BigInt>()) return big->digits;
  if (const auto* time = value.get_if<DateTime>()) return time->iso;
  if (const auto* date = value.get_if<Date>()) return date->iso;
  if (const auto* time = value.get_if<TimeOfDay>()) return time->iso;
  if (const auto* decimal = value.get_if<Decimal>()) return decimal->text;
  if (const auto* uuid = value.get_if<Uuid>()) return uuid->hex;
  if (const auto* items = value.if_array()) {
    Json array = Json::array();
    for (const auto& item : *items) array.push_back(value_to_nlohmann<Json>(item));
    return array;
  }
  if (const auto* members = value.if_object()) {
    Json object = Json::object();
    for (const auto& [key, member] : *members) object[key] = value_to_nlohmann<Json>(member);
    return object;
  }
  return nullptr;
}

template <>
struct Convert<nlohmann::json> {
  static Value to_value(const nlohmann::json& json) { return value_from_nlohmann(json); }
  static nlohmann::json from_value(const Value& value) { return value_to_nlohmann(value); }
};

// Keeps the order of members.
template <>
struct Convert<nlohmann::ordered_json> {
  static Value to_value(const nlohmann::ordered_json& json) { return value_from_nlohmann(json); }
  static nlohmann::ordered_json from_value(const Value& value) {
    return value_to_nlohmann<nlohmann::ordered_json>(value);
  }
};

// Base of a Convert for a type that has nlohmann's to_json and from_json.
template <class T>
struct ConvertWithNlohmann {
  static Value to_value(const T& value) { return value_from_nlohmann(nlohmann::json(value)); }
  static T from_value(const Value& value) {
    try {
      return value_to_nlohmann(value).template get<T>();
    } catch (const nlohmann::json::exception& error) {
      throw TypeError(std::string("does not fit: ") + error.what());
    }
  }
};

}  // namespace lovage
