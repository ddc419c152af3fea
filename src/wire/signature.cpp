#include "wire/signature.hpp"

namespace lovage::wire {
namespace {

// A member of the wanted type; absent and null leave `to` as it is. False for another type.
template <class T>
bool take(const Value& from, std::string_view name, T& to) {
  const Value* value = from.find(name);
  if (value == nullptr || value->is_null()) return true;
  const T* held = value->get_if<T>();
  if (held != nullptr) to = *held;
  return held != nullptr;
}

}  // namespace

Value to_value(const SignatureData& signature) {
  return Object{{"task", signature.task},
                {"args", signature.args},
                {"kwargs", signature.kwargs},
                {"options", signature.options},
                {"subtask_type", signature.subtask_type ? Value(*signature.subtask_type) : Value()},
                {"immutable", signature.immutable}};
}

Result<SignatureData> signature_from_value(const Value& value) {
  if (value.if_object() == nullptr) return fail(Errc::bad_data, "a signature is not an object");
  SignatureData signature;
  if (!take(value, "task", signature.task) || signature.task.empty()) {
    return fail(Errc::bad_data, "a signature without a task name");
  }
  std::string subtask_type;
  const bool ok = take(value, "args", signature.args) && take(value, "kwargs", signature.kwargs) &&
                  take(value, "options", signature.options) && take(value, "subtask_type", subtask_type) &&
                  take(value, "immutable", signature.immutable);
  if (!ok) return fail(Errc::bad_data, "a signature of '" + signature.task + "' has a member of the wrong type");
  if (!subtask_type.empty()) signature.subtask_type = std::move(subtask_type);
  return signature;
}

}  // namespace lovage::wire
