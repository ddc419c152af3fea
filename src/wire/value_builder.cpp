#include "wire/value_builder.hpp"

#include <charconv>
#include <cstdint>
#include <limits>

namespace lovage::wire {
namespace {

constexpr std::string_view kType = "__type__";
constexpr std::string_view kContent = "__value__";

bool is_tagged(const Object& object) {
  return object.size() == 2 && object.contains(kType) && object.contains(kContent);
}

}  // namespace

void ValueBuilder::scalar(Value value) {
  if (frames_.empty()) {
    root_ = std::move(value);
    complete_ = true;
    return;
  }
  Frame& frame = frames_.back();
  if (frame.is_object) {
    frame.members.emplace_back(std::move(frame.key), std::move(value));
  } else {
    frame.items.push_back(std::move(value));
  }
}

bool ValueBuilder::open(bool is_object) {
  if (frames_.size() >= static_cast<std::size_t>(max_depth_)) {
    too_deep_ = true;
    return false;
  }
  frames_.emplace_back().is_object = is_object;
  return true;
}

bool ValueBuilder::open_array() {
  return open(false);
}
bool ValueBuilder::open_object() {
  return open(true);
}

void ValueBuilder::close() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (!frame.is_object) return scalar(std::move(frame.items));
  Object object = Object::from_members(std::move(frame.members));
  if (tags_ == Tags::ignore || !is_tagged(object)) return scalar(std::move(object));
  auto value = value_from_tagged(*object.find(kType), *object.find(kContent));
  if (!value && error_.empty()) error_ = value.error().message;
  scalar(value ? std::move(*value) : Value());
}

Value ValueBuilder::take() {
  complete_ = false;
  return std::exchange(root_, Value());
}

std::optional<Value> number_from_text(std::string_view text) {
  if (text == "NaN") return Value(std::numeric_limits<double>::quiet_NaN());
  const char* const end = text.data() + text.size();
  if (text.find_first_of(".eEI") == std::string_view::npos) {
    std::int64_t whole = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, whole);
    if (error == std::errc::result_out_of_range) return Value(BigInt{std::string(text)});
    if (error != std::errc() || stop != end) return std::nullopt;
    return Value(whole);
  }
  const bool negative = text.starts_with('-');
  if (text.substr(negative ? 1 : 0).starts_with("Inf")) {
    const double infinity = std::numeric_limits<double>::infinity();
    return Value(negative ? -infinity : infinity);
  }
  double real = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, real);
  if (error == std::errc::result_out_of_range) {
    // Too small is 0; too large is an infinity, as in Python.
    const bool tiny = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
    real = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return Value(negative ? -real : real);
  }
  if (error != std::errc() || stop != end) return std::nullopt;
  return Value(real);
}

}  // namespace lovage::wire
