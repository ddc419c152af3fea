#include "wire/headers.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "wire/value_builder.hpp"

namespace lovage::wire {
namespace {

bool set(std::string& to, const Scalar& from) {
  if (!from.is_string()) return from.is_null();
  to = from.text;
  return true;
}

bool set(std::optional<std::string>& to, const Scalar& from) {
  if (from.is_null()) return to.reset(), true;
  if (!from.is_string()) return false;
  to = from.text;
  return true;
}

bool set(std::optional<WireTime>& to, const Scalar& from) {
  if (from.is_null()) return to.reset(), true;
  if (!from.is_string()) return false;
  auto time = parse_wire_time(from.text);
  if (!time) return false;
  to = std::move(*time);
  return true;
}

bool set(std::int64_t& to, const Scalar& from) {
  const auto number = from.is_null() ? 0 : from.integer();
  if (number) to = *number;
  return number.has_value();
}

// For headers that only people read: another type than text is as good as none.
bool set_informal(std::string& to, const Scalar& from) {
  if (from.is_string()) to = from.text;
  return true;
}

int clamped_int(std::int64_t number) {
  return static_cast<int>(
      std::clamp<std::int64_t>(number, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

// As Python's int(): numbers, truncated, and texts of digits.
std::optional<int> lenient_int(const Scalar& from) {
  if (from.kind == Scalar::Kind::boolean) return from.flag ? 1 : 0;
  if (from.is_null()) return std::nullopt;
  std::int64_t whole = 0;
  const char* const end = from.text.data() + from.text.size();
  const auto [stop, error] = std::from_chars(from.text.data(), end, whole);
  if (error == std::errc() && stop == end) return clamped_int(whole);
  if (from.is_string()) return std::nullopt;
  const auto number = number_from_text(from.text);
  const double* real = number ? number->if_real() : nullptr;
  if (real == nullptr || !(std::fabs(*real) < 1e9)) return std::nullopt;
  return static_cast<int>(*real);
}

}  // namespace

std::optional<std::int64_t> Scalar::integer() const {
  if (kind != Kind::number) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

Value Scalar::value() const {
  switch (kind) {
    case Kind::null:
      return nullptr;
    case Kind::boolean:
      return flag;
    case Kind::string:
      return text;
    case Kind::number:
      break;
  }
  return number_from_text(text).value_or(Value());
}

bool set_header(TaskMessage& m, Field field, const Scalar& from) {
  switch (field) {
    case Field::task:
      return set(m.task, from);
    case Field::id:
      return set(m.id, from);
    case Field::shadow:
      return set(m.shadow, from);
    case Field::eta:
      return set(m.eta, from);
    case Field::expires:
      return set(m.expires, from);
    case Field::group:
      return set(m.group_id, from);
    case Field::retries:
      return set(m.retries, from);
    case Field::root_id:
      return set(m.root_id, from);
    case Field::parent_id:
      return set(m.parent_id, from);
    case Field::argsrepr:
      return set_informal(m.argsrepr, from);
    case Field::kwargsrepr:
      return set_informal(m.kwargsrepr, from);
    case Field::origin:
      return set_informal(m.origin, from);
    case Field::compression:
      return set(m.compression, from);
    case Field::replaced_task_nesting:
      return set(m.replaced_task_nesting, from);
    case Field::timelimit:
      return m.timelimit = {}, from.is_null();
    case Field::stamped_headers:
      return m.stamped_headers = {}, from.is_null();
    case Field::stamps:
      return m.stamps = {}, from.is_null();
    case Field::group_index:
      m.group_index = from.integer();
      return from.is_null() || m.group_index;
    case Field::ignore_result:
      m.ignore_result.reset();
      if (from.kind == Scalar::Kind::boolean) m.ignore_result = from.flag;
      return from.is_null() || m.ignore_result;
    case Field::redelivered:
      m.redelivered = m.redelivered || (from.kind == Scalar::Kind::boolean && from.flag);
      return true;
    default:
      return true;
  }
}

bool set_time_limit(std::optional<double>& limit, const Scalar& from) {
  limit.reset();
  if (from.is_null()) return true;
  if (from.kind != Scalar::Kind::number) return false;
  const auto number = number_from_text(from.text);
  if (!number) return false;
  double seconds = 0;
  if (const auto* whole = number->if_integer())
    seconds = static_cast<double>(*whole);
  else if (const auto* real = number->if_real())
    seconds = *real;
  else
    return false;
  if (!std::isfinite(seconds) || seconds < 0) return false;
  if (seconds > 0) limit = seconds;
  return true;
}

void set_property(TaskMessage& m, Field field, const Scalar& from) {
  switch (field) {
    case Field::reply_to:
      m.reply_to = from.is_string() ? from.text : std::string_view();
      return;
    case Field::delivery_mode:
      m.delivery_mode = lenient_int(from).value_or(2);
      return;
    case Field::priority:
      m.priority = lenient_int(from).value_or(0);
      return;
    case Field::expiration:
      m.expiration.reset();
      if (from.is_string() || from.kind == Scalar::Kind::number) m.expiration = from.text;
      return;
    default:
      return;
  }
}

}  // namespace lovage::wire
