// The JSON-like value of the wire: what task arguments and results are made of.
//
// A Value is a plain value type: copying copies the whole tree, moving is cheap, and a moved-from
// Value is null. Distinct Values may be used from distinct threads without locking.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lovage {

class Value;

// A whole number beyond 64 bits, kept as its decimal digits ("-" first when negative). Python's int.
struct BigInt {
  std::string digits;
  friend bool operator==(const BigInt&, const BigInt&) = default;
};

// Raw bytes. Python's bytes; travels as {"__type__": "bytes" | "base64"} in JSON.
struct Bytes {
  std::string data;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};

// A point in time in ISO 8601 as Python writes it: "2024-01-02T03:04:05.678900" (naive) or with an
// offset, "2024-01-02T03:04:05+00:00". The text is kept, so it travels unchanged.
struct DateTime {
  std::string iso;
  friend bool operator==(const DateTime&, const DateTime&) = default;
};

// A calendar day, "2024-01-02". Python's datetime.date.
struct Date {
  std::string iso;
  friend bool operator==(const Date&, const Date&) = default;
};

// A time of day, "03:04:05.000006". Python's datetime.time.
struct TimeOfDay {
  std::string iso;
  friend bool operator==(const TimeOfDay&, const TimeOfDay&) = default;
};

// An exact decimal number, "1.500". Python's decimal.Decimal.
struct Decimal {
  std::string text;
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

// A UUID as 32 lower-case hexadecimal digits without dashes. Python's uuid.UUID.
struct Uuid {
  std::string hex;
  friend bool operator==(const Uuid&, const Uuid&) = default;
};

using Array = std::vector<Value>;

// An object that keeps the order in which members were set. Look-ups are linear: objects of the
// wire are small.
class Object {
 public:
  using Member = std::pair<std::string, Value>;
  using iterator = std::vector<Member>::iterator;
  using const_iterator = std::vector<Member>::const_iterator;

  Object();
  Object(std::initializer_list<Member> members);
  // From members in their order; of several with one name the last value wins, in the first one's place.
  static Object from_members(std::vector<Member> members);
  Object(const Object&);
  Object(Object&&) noexcept;
  Object& operator=(const Object&);
  Object& operator=(Object&&) noexcept;
  ~Object();

  // The member's value, or nullptr when there is none.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  [[nodiscard]] Value* find(std::string_view key) noexcept;
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }

  // The member's value; a missing member is added as null at the end.
  Value& operator[](std::string_view key);
  // Sets a member, in its old place when the key is there already.
  void set(std::string key, Value value);
  // Removes a member; returns whether it was there.
  bool erase(std::string_view key);

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] iterator begin() noexcept;
  [[nodiscard]] iterator end() noexcept;
  [[nodiscard]] const_iterator begin() const noexcept;
  [[nodiscard]] const_iterator end() const noexcept;

  // Members are compared without regard to their order, as in Python.
  friend bool operator==(const Object&, const Object&);

 private:
  std::vector<Member> members_;
};

// The integers of C++ that become an int of the wire.
template <class T>
concept NonBoolInteger = std::integral<T> && !std::same_as<T, bool>;

// One value of the wire. See the types above for what each kind answers to in Python.
class Value {
 public:
  enum class Kind {
    null,
    boolean,
    integer,
    big_integer,
    real,
    string,
    bytes,
    datetime,
    date,
    time,
    decimal,
    uuid,
    array,
    object
  };

  // Literals and values of the wire's types read naturally, so none of these is explicit.
  // NOLINTBEGIN(google-explicit-constructor)
  Value() noexcept = default;
  Value(std::nullptr_t) noexcept {}
  template <std::same_as<bool> T>  // no pointer becomes true
  Value(T value) noexcept : data_(value) {}
  // Unsigned numbers over INT64_MAX become a BigInt.
  template <NonBoolInteger T>
  Value(T value) : data_(from_integer(value)) {}
  Value(double value) noexcept : data_(value) {}
  Value(std::string value) noexcept : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(BigInt value) noexcept : data_(std::move(value)) {}
  Value(Bytes value) noexcept : data_(std::move(value)) {}
  Value(DateTime value) noexcept : data_(std::move(value)) {}
  Value(Date value) noexcept : data_(std::move(value)) {}
  Value(TimeOfDay value) noexcept : data_(std::move(value)) {}
  Value(Decimal value) noexcept : data_(std::move(value)) {}
  Value(Uuid value) noexcept : data_(std::move(value)) {}
  Value(Array value) noexcept : data_(std::move(value)) {}
  Value(Object value) noexcept : data_(std::move(value)) {}
  // NOLINTEND(google-explicit-constructor)
  // {{"done", 10}, {"total", 100}} reads as an object.
  Value(std::initializer_list<Object::Member> members);

  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(data_.index()); }
  [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::null; }

  // The held alternative, or nullptr when the value is of another kind: if_integer(), ...
  template <class T>
  [[nodiscard]] const T* get_if() const noexcept {
    return std::get_if<T>(&data_);
  }
  template <class T>
  [[nodiscard]] T* get_if() noexcept {
    return std::get_if<T>(&data_);
  }
  [[nodiscard]] const bool* if_bool() const noexcept { return get_if<bool>(); }
  [[nodiscard]] const std::int64_t* if_integer() const noexcept { return get_if<std::int64_t>(); }
  [[nodiscard]] const double* if_real() const noexcept { return get_if<double>(); }
  [[nodiscard]] const std::string* if_string() const noexcept { return get_if<std::string>(); }
  [[nodiscard]] const Array* if_array() const noexcept { return get_if<Array>(); }
  [[nodiscard]] Array* if_array() noexcept { return get_if<Array>(); }
  [[nodiscard]] const Object* if_object() const noexcept { return get_if<Object>(); }
  [[nodiscard]] Object* if_object() noexcept { return get_if<Object>(); }

  // Member of an object, or nullptr when this is no object or has no such member.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;

  // Same kind and same content; 1 and 1.0 differ; NaN equals nothing.
  friend bool operator==(const Value&, const Value&) = default;

 private:
  using Data = std::variant<std::monostate, bool, std::int64_t, BigInt, double, std::string, Bytes, DateTime, Date,
                            TimeOfDay, Decimal, Uuid, Array, Object>;
  template <class T>
  static Data from_integer(T value) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
      if (value > static_cast<T>(INT64_MAX)) return BigInt{std::to_string(value)};
    }
    return static_cast<std::int64_t>(value);
  }

  Data data_;
};

// Python's name of the kind: "int", "str", "dict", ... as error messages show it.
std::string_view python_type_name(Value::Kind kind) noexcept;

// The value as JSON text in Python's spacing (`{"a": [1, 2]}`), ASCII-escaped, with bytes, datetimes,
// Decimals and UUIDs in Celery 5.6's tagged form. NaN and infinities are written bare, as Python does.
// Throws EncodeError (see error.hpp) for strings that are not UTF-8 and values nested over 100 levels.
std::string to_json(const Value& value);

// Reads JSON text, tagged forms included; at most 64 MiB and 100 levels. Throws DecodeError that says
// where. A lone surrogate ("\udce9"), which Python allows, is kept as its three-byte form and written back.
Value from_json(std::string_view text);

}  // namespace lovage
