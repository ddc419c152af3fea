// The options of a call as they travel in a signature, read with care: they may come from anywhere.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "wire/task_message.hpp"

namespace lovage::app {

// Each returns nothing for a missing or null option and throws TypeError for one of another type. What is pointed to
// is the option itself.
class CallOptions {
 public:
  explicit CallOptions(const Object& options) : options_(options), empty_(options.empty()) {}

  // Most calls have no options at all, and are asked for some thirty.
  [[nodiscard]] const Value* find(std::string_view name) const { return empty_ ? nullptr : find_given(name); }
  [[nodiscard]] const std::string* text(std::string_view name) const;
  [[nodiscard]] std::string text_or_empty(std::string_view name) const {
    const auto* const given = text(name);
    return given != nullptr ? *given : std::string();
  }
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] std::optional<bool> flag(std::string_view name) const;
  [[nodiscard]] const Object* table(std::string_view name) const;
  // A list, or a single value as a list of one. Celery: maybe_list.
  [[nodiscard]] std::optional<Array> list(std::string_view name) const;
  // A datetime as such or as text.
  [[nodiscard]] std::optional<wire::WireTime> time(std::string_view name) const;

 private:
  [[nodiscard]] const Value* find_given(std::string_view name) const;

  const Object& options_;
  const bool empty_;
};

}  // namespace lovage::app
