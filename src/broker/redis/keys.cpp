#include "broker/redis/keys.hpp"

#include <algorithm>
#include <charconv>

#include "wire/names.hpp"

namespace lovage::broker::redis {
namespace {

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string Keys::binding(std::string_view exchange) const {
  return prefix_ + std::string(wire::kBindingKeyPrefix) + std::string(exchange);
}

std::string Keys::own(std::string_view name, std::string_view rest) const {
  std::string key = prefix_;
  key.append(wire::kOwnKeyPrefix).append(name).append(rest);
  return key;
}

std::string reservation_field(Token token, std::string_view list_name) {
  return std::to_string(token.get()).append(":").append(list_name);
}

bool parse_reservation_field(std::string_view field, Reservation& out) {
  const auto colon = field.find(':');
  std::uint64_t number = 0;
  if (colon == std::string_view::npos || !parse_number(field.substr(0, colon), number)) return false;
  out = {Token(number), std::string(field.substr(colon + 1))};
  return true;
}

ListName parse_list_name(std::string_view name, const wire::QueueLayout& layout) {
  const auto separator = name.rfind(layout.separator);
  int step = 0;
  if (separator == std::string_view::npos || !parse_number(name.substr(separator + layout.separator.size()), step) ||
      std::find(layout.steps.begin(), layout.steps.end(), step) == layout.steps.end()) {
    return {std::string(name), 0};
  }
  return {std::string(name.substr(0, separator)), step};
}

std::string result_key(std::string_view result_prefix, std::string_view task_id) {
  std::string key(result_prefix);
  key.append(wire::kResultKeyPrefix).append(task_id);
  return key;
}

ChordKeys chord_keys(std::string_view result_prefix, std::string_view group_id) {
  std::string group(result_prefix);
  group.append(wire::kGroupKeyPrefix).append(group_id);
  return {group, group + ".j", group + ".s", group + ".t"};
}

std::string part_score(const ChordPart& part, bool ordered) {
  if (!ordered) return {};
  return part.index ? std::to_string(*part.index) : "+inf";
}

std::string result_prefix(std::string_view global_keyprefix) {
  std::string prefix(global_keyprefix);
  if (!prefix.empty() && std::string_view(":_-.").find(prefix.back()) == std::string_view::npos) prefix += '_';
  return prefix;
}

}  // namespace lovage::broker::redis
