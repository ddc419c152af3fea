#include "support/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "base/clock.hpp"
#include "net/fd.hpp"

namespace lovage::test {
namespace {

net::Fd open_file(const std::filesystem::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("cannot open " + path.string());
  return net::Fd(fd);
}

}  // namespace

Program::Program(const std::filesystem::path& path, const std::vector<std::string>& arguments,
                 const Environment& more) {
  const auto in = open_file("/dev/null", O_RDONLY);
  const auto out = open_file(folder_.path() / "out", O_WRONLY | O_CREAT | O_APPEND);
  const auto err = open_file(folder_.path() / "err", O_WRONLY | O_CREAT | O_APPEND);
  net::ChildProcess::Options options;
  options.path = path;
  options.argv = {path.filename().string()};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.fds = {{in.get(), 0}, {out.get(), 1}, {err.get(), 2}};
  options.environment = more;
  auto child = net::ChildProcess::spawn(options);
  if (!child) throw std::runtime_error(child.error().message);
  child_ = std::move(*child);
}

std::string Program::read(const std::string& name) const {
  std::ostringstream text;
  text << std::ifstream(folder_.path() / name).rdbuf();
  return text.str();
}

int Program::wait(std::chrono::milliseconds limit) {
  pollfd ended{child_->pidfd(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(limit.count())) <= 0) {
    throw std::runtime_error("the program did not end in time; it said:\n" + out() + err());
  }
  const auto status = child_->exit_status();
  return status->signal != 0 ? -status->signal : status->code;
}

void Program::wait_for(const std::string& text, std::chrono::milliseconds limit) {
  const net::Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (::inotify_add_watch(watch.get(), folder_.path().c_str(), IN_MODIFY) < 0)
    throw std::runtime_error("inotify failed");
  const Deadline deadline = Deadline::after(limit);
  while (true) {
    std::array<char, 4'096> events{};
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
    if (out().find(text) != std::string::npos || err().find(text) != std::string::npos) return;
    if (child_->exit_status()) throw std::runtime_error("the program ended without '" + text + "':\n" + out() + err());
    if (deadline.passed()) throw std::runtime_error("'" + text + "' did not come in time:\n" + out() + err());
    std::array<pollfd, 2> waits{{{watch.get(), POLLIN, 0}, {child_->pidfd(), POLLIN, 0}}};
    ::poll(waits.data(), waits.size(), deadline.poll_timeout());
  }
}

Ended run_program(const std::filesystem::path& path, const std::vector<std::string>& arguments,
                  const Environment& more) {
  Program program(path, arguments, more);
  const int code = program.wait();
  return {code, program.out(), program.err()};
}

}  // namespace lovage::test
