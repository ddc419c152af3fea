// The arguments of a workflow as a whole.
#include <algorithm>
#include <array>
#include <string_view>

#include "app/canvas_shape.hpp"

namespace lovage::app {
namespace {

bool is_immutable(const Value& signature) {
  const Value* const immutable = signature.find("immutable");
  return immutable != nullptr && immutable->if_bool() != nullptr && *immutable->if_bool();
}

// What a workflow's kwargs say of its form; the others are for its tasks. Celery keeps both in one place, too.
bool is_form(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kNames = {"tasks", "header", "body", "kwargs"};
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace

void hand_down(const Value& whole, Value& task) {
  if (task.if_object() == nullptr || is_immutable(whole) || is_immutable(task)) return;
  const Value* const args = whole.find("args");
  if (args != nullptr && args->if_array() != nullptr && !args->if_array()->empty()) {
    Value& own = (*task.if_object())["args"];
    if (own.if_array() == nullptr) own = Value(Array{});
    own.if_array()->insert(own.if_array()->begin(), args->if_array()->begin(), args->if_array()->end());
  }
  const Value* const kwargs = whole.find("kwargs");
  if (kwargs == nullptr || kwargs->if_object() == nullptr) return;
  for (const auto& [name, value] : *kwargs->if_object()) {
    if (is_form(name)) continue;
    Value& own = (*task.if_object())["kwargs"];
    if (own.if_object() == nullptr) own = Value(Object{});
    own.if_object()->set(name, value);
  }
}

}  // namespace lovage::app
