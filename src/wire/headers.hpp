// Reads single headers and properties into a TaskMessage: the same rules whether they come from an
// envelope, from a protocol 1 body or from AMQP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

#include "wire/header_fields.hpp"
#include "wire/task_message.hpp"

namespace lovage::wire {

// A JSON scalar as parsed: `text` holds a string's content or a number's digits.
struct Scalar {
  enum class Kind { null, boolean, number, string };
  Kind kind = Kind::null;
  bool flag = false;
  std::string_view text;

  [[nodiscard]] bool is_null() const noexcept { return kind == Kind::null; }
  [[nodiscard]] bool is_string() const noexcept { return kind == Kind::string; }
  [[nodiscard]] std::optional<std::int64_t> integer() const;
  [[nodiscard]] Value value() const;
};

// Sets one scalar header. False when its type is not what workers can take.
bool set_header(TaskMessage& message, Field field, const Scalar& scalar);

// timelimit's two items; not null: finite, not negative. 0 is "none", as in Celery.
bool set_time_limit(std::optional<double>& limit, const Scalar& scalar);

// Properties never spoil a message: what cannot be read counts as absent.
void set_property(TaskMessage& message, Field field, const Scalar& scalar);

}  // namespace lovage::wire
