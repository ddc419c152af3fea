#include "wire/signature.hpp"

#include <utility>
#include <vector>

namespace lovage::wire {
namespace {

// A member of the wanted type; absent and null leave `to` as it is. False for another type.
template <class T>
bool take(Object& from, std::string_view name, T& to) {
  Value* const value = from.find(name);
  if (value == nullptr || value->is_null()) return true;
  T* const held = value->get_if<T>();
  if (held != nullptr) to = std::move(*held);
  return held != nullptr;
}

}  // namespace

// Signatures hold others, many thousands of them in a large group: they are handed on, not copied.
Value to_value(SignatureData signature) {
  std::vector<Object::Member> members;
  members.reserve(6);
  members.emplace_back("task", std::move(signature.task));
  members.emplace_back("args", std::move(signature.args));
  members.emplace_back("kwargs", std::move(signature.kwargs));
  members.emplace_back("options", std::move(signature.options));
  members.emplace_back("subtask_type", signature.subtask_type ? Value(std::move(*signature.subtask_type)) : Value());
  members.emplace_back("immutable", signature.immutable);
  return Object::from_members(std::move(members));
}

Result<SignatureData> signature_from_value(Value value) {
  Object* const members = value.if_object();
  if (members == nullptr) return fail(Errc::bad_data, "a signature is not an object");
  SignatureData signature;
  if (!take(*members, "task", signature.task) || signature.task.empty()) {
    return fail(Errc::bad_data, "a signature without a task name");
  }
  std::string subtask_type;
  const bool ok = take(*members, "args", signature.args) && take(*members, "kwargs", signature.kwargs) &&
                  take(*members, "options", signature.options) && take(*members, "subtask_type", subtask_type) &&
                  take(*members, "immutable", signature.immutable);
  if (!ok) return fail(Errc::bad_data, "a signature of '" + signature.task + "' has a member of the wrong type");
  if (!subtask_type.empty()) signature.subtask_type = std::move(subtask_type);
  return signature;
}

}  // namespace lovage::wire
