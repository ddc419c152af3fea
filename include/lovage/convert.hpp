// Convert<T>: how a C++ type travels as a Value, and back. Known here: bool, integers, floating point,
// strings, the Value types, containers, optional, pair, tuple, variant, time points and durations. A type
// of your own travels once you specialise it:
//
//   template <>
//   struct lovage::Convert<Point> {
//     static Value to_value(const Point& p) { return Object{{"x", p.x}, {"y", p.y}}; }
//     static Point from_value(const Value& v);  // throws TypeError("must be a Point, not int")
//   };
//
// The text of from_value's TypeError continues a sentence: the caller puts the place in front of it, as
// in "tasks.add(): argument 'x' must be int, not str".
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <lovage/error.hpp>
#include <lovage/value.hpp>

namespace lovage {

template <class T>
struct Convert;

// T can be sent as an argument or a result.
template <class T>
concept Sendable = requires(const T& value) {
  { Convert<T>::to_value(value) } -> std::convertible_to<Value>;
};

// T can be received as a parameter or a result.
template <class T>
concept Receivable = requires(const Value& value) {
  { Convert<T>::from_value(value) } -> std::convertible_to<T>;
};

template <class T>
concept Convertible = Sendable<T> && Receivable<T>;

// Throws EncodeError for what no Value can hold.
template <class T>
Value to_value(T&& value) {
  return Convert<std::decay_t<T>>::to_value(std::forward<T>(value));
}

// Throws TypeError ("must be int, not str").
template <class T>
T from_value(const Value& value) {
  return Convert<T>::from_value(value);
}

namespace detail {

template <class T>
concept Character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept WholeNumber = std::integral<T> && !std::same_as<T, bool> && !Character<T>;

[[noreturn]] void throw_type_error(std::string_view expected, const Value& got);
// "item 2 must be int, not str": the place in front of an inner conversion's error.
[[noreturn]] void throw_at_item(std::size_t index, const TypeError& inner);
[[noreturn]] void throw_at_member(std::string_view key, const TypeError& inner);
[[noreturn]] void throw_out_of_range(const Value& got, const std::string& low, const std::string& high);
[[noreturn]] void throw_wrong_length(std::size_t expected, std::size_t got);

std::string format_datetime(std::chrono::sys_time<std::chrono::microseconds> time);
std::chrono::sys_time<std::chrono::microseconds> parse_datetime(const Value& value);

// The digits of whole numbers beyond 64 bits that still fit an unsigned one.
std::optional<std::uint64_t> unsigned_from(const Value& value) noexcept;
double number_from(const Value& value);  // int or float; throws TypeError

template <class T>
T item_from(const Array& items, std::size_t index) {
  try {
    return from_value<T>(items[index]);
  } catch (const TypeError& error) {
    throw_at_item(index, error);
  }
}

inline const Array& array_of(const Value& value) {
  if (const Array* items = value.if_array()) return *items;
  throw_type_error("list", value);
}

inline const Object& object_of(const Value& value) {
  if (const Object* members = value.if_object()) return *members;
  throw_type_error("dict", value);
}

// Types that a Value holds as they are.
template <class T>
concept Held = std::same_as<T, Bytes> || std::same_as<T, BigInt> || std::same_as<T, DateTime> ||
    std::same_as<T, Date> || std::same_as<T, TimeOfDay> || std::same_as<T, Decimal> || std::same_as<T, Uuid> ||
    std::same_as<T, Array> || std::same_as<T, Object>;

template <Held T>
constexpr std::string_view held_name() noexcept {
  if constexpr (std::same_as<T, Bytes>) return "bytes";
  if constexpr (std::same_as<T, BigInt>) return "int";
  if constexpr (std::same_as<T, DateTime>) return "datetime";
  if constexpr (std::same_as<T, Date>) return "date";
  if constexpr (std::same_as<T, TimeOfDay>) return "time";
  if constexpr (std::same_as<T, Decimal>) return "Decimal";
  if constexpr (std::same_as<T, Uuid>) return "UUID";
  if constexpr (std::same_as<T, Array>) return "list";
  return "dict";
}

// Celery 5.2 writes datetimes, Decimals and UUIDs as strings: those are taken too.
std::optional<std::string> text_form(const Value& value, std::string_view type);

}  // namespace detail

template <>
struct Convert<Value> {
  static Value to_value(Value value) { return value; }
  static Value from_value(const Value& value) { return value; }
};

template <>
struct Convert<std::nullptr_t> {
  static Value to_value(std::nullptr_t) { return {}; }
  static std::nullptr_t from_value(const Value& value) {
    if (!value.is_null()) detail::throw_type_error("None", value);
    return nullptr;
  }
};

template <>
struct Convert<std::monostate> {
  static Value to_value(std::monostate) { return {}; }
  static std::monostate from_value(const Value& value) {
    if (!value.is_null()) detail::throw_type_error("None", value);
    return {};
  }
};

template <>
struct Convert<bool> {
  static Value to_value(bool value) { return value; }
  static bool from_value(const Value& value) {
    if (const bool* held = value.if_bool()) return *held;
    detail::throw_type_error("bool", value);
  }
};

// A number outside T's range is a TypeError that names the range.
template <detail::WholeNumber T>
struct Convert<T> {
  static Value to_value(T value) { return value; }
  static T from_value(const Value& value) {
    if (const std::int64_t* held = value.if_integer()) {
      if (std::in_range<T>(*held)) return static_cast<T>(*held);
    } else if (value.kind() != Value::Kind::big_integer) {
      detail::throw_type_error("int", value);
    } else if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::uint64_t)) {
      if (const auto big = detail::unsigned_from(value)) return static_cast<T>(*big);
    }
    detail::throw_out_of_range(value, std::to_string(std::numeric_limits<T>::min()),
                               std::to_string(std::numeric_limits<T>::max()));
  }
};

// Whole numbers are taken as well, as in Python.
template <std::floating_point T>
struct Convert<T> {
  static Value to_value(T value) { return static_cast<double>(value); }
  static T from_value(const Value& value) { return static_cast<T>(detail::number_from(value)); }
};

template <>
struct Convert<std::string> {
  static Value to_value(std::string value) { return value; }
  static std::string from_value(const Value& value) {
    if (const std::string* held = value.if_string()) return *held;
    detail::throw_type_error("str", value);
  }
};

template <>
struct Convert<std::string_view> {
  static Value to_value(std::string_view value) { return value; }
};

template <>
struct Convert<const char*> {
  static Value to_value(const char* value) { return value; }
};

template <detail::Held T>
struct Convert<T> {
  static Value to_value(T value) { return value; }
  static T from_value(const Value& value) {
    if (const T* held = value.get_if<T>()) return *held;
    if constexpr (!std::same_as<T, Array> && !std::same_as<T, Object>) {
      if (auto text = detail::text_form(value, detail::held_name<T>())) return T{std::move(*text)};
    }
    detail::throw_type_error(detail::held_name<T>(), value);
  }
};

template <class T>
requires(!std::same_as<T, Value>) struct Convert<std::vector<T>> {
  static Value to_value(const std::vector<T>& values) {
    Array items;
    items.reserve(values.size());
    for (const auto& value : values) items.push_back(Convert<T>::to_value(value));
    return items;
  }
  static std::vector<T> from_value(const Value& value) {
    const Array& items = detail::array_of(value);
    std::vector<T> values;
    values.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) values.push_back(detail::item_from<T>(items, i));
    return values;
  }
};

namespace detail {

// pair, tuple and array travel as lists of exactly their length.
template <class Tuple, class Indices>
struct ConvertTuple;

template <class Tuple, std::size_t... I>
struct ConvertTuple<Tuple, std::index_sequence<I...>> {
  static Value to_value(const Tuple& values) {
    Array items;
    items.reserve(sizeof...(I));
    (items.push_back(Convert<std::tuple_element_t<I, Tuple>>::to_value(std::get<I>(values))), ...);
    return items;
  }
  static Tuple from_value(const Value& value) {
    const Array& items = array_of(value);
    if (items.size() != sizeof...(I)) throw_wrong_length(sizeof...(I), items.size());
    return Tuple{item_from<std::tuple_element_t<I, Tuple>>(items, I)...};
  }
};

template <class Map>
struct ConvertMap {
  static Value to_value(const Map& map) {
    Object members;
    for (const auto& [key, value] : map) members.set(key, Convert<typename Map::mapped_type>::to_value(value));
    return members;
  }
  static Map from_value(const Value& value) {
    Map map;
    for (const auto& [key, member] : object_of(value)) {
      try {
        map.insert_or_assign(key, lovage::from_value<typename Map::mapped_type>(member));
      } catch (const TypeError& error) {
        throw_at_member(key, error);
      }
    }
    return map;
  }
};

}  // namespace detail

template <class T, std::size_t N>
struct Convert<std::array<T, N>> : detail::ConvertTuple<std::array<T, N>, std::make_index_sequence<N>> {};

template <class A, class B>
struct Convert<std::pair<A, B>> : detail::ConvertTuple<std::pair<A, B>, std::make_index_sequence<2>> {};

template <class... T>
struct Convert<std::tuple<T...>> : detail::ConvertTuple<std::tuple<T...>, std::index_sequence_for<T...>> {};

template <class T>
struct Convert<std::map<std::string, T>> : detail::ConvertMap<std::map<std::string, T>> {};

template <class T>
struct Convert<std::unordered_map<std::string, T>> : detail::ConvertMap<std::unordered_map<std::string, T>> {};

// null is an empty optional.
template <class T>
struct Convert<std::optional<T>> {
  static Value to_value(const std::optional<T>& value) { return value ? Convert<T>::to_value(*value) : Value(); }
  static std::optional<T> from_value(const Value& value) {
    if (value.is_null()) return std::nullopt;
    return lovage::from_value<T>(value);
  }
};

// The first alternative that the value converts to.
template <class... T>
struct Convert<std::variant<T...>> {
  static Value to_value(const std::variant<T...>& value) {
    return std::visit([](const auto& held) { return lovage::to_value(held); }, value);
  }
  static std::variant<T...> from_value(const Value& value) {
    std::optional<std::variant<T...>> result;
    ((result || try_one<T>(value, result)) || ...);
    if (result) return std::move(*result);
    throw TypeError("has a type that is not accepted: " + std::string(python_type_name(value.kind())));
  }

 private:
  template <class One>
  static bool try_one(const Value& value, std::optional<std::variant<T...>>& result) {
    try {
      result.emplace(lovage::from_value<One>(value));
      return true;
    } catch (const TypeError&) {
      return false;
    }
  }
};

// A time point travels as an aware UTC datetime, with microseconds; naive ones are taken as UTC.
template <class Duration>
struct Convert<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  using Time = std::chrono::time_point<std::chrono::system_clock, Duration>;
  static Value to_value(Time time) {
    return DateTime{detail::format_datetime(std::chrono::floor<std::chrono::microseconds>(time))};
  }
  static Time from_value(const Value& value) {
    return std::chrono::time_point_cast<Duration>(detail::parse_datetime(value));
  }
};

// A duration travels as a number of seconds.
template <class Rep, class Period>
struct Convert<std::chrono::duration<Rep, Period>> {
  using Duration = std::chrono::duration<Rep, Period>;
  static Value to_value(Duration duration) { return std::chrono::duration<double>(duration).count(); }
  static Duration from_value(const Value& value) {
    const double seconds = detail::number_from(value);
    // Outside this the cast to a whole number of ticks would be undefined.
    const double limit = std::chrono::duration<double>(Duration::max()).count() * 0.999;
    if (!(seconds >= -limit && seconds <= limit)) throw TypeError("is no duration in seconds that can be held");
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }
};

}  // namespace lovage
