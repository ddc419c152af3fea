#include "execution/codec.hpp"

#include <limits>

namespace lovage::execution {

void Writer::size(std::size_t count) {
  if (count > std::numeric_limits<std::uint32_t>::max()) ok_ = false;
  raw(static_cast<std::uint32_t>(count));
}

void Writer::members(const Object& object, int depth) {
  if (object.size() > kMaxObjectMembers) ok_ = false;
  size(object.size());
  for (const auto& [key, member] : object) {
    put(key);
    value_tree(member, depth);
  }
}

void Writer::value_tree(const Value& value, int depth) {
  if (depth > kMaxValueDepth) {
    ok_ = false;
    raw(static_cast<std::uint8_t>(Value::Kind::null));
    return;
  }
  raw(static_cast<std::uint8_t>(value.kind()));
  switch (value.kind()) {
    case Value::Kind::null:
      break;
    case Value::Kind::boolean:
      put(*value.if_bool());
      break;
    case Value::Kind::integer:
      put(*value.if_integer());
      break;
    case Value::Kind::big_integer:
      put(value.get_if<BigInt>()->digits);
      break;
    case Value::Kind::real:
      put(*value.if_real());
      break;
    case Value::Kind::string:
      put(*value.if_string());
      break;
    case Value::Kind::bytes:
      put(value.get_if<Bytes>()->data);
      break;
    case Value::Kind::datetime:
      put(value.get_if<DateTime>()->iso);
      break;
    case Value::Kind::date:
      put(value.get_if<Date>()->iso);
      break;
    case Value::Kind::time:
      put(value.get_if<TimeOfDay>()->iso);
      break;
    case Value::Kind::decimal:
      put(value.get_if<Decimal>()->text);
      break;
    case Value::Kind::uuid:
      put(value.get_if<Uuid>()->hex);
      break;
    case Value::Kind::array:
      size(value.if_array()->size());
      for (const Value& item : *value.if_array()) value_tree(item, depth + 1);
      break;
    case Value::Kind::object:
      members(*value.if_object(), depth + 1);
      break;
  }
}

std::size_t Reader::count(std::size_t item_size) {
  const std::size_t items = raw<std::uint32_t>();
  if (items <= rest_.size() / item_size) return items;
  failed();
  return 0;
}

std::string_view Reader::bytes(std::size_t size) {
  if (size > rest_.size()) {
    failed();
    return {};
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

Object Reader::members(int depth) {
  constexpr std::size_t kSmallestMember = 5;  // an empty key and a null
  const std::size_t size = count(kSmallestMember);
  Object object;
  if (size > kMaxObjectMembers) {
    failed();
    return object;
  }
  for (std::size_t i = 0; i < size && ok_; ++i) {
    std::string key;
    get(key);
    Value member = value_tree(depth);
    if (ok_) object.set(std::move(key), std::move(member));
  }
  return object;
}

Array Reader::items(int depth) {
  const std::size_t size = count(1);
  Array array;
  for (std::size_t i = 0; i < size && ok_; ++i) array.push_back(value_tree(depth));
  return array;
}

template <class T>
T Reader::text_as() {
  std::string text;
  get(text);
  return T{std::move(text)};
}

Value Reader::value_tree(int depth) {
  const auto kind = static_cast<Value::Kind>(raw<std::uint8_t>());
  if (!ok_ || depth > kMaxValueDepth) {
    failed();
    return {};
  }
  switch (kind) {
    case Value::Kind::null:
      return {};
    case Value::Kind::boolean: {
      bool value = false;
      get(value);
      return value;
    }
    case Value::Kind::integer: {
      std::int64_t value = 0;
      get(value);
      return value;
    }
    case Value::Kind::big_integer:
      return text_as<BigInt>();
    case Value::Kind::real: {
      double value = 0;
      get(value);
      return value;
    }
    case Value::Kind::string:
      return text_as<std::string>();
    case Value::Kind::bytes:
      return text_as<Bytes>();
    case Value::Kind::datetime:
      return text_as<DateTime>();
    case Value::Kind::date:
      return text_as<Date>();
    case Value::Kind::time:
      return text_as<TimeOfDay>();
    case Value::Kind::decimal:
      return text_as<Decimal>();
    case Value::Kind::uuid:
      return text_as<Uuid>();
    case Value::Kind::array:
      return items(depth + 1);
    case Value::Kind::object:
      return members(depth + 1);
  }
  failed();  // no kind that we know
  return {};
}

}  // namespace lovage::execution
