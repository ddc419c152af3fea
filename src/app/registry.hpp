// The tasks that an app knows: names, options and how to call them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <lovage/context.hpp>
#include <lovage/params.hpp>
#include <lovage/task_options.hpp>
#include <lovage/value.hpp>

namespace lovage::app {

using lovage::Parameter;

struct TaskDefinition {
  std::string name;
  TaskOptions options;
  std::vector<Parameter> parameters;  // without the Context
  bool bound = false;
  // Binds positional and keyword arguments to the parameters, converts and calls. Throws TypeError
  // that names the task and the parameter; all else comes from the user's code.
  std::function<Value(Context& self, Array args, Object kwargs)> call;
};

// Filled before the worker starts, read by any thread afterwards.
class Registry {
 public:
  // Throws ConfigError when the name is taken or empty.
  const TaskDefinition& add(TaskDefinition definition);
  [[nodiscard]] const TaskDefinition* find(std::string_view name) const noexcept;
  [[nodiscard]] std::vector<std::string> names() const;  // sorted; without the built-in ones

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::unique_ptr<const TaskDefinition>, Hash, std::equal_to<>> tasks_;
};

}  // namespace lovage::app
