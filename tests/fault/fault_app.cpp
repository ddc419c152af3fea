// The application of the fault tests: `fault_app worker ...` is its worker.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include <lovage/lovage.hpp>

namespace {

// One write(2) to a file opened for appending: lines of many processes never mix.
void append_line(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string line = text + "\n";
  const bool written = fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (fd >= 0) ::close(fd);
  if (!written) throw std::runtime_error("cannot append to " + path);
}

// What a step of a workflow was handed: the texts in it, whatever lists they are in.
std::string texts_of(const lovage::Value& input) {
  if (const auto* const text = input.if_string()) return *text;
  std::string all;
  if (const auto* const list = input.if_array()) {
    for (const auto& one : *list) all += (all.empty() ? "" : ",") + texts_of(one);
  }
  return all;
}

// Its result says what came before it. `way`: "goes well", "fails", or "retries" once.
std::string step(lovage::Context& self, const lovage::Value& input, const std::string& name, const std::string& way,
                 std::int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));  // the work
  if (way == "fails") throw std::runtime_error(name + " failed");
  if (way == "retries" && self.request().retries == 0) self.retry({.countdown = std::chrono::milliseconds(10)});
  return name + "(" + texts_of(input) + ")";
}

// Numbers and texts, as Python's + adds them.
lovage::Value sum_of(const lovage::Value& x, const lovage::Value& y) {
  if (x.if_string() != nullptr && y.if_string() != nullptr) return lovage::Value(*x.if_string() + *y.if_string());
  if (x.if_integer() != nullptr && y.if_integer() != nullptr) return lovage::Value(*x.if_integer() + *y.if_integer());
  return lovage::Value(lovage::from_value<double>(x) + lovage::from_value<double>(y));
}

}  // namespace

int main(int argc, char** argv) {
  using lovage::params;
  lovage::App app("fault");
  app.task(
      "fault.work",
      [](std::int64_t number, std::int64_t milliseconds) {
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));  // the work
        return number * 2;
      },
      params("number", "milliseconds"));
  app.task(
      "fault.linked", [](std::int64_t number, std::string path) { append_line(path, std::to_string(number)); },
      params("number", "path"));
  app.task(
      "fault.started",
      [](std::string id, std::string path, std::int64_t milliseconds) {
        append_line(path, id);
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));  // the work
      },
      params("id", "path", "milliseconds"));
  app.task(
      "fault.note", [](std::string text, std::string path) { append_line(path, text); }, params("text", "path"));
  app.task("fault.step", step, params("input", "name", "way", "milliseconds"));
  // Dies of a signal until a file says that it has been mended.
  app.task(
      "fault.crash",
      [](std::string path, std::string mended) {
        append_line(path, "run");
        if (::access(mended.c_str(), F_OK) == 0) return;
        std::signal(SIGSEGV, SIG_DFL);  // not a sanitizer's handler: the kernel's end is meant
        std::raise(SIGSEGV);
      },
      params("path", "mended"));
  // The tasks of the golden samples.
  app.task("wireapp.add", sum_of, params("x", "y"));
  app.task(
      "wireapp.echo", [](lovage::Value value) { return value; }, params("value"));
  // Known to some of the workers only.
  if (std::getenv("FAULT_KNOWS_LATE") != nullptr)
    app.task(
        "fault.late", [](std::int64_t number) { return number + 1; }, params("number"));
  return lovage::main(app, argc, argv);
}
