#include "execution/test_tasks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include <lovage/error.hpp>

#include "net/fd.hpp"

namespace lovage::execution {
namespace {

const std::string& text(const Array& args, std::size_t index) {
  return *args.at(index).if_string();
}
std::int64_t number(const Array& args, std::size_t index) {
  return *args.at(index).if_integer();
}

// Blocks until somebody opens the FIFO for writing and closes it again.
void wait_for(const std::string& fifo) {
  const net::Fd gate(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  while (::read(gate.get(), &byte, 1) > 0) {
  }
}

[[noreturn]] void segfault() {
  std::signal(SIGSEGV, SIG_DFL);  // not the sanitizers' handler: the kernel's end is meant
  ::raise(SIGSEGV);
  std::abort();
}

void burn(std::chrono::microseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

}  // namespace

void add_test_tasks(app::Registry& registry) {
  const auto add = [&registry](std::string name, std::function<Value(Context&, const Array&)> body) {
    app::TaskDefinition task;
    task.name = std::move(name);
    task.bound = true;
    task.call = [body = std::move(body)](Context& self, Array args, Object) { return body(self, args); };
    registry.add(std::move(task));
  };
  add("noop", [](Context&, const Array&) { return Value(1); });
  add("add", [](Context&, const Array& args) { return Value(number(args, 0) + number(args, 1)); });
  add("pid", [](Context&, const Array&) { return Value(::getpid()); });
  add("request", [](Context& self, const Array&) {
    return Value(
        {{"id", self.request().id}, {"retries", self.request().retries}, {"hostname", self.request().hostname}});
  });
  add("throw", [](Context&, const Array& args) -> Value { throw std::runtime_error(text(args, 0)); });
  add("not_utf8", [](Context&, const Array&) { return Value("\xff\xfe"); });
  add("text",
      [](Context&, const Array& args) { return Value(std::string(static_cast<std::size_t>(number(args, 0)), 'x')); });
  add("throw_text", [](Context&, const Array& args) -> Value {
    throw std::runtime_error(std::string(static_cast<std::size_t>(number(args, 0)), 'x'));
  });
  add("large_state", [](Context& self, const Array& args) {
    self.update_state("PROGRESS", {{"text", std::string(static_cast<std::size_t>(number(args, 0)), 'x')}});
    return Value("done");
  });
  add("progress", [](Context& self, const Array&) {
    self.update_state("PROGRESS", {{"done", 10}});
    return Value("done");
  });
  add("retry", [](Context& self, const Array&) -> Value {
    self.retry({.countdown = std::chrono::seconds(7), .args = Array{Value(1), Value("x")}, .queue = "slow"});
  });
  add("ignore", [](Context&, const Array&) -> Value { throw Ignore{}; });
  add("reject", [](Context&, const Array&) -> Value { throw Reject{"not mine", true}; });
  add("until_soft_limit", [](Context& self, const Array&) -> Value {
    for (;;) self.check();
  });
  add("wait", [](Context&, const Array& args) {
    wait_for(text(args, 0));
    return Value(::getpid());
  });
  add("burn", [](Context&, const Array& args) {
    burn(std::chrono::microseconds(number(args, 0)));
    return Value(::getpid());
  });
  add("hog", [](Context&, const Array& args) {
    static std::string kept;  // for good: the child is to grow
    kept.assign(static_cast<std::size_t>(number(args, 0)) << 20, 'x');
    return Value(::getpid());
  });
  add("abort", [](Context&, const Array&) -> Value {
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  add("segfault", [](Context&, const Array&) -> Value { segfault(); });
  add("exit", [](Context&, const Array& args) -> Value { ::_exit(static_cast<int>(number(args, 0))); });
}

}  // namespace lovage::execution
