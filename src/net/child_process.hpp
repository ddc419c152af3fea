// A spawned (never forked) child: a fresh executable that inherits the descriptors named and no others.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"

namespace lovage::net {

// How a process ended.
struct ExitStatus {
  int code = 0;    // its exit code, when `signal` is 0
  int signal = 0;  // what killed it
};

// One child. Reaped through its pidfd: no SIGCHLD handler, and no other child is touched. The pid can
// not be another process's as long as this object lives.
class ChildProcess {
 public:
  struct Options {
    std::string path;                           // of the executable; no search
    std::vector<std::string> argv;              // argv[0] included
    std::vector<std::pair<int, int>> fds = {};  // ours -> the child's number; 0, 1, 2 are inherited as they are
    std::vector<std::string> environment = {};  // "NAME=value", put over ours
  };
  // The child starts with default signal handlers and an empty signal mask.
  static Result<ChildProcess> spawn(const Options& options);

  ChildProcess(ChildProcess&&) noexcept = default;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();  // a child that still runs is killed (SIGKILL) and reaped

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Readable when the child has ended.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  // False: it has ended already.
  bool kill(int signal) noexcept;
  // Reaps it if it has ended; the same answer again later. Nothing: it still runs.
  std::optional<ExitStatus> exit_status() noexcept;
  // Loop thread: one call when it has ended. The child must outlive the registration, at the same address.
  [[nodiscard]] Registration on_exit(Loop& loop, UniqueFunction<void(ExitStatus)> function);

 private:
  ChildProcess(pid_t pid, Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}
  void end() noexcept;

  pid_t pid_;
  Fd pidfd_;
  std::optional<ExitStatus> status_;
};

}  // namespace lovage::net
