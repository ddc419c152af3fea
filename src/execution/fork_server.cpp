#include "execution/fork_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/logging.hpp"
#include "execution/fork_control.hpp"
#include "execution/prefork_child.hpp"

namespace lovage::execution {
namespace {

int threads_of_this_process() {
  std::error_code error;
  const std::filesystem::directory_iterator tasks("/proc/self/task", error);
  return error ? 1 : static_cast<int>(std::distance(begin(tasks), end(tasks)));
}

std::vector<std::string> arguments_of_this_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

void do_nothing(int) {}

// The worker decides when its processes end, not a ^C on its terminal or a TERM to its whole group. A
// handler and not SIG_IGN: programs that tasks start must not inherit the ignoring.
void shrug_off(std::initializer_list<int> signals) {
  struct sigaction action {};
  action.sa_handler = do_nothing;
  action.sa_flags = SA_RESTART;
  for (const int signal : signals) ::sigaction(signal, &action, nullptr);
}

// What a child does first, forked or spawned.
void become_child() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);  // programs that a task starts are killed with it
  shrug_off({SIGINT, SIGTERM, SIGHUP});
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGQUIT, &standard, nullptr);
  const net::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (nothing) ::dup2(nothing.get(), STDIN_FILENO);
}

class ForkServer {
  struct Child {
    pid_t pid;
    net::Fd pidfd;
  };

 public:
  ForkServer(net::Fd control, net::Fd pages, const app::Registry& registry)
      : control_(std::move(control)),
        pages_(std::move(pages)),
        registry_(registry),
        threads_(threads_of_this_process()) {
    shrug_off({SIGINT, SIGTERM, SIGHUP, SIGQUIT});
    if (threads_ > 1) {
      for (const std::string& argument : arguments_) argv_.push_back(const_cast<char*>(argument.c_str()));
      argv_.push_back(nullptr);
    }
  }

  int serve() {
    report({.type = ForkPacket::Type::ready, .value = threads_});
    std::vector<pollfd> wait;
    while (!worker_gone_) {
      // Their pidfds, not SIGCHLD, tell that children ended: a signal could go to a thread of the app.
      wait.assign(1, {control_.get(), POLLIN, 0});
      for (const auto& [id, child] : children_) wait.push_back({child.pidfd.get(), POLLIN, 0});
      if (::poll(wait.data(), wait.size(), -1) < 0) continue;  // interrupted
      if (std::any_of(wait.begin() + 1, wait.end(), [](const pollfd& entry) { return entry.revents != 0; })) reap();
      if (wait.front().revents != 0) obey();
    }
    for (const auto& [id, child] : children_) signal_group(child.pid, SIGKILL);
    for (const auto& [id, child] : children_) ::waitpid(child.pid, nullptr, 0);
    return EXIT_SUCCESS;
  }

 private:
  void obey() {
    auto received = receive_packet(control_.get());
    if (!received) {
      worker_gone_ = true;
      return;
    }
    if (!*received) return;
    const ForkPacket& packet = (*received)->packet;
    if (packet.type == ForkPacket::Type::start) {
      start_child(packet.child, std::move((*received)->fd));
    } else if (packet.type == ForkPacket::Type::signal) {
      const auto found = children_.find(packet.child);
      if (found != children_.end()) signal_group(found->second.pid, packet.value);
    }
  }

  void start_child(std::uint32_t id, net::Fd socket) {
    std::cout.flush();
    std::fflush(nullptr);  // or the child would write what is buffered here once more
    const pid_t server = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) threads_ > 1 ? start_anew(socket.get()) : run_forked(std::move(socket), server);
    net::Fd pidfd(pid < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) {
      report({.type = ForkPacket::Type::start_failed, .child = id, .value = errno});
      if (pid > 0) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
      }
      return;
    }
    children_.emplace(id, Child{pid, std::move(pidfd)});
    report({.type = ForkPacket::Type::started, .child = id, .value = pid});
  }

  [[noreturn]] void run_forked(net::Fd socket, pid_t server) {
    become_child();
    if (::getppid() != server) ::_exit(EXIT_FAILURE);  // it died before we asked to die with it
    control_.reset();
    children_.clear();  // closes the pidfds
    const int code = run_child(std::move(socket), std::move(pages_), registry_);
    std::cout.flush();
    std::fflush(nullptr);
    ::_exit(code);  // without the exit handlers that belong to the fork server
  }

  // Only what is safe between fork and exec while other threads exist.
  [[noreturn]] void start_anew(int socket) {
    ::fcntl(pages_.get(), F_SETFD, 0);
    ::dup2(socket, kForkServerSocket);
    ::execv("/proc/self/exe", argv_.data());
    ::_exit(127);
  }

  void reap() {
    // By pid: the app's own processes are not ours to reap.
    for (auto it = children_.begin(); it != children_.end();) {
      int status = 0;
      rusage usage{};
      const pid_t pid = it->second.pid;
      if (::wait4(pid, &status, WNOHANG, &usage) != pid) {
        ++it;
        continue;
      }
      report({.type = ForkPacket::Type::exited,
              .child = it->first,
              .value = pid,
              .status = status,
              .max_rss_kib = usage.ru_maxrss});
      it = children_.erase(it);
    }
  }

  static void signal_group(pid_t pid, int signal) {
    if (::kill(-pid, signal) != 0) ::kill(pid, signal);  // it has not made its group yet
  }

  void report(const ForkPacket& packet) {
    if (!send_packet(control_.get(), packet)) worker_gone_ = true;
  }

  net::Fd control_;
  net::Fd pages_;
  const app::Registry& registry_;
  const int threads_;
  const std::vector<std::string> arguments_ = arguments_of_this_process();
  std::vector<char*> argv_;  // into arguments_
  std::map<std::uint32_t, Child> children_;
  bool worker_gone_ = false;
};

// The type of the socket at `fd`, or -1.
int socket_type(int fd) {
  int type = -1;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : -1;
}

}  // namespace

int run_fork_server(const app::Registry& registry) {
  const int type = socket_type(kForkServerSocket);
  if (type != SOCK_SEQPACKET && type != SOCK_STREAM) {
    std::cerr << kForkServerFlag << " is internal: a worker starts its own fork server\n";
    return 2;
  }
  for (const int fd : {kForkServerSocket, kForkServerPages}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  net::Fd socket(kForkServerSocket);
  net::Fd pages(kForkServerPages);
  if (type == SOCK_STREAM) {
    become_child();
    return run_child(std::move(socket), std::move(pages), registry);
  }
  log::set_process_name("ForkServer");
  return ForkServer(std::move(socket), std::move(pages), registry).serve();
}

}  // namespace lovage::execution
