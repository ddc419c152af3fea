#include "component/worker/test_app.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <lovage/context.hpp>

namespace lovage::worker::testing {
namespace {

using Call = std::function<Value(Context&, Array, Object)>;

void add(app::Core& core, std::string name, Call call, TaskOptions options = {}) {
  app::TaskDefinition task;
  task.name = std::move(name);
  task.options = std::move(options);
  task.bound = true;
  task.call = std::move(call);
  core.registry().add(std::move(task));
}

std::int64_t integer(const Array& args, std::size_t index) {
  return *args.at(index).if_integer();
}
const std::string& text(const Array& args, std::size_t index) {
  return *args.at(index).if_string();
}

Value append_line(const std::string& file, const std::string& line) {
  std::ofstream out(file, std::ios::app);
  out << line + "\n";
  return Value(line);
}

}  // namespace

void add_tasks(app::Core& core) {
  add(core, "add", [](Context&, Array args, Object) { return Value(integer(args, 0) + integer(args, 1)); });
  add(core, "fail", [](Context&, Array, Object) -> Value { throw std::invalid_argument("boom"); });
  add(core, "flaky", [](Context& self, Array args, Object) -> Value {
    if (self.request().retries < integer(args, 0)) self.retry({.countdown = std::chrono::milliseconds(20)});
    return Value(self.request().retries);
  });
  add(core, "die", [](Context&, Array, Object) -> Value {
    std::raise(SIGKILL);
    return {};
  });
  add(core, "progress", [](Context& self, Array args, Object) {
    self.update_state("PROGRESS", {{"done", 1}});
    while (!std::filesystem::exists(text(args, 0))) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return Value("done");
  });
  add(core, "note", [](Context&, Array args, Object) { return append_line(text(args, 1), to_json(args.at(0))); });
}

}  // namespace lovage::worker::testing
