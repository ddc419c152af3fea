#include <lovage/value.hpp>

#include <algorithm>
#include <lovage/error.hpp>
#include <unordered_map>

#include "wire/json.hpp"

namespace lovage {
namespace {

// Objects with more members are deduplicated by hash: a hostile object must not cost quadratic time.
constexpr std::size_t kLinearSearch = 16;

}  // namespace

Object::Object() = default;
Object::Object(const Object&) = default;
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(const Object&) = default;
Object& Object::operator=(Object&&) noexcept = default;
Object::~Object() = default;

Object::Object(std::initializer_list<Member> members) : Object(from_members(std::vector<Member>(members))) {}

Object Object::from_members(std::vector<Member> members) {
  Object object;
  if (members.size() <= kLinearSearch) {
    object.members_.reserve(members.size());
    for (Member& member : members) object.set(std::move(member.first), std::move(member.second));
    return object;
  }
  object.members_ = std::move(members);
  std::unordered_map<std::string_view, Member*> first_places;
  first_places.reserve(object.members_.size());
  std::vector<bool> repeated(object.members_.size());
  for (std::size_t i = 0; i < object.members_.size(); ++i) {
    Member& member = object.members_[i];
    const auto [place, is_new] = first_places.try_emplace(member.first, &member);
    if (is_new) continue;
    place->second->second = std::move(member.second);
    repeated[i] = true;
  }
  if (first_places.size() == object.members_.size()) return object;
  std::vector<Member> unique;
  unique.reserve(first_places.size());
  for (std::size_t i = 0; i < object.members_.size(); ++i) {
    if (!repeated[i]) unique.push_back(std::move(object.members_[i]));
  }
  object.members_ = std::move(unique);
  return object;
}

const Value* Object::find(std::string_view key) const noexcept {
  for (const Member& member : members_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

Value* Object::find(std::string_view key) noexcept {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

Value& Object::operator[](std::string_view key) {
  if (Value* value = find(key)) return *value;
  return members_.emplace_back(std::string(key), Value()).second;
}

void Object::set(std::string key, Value value) {
  if (Value* old = find(key)) {
    *old = std::move(value);
  } else {
    members_.emplace_back(std::move(key), std::move(value));
  }
}

bool Object::erase(std::string_view key) {
  return std::erase_if(members_, [key](const Member& member) { return member.first == key; }) != 0;
}

std::size_t Object::size() const noexcept {
  return members_.size();
}
bool Object::empty() const noexcept {
  return members_.empty();
}
Object::iterator Object::begin() noexcept {
  return members_.begin();
}
Object::iterator Object::end() noexcept {
  return members_.end();
}
Object::const_iterator Object::begin() const noexcept {
  return members_.begin();
}
Object::const_iterator Object::end() const noexcept {
  return members_.end();
}

bool operator==(const Object& left, const Object& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto& [key, value] = left.members_[i];
    const auto& other = right.members_[i];
    const Value* match = other.first == key ? &other.second : right.find(key);
    if (match == nullptr || !(*match == value)) return false;
  }
  return true;
}

Value::Value(std::initializer_list<Object::Member> members) : data_(Object(members)) {}

const Value* Value::find(std::string_view key) const noexcept {
  const Object* object = if_object();
  return object == nullptr ? nullptr : object->find(key);
}

std::string_view python_type_name(Value::Kind kind) noexcept {
  switch (kind) {
    case Value::Kind::null:
      return "NoneType";
    case Value::Kind::boolean:
      return "bool";
    case Value::Kind::integer:
    case Value::Kind::big_integer:
      return "int";
    case Value::Kind::real:
      return "float";
    case Value::Kind::string:
      return "str";
    case Value::Kind::bytes:
      return "bytes";
    case Value::Kind::datetime:
      return "datetime";
    case Value::Kind::date:
      return "date";
    case Value::Kind::time:
      return "time";
    case Value::Kind::decimal:
      return "Decimal";
    case Value::Kind::uuid:
      return "UUID";
    case Value::Kind::array:
      return "list";
    case Value::Kind::object:
      return "dict";
  }
  return "object";
}

std::string to_json(const Value& value) {
  std::string out;
  if (auto ok = wire::append_json(out, value, wire::JsonTypes::celery_5_6); !ok) throw EncodeError(ok.error().message);
  return out;
}

Value from_json(std::string_view text) {
  auto value = wire::parse_json(text, {});
  if (!value) throw DecodeError(value.error().message);
  return std::move(*value);
}

}  // namespace lovage
