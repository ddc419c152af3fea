// The options of a call as they travel in a signature, read with care: they may come from anywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "wire/task_message.hpp"

namespace lovage::app {

// Each returns nothing for a missing or null option and throws TypeError for one of another type.
class CallOptions {
 public:
  explicit CallOptions(const Object& options) : options_(options) {}

  [[nodiscard]] const Value* find(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::string text_or_empty(std::string_view name) const { return text(name).value_or(std::string()); }
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] std::optional<bool> flag(std::string_view name) const;
  [[nodiscard]] const Object* table(std::string_view name) const;
  // A list, or a single value as a list of one. Celery: maybe_list.
  [[nodiscard]] std::optional<Array> list(std::string_view name) const;
  // A datetime as such or as text.
  [[nodiscard]] std::optional<wire::WireTime> time(std::string_view name) const;

 private:
  const Object& options_;
};

}  // namespace lovage::app
