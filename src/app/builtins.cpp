#include "app/builtins.hpp"

#include <iterator>
#include <utility>

#include <lovage/error.hpp>

#include "base/suggest.hpp"
#include "wire/signature.hpp"

namespace lovage::app {
namespace {

Value take(Object& kwargs, const std::string& task, std::string_view name) {
  Value* const value = kwargs.find(name);
  if (value == nullptr)
    throw TypeError(task + "() missing 1 required positional argument: '" + std::string(name) + "'");
  return std::move(*value);
}

const TaskDefinition& task_of(const Registry& registry, const Value& signature) {
  const auto data = wire::signature_from_value(signature);
  if (!data) throw TypeError("the argument 'task' is no signature: " + data.error().message);
  if (const auto* const task = registry.find(data->task)) return *task;
  const auto names = registry.names();
  throw NotRegistered("the task '" + data->task + "' is not one of this app's" + did_you_mean(data->task, names));
}

// One run of `task` for each item, here and now. Celery: xmap, xstarmap.
Value run_each(const Registry& registry, const std::string& name, Context& self, Array args, Object kwargs,
               Array (*arguments)(Value item)) {
  // Python binds (task, it).
  if (!args.empty()) kwargs.set("task", std::move(args.front()));
  if (args.size() > 1) kwargs.set("it", std::move(args[1]));
  const Value signature = take(kwargs, name, "task");
  Value items = take(kwargs, name, "it");
  Array* const list = items.if_array();
  if (list == nullptr) throw TypeError(name + "(): the argument 'it' must be a list");
  const TaskDefinition& task = task_of(registry, signature);
  Array results;
  results.reserve(list->size());
  for (auto& item : *list) {
    self.check();
    results.push_back(task.call(self, arguments(std::move(item)), {}));
  }
  return results;
}

Array alone(Value item) {
  Array arguments;
  arguments.push_back(std::move(item));
  return arguments;
}

Array spread(Value item) {
  if (Array* const several = item.if_array()) return std::move(*several);
  throw TypeError("celery.starmap(): each item must be a list of arguments");
}

// What a group's results become where one is wanted. Celery: accumulate.
Value accumulate(Array args, const Object& kwargs) {
  const Value* const index = kwargs.find("index");
  const auto* const position = index != nullptr ? index->if_integer() : nullptr;
  if (position == nullptr) return args;
  const auto size = static_cast<std::int64_t>(args.size());
  const std::int64_t at = *position < 0 ? *position + size : *position;
  if (at < 0 || at >= size) throw TypeError("celery.accumulate(): there is no argument " + std::to_string(*position));
  return std::move(args[static_cast<std::size_t>(at)]);
}

void add(Registry& registry, std::string name, std::function<Value(Context&, Array, Object)> call) {
  TaskDefinition task;
  task.name = std::move(name);
  task.bound = true;
  task.call = std::move(call);
  registry.add(std::move(task));
}

}  // namespace

void add_builtins(Registry& registry) {
  const auto* const tasks = &registry;
  add(registry, "celery.map", [tasks](Context& self, Array args, Object kwargs) {
    return run_each(*tasks, "celery.map", self, std::move(args), std::move(kwargs), alone);
  });
  add(registry, "celery.starmap", [tasks](Context& self, Array args, Object kwargs) {
    return run_each(*tasks, "celery.starmap", self, std::move(args), std::move(kwargs), spread);
  });
  add(registry, "celery.accumulate",
      [](Context&, Array args, const Object& kwargs) { return accumulate(std::move(args), kwargs); });
}

bool is_builtin(std::string_view task) noexcept {
  return task == "celery.map" || task == "celery.starmap" || task == "celery.accumulate";
}

}  // namespace lovage::app
