// A signature as it travels: {"task", "args", "kwargs", "options", "subtask_type", "immutable"}.
#pragma once

#include <optional>
#include <string>

#include <lovage/value.hpp>

#include "base/result.hpp"

namespace lovage::wire {

struct SignatureData {
  std::string task;
  Array args;
  Object kwargs;
  Object options;  // keyword arguments of apply_async, by their wire names
  std::optional<std::string> subtask_type;
  bool immutable = false;
};

// All six members are always written: Python workers need task, args, kwargs and options.
Value to_value(SignatureData signature);
// Missing members are taken as empty; a task name is required.
Result<SignatureData> signature_from_value(Value value);

}  // namespace lovage::wire
