// Identifiers have types: a queue name is not a task id, and swapping the two must not compile.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace lovage {

template <class Tag, class T = std::string>
class Strong {
 public:
  Strong() = default;
  explicit Strong(T value) : value_(std::move(value)) {}
  [[nodiscard]] const T& get() const noexcept { return value_; }
  friend auto operator<=>(const Strong&, const Strong&) = default;  // NOLINT(modernize-use-nullptr): the compiler's 0
  friend bool operator==(const Strong&, const Strong&) = default;

 private:
  T value_{};
};

using TaskId = Strong<struct TaskIdTag>;
using QueueName = Strong<struct QueueNameTag>;
// One start of a worker process: a fresh random id, registered in the store.
using IncarnationId = Strong<struct IncarnationIdTag>;
// What a worker calls a message that it reserved: a counter of its own, unique within its incarnation.
using Token = Strong<struct TokenTag, std::uint64_t>;

}  // namespace lovage

template <class Tag, class T>
struct std::hash<lovage::Strong<Tag, T>> {
  std::size_t operator()(const lovage::Strong<Tag, T>& id) const noexcept { return std::hash<T>{}(id.get()); }
};
