// The binary form in which requests and outcomes cross between the worker and its children. Both ends
// are the same program, so there is no versioning; but a child runs foreign code and may write anything,
// so the reader takes every byte for hostile.
#pragma once

#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <lovage/value.hpp>

namespace lovage::execution {

// What a value may look like to cross; Writer refuses what Reader would.
inline constexpr int kMaxValueDepth = 200;
inline constexpr std::size_t kMaxObjectMembers = 20'000;  // setting members is quadratic

namespace detail {
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsDuration : std::false_type {};
template <class R, class P>
struct IsDuration<std::chrono::duration<R, P>> : std::true_type {};
template <class T>
struct IsTimePoint : std::false_type {};
template <class C, class D>
struct IsTimePoint<std::chrono::time_point<C, D>> : std::true_type {};
template <class T>
concept Optional = IsOptional<std::remove_const_t<T>>::value;
template <class T>
concept Vector = IsVector<std::remove_const_t<T>>::value;
template <class T>
concept ChronoDuration = IsDuration<std::remove_const_t<T>>::value;
template <class T>
concept ChronoTimePoint = IsTimePoint<std::remove_const_t<T>>::value;
}  // namespace detail

// Appends values to a string. Structs are taken apart by a function `fields(archive, struct)`, found by
// argument-dependent look-up, that serves both directions.
class Writer {
 public:
  explicit Writer(std::string& out) noexcept : out_(out) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  void require(bool condition) noexcept { ok_ = ok_ && condition; }
  // False when something could not be written: a value nested too deeply, an object with too many members.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      raw(static_cast<std::uint8_t>(value ? 1 : 0));
    } else if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::is_integral_v<T>) {
      raw(static_cast<std::make_unsigned_t<T>>(value));
    } else if constexpr (std::is_same_v<T, double>) {
      raw(std::bit_cast<std::uint64_t>(value));
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      size(value.size());
      out_.append(value);
    } else if constexpr (std::is_same_v<T, Value>) {
      value_tree(value, 0);
    } else if constexpr (std::is_same_v<T, Object>) {
      members(value, 0);
    } else if constexpr (detail::Optional<T>) {
      put(value.has_value());
      if (value) put(*value);
    } else if constexpr (detail::Vector<T>) {
      size(value.size());
      for (const auto& item : value) put(item);
    } else if constexpr (detail::ChronoDuration<T>) {
      put(static_cast<std::int64_t>(value.count()));
    } else if constexpr (detail::ChronoTimePoint<T>) {
      put(value.time_since_epoch());
    } else {
      fields(*this, value);
    }
  }
  template <std::unsigned_integral U>
  void raw(U value) {
    for (std::size_t i = 0; i < sizeof(U); ++i) out_.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
  void size(std::size_t count);
  void value_tree(const Value& value, int depth);
  void members(const Object& object, int depth);

  std::string& out_;
  bool ok_ = true;
};

// Reads what Writer wrote. The first wrong byte makes it fail for good: everything read after that is
// empty, and ok() tells. Reserves no more memory than the bytes at hand can fill.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  // Refuses what is well-formed but makes no sense (an enumerator out of range).
  void require(bool condition) noexcept {
    if (!condition) failed();
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  // Everything was read and nothing was wrong.
  [[nodiscard]] bool finished() const noexcept { return ok_ && rest_.empty(); }

 private:
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const auto byte = raw<std::uint8_t>();
      if (byte > 1) failed();
      value = byte == 1;
    } else if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      get(number);
      value = static_cast<T>(number);  // `fields` requires the range
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(raw<std::make_unsigned_t<T>>());
    } else if constexpr (std::is_same_v<T, double>) {
      value = std::bit_cast<double>(raw<std::uint64_t>());
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = std::string(bytes(count(1)));
    } else if constexpr (std::is_same_v<T, Value>) {
      value = value_tree(0);
    } else if constexpr (std::is_same_v<T, Object>) {
      value = members(0);
    } else if constexpr (detail::Optional<T>) {
      bool present = false;
      get(present);
      value.reset();
      if (present) get(value.emplace());
    } else if constexpr (detail::Vector<T>) {
      const std::size_t items = count(1);
      value.clear();
      for (std::size_t i = 0; i < items && ok_; ++i) get(value.emplace_back());
    } else if constexpr (detail::ChronoDuration<T>) {
      std::int64_t ticks = 0;
      get(ticks);
      value = T(static_cast<typename T::rep>(ticks));
    } else if constexpr (detail::ChronoTimePoint<T>) {
      typename T::duration since{};
      get(since);
      value = T(since);
    } else {
      fields(*this, value);
    }
  }
  template <std::unsigned_integral U>
  U raw() {
    const std::string_view taken = bytes(sizeof(U));
    U value = 0;
    for (std::size_t i = 0; i < taken.size(); ++i)
      value = static_cast<U>(value | (static_cast<U>(static_cast<unsigned char>(taken[i])) << (8 * i)));
    return value;
  }
  // A length prefix, refused when the rest cannot hold so many items of at least `item_size` bytes.
  std::size_t count(std::size_t item_size);
  std::string_view bytes(std::size_t size);
  Value value_tree(int depth);
  Object members(int depth);
  Array items(int depth);
  template <class T>
  T text_as();
  void failed() noexcept {
    ok_ = false;
    rest_ = {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace lovage::execution
