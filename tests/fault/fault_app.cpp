// The application of the fault tests: `fault_app worker ...` is its worker.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
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
  return lovage::main(app, argc, argv);
}
