#include "support/worker_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to us

namespace lovage::test {
namespace {

constexpr std::chrono::seconds kStartLimit{60};
constexpr int kStopLimitMs = 30'000;

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// A datagram socket in the abstract namespace, as NOTIFY_SOCKET names it ("@" for the leading NUL).
int listen_for_ready(std::string& name) {
  static std::atomic<int> number{0};
  name = "@lovage-ready-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    throw std::runtime_error("no socket to hear of the worker's readiness");
  }
  return fd;
}

std::vector<std::string> environment_with(const std::string& socket) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "NOTIFY_SOCKET=", 14) != 0) out.emplace_back(*entry);
  }
  out.push_back("NOTIFY_SOCKET=" + socket);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

int open_pidfd(int pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

std::vector<int> process_tree(int pid) {
  std::vector<int> pids{pid};
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const std::string id = std::to_string(pids[i]);
    std::istringstream children(contents("/proc/" + id + "/task/" + id + "/children"));
    for (int child = 0; children >> child;) pids.push_back(child);
  }
  return pids;
}

WorkerProcess::WorkerProcess(const std::vector<std::string>& arguments, const std::string& log_path) {
  std::string name;
  const Descriptor socket(listen_for_ready(name));
  start(arguments, log_path, name);
  try {
    wait_until_ready(socket.get());
  } catch (...) {
    kill(SIGKILL);
    wait();
    throw;
  }
}

void WorkerProcess::start(const std::vector<std::string>& arguments, const std::string& log_path,
                          const std::string& socket) {
  const auto environment = environment_with(socket);
  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!log_path.empty()) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  }
  started_ = std::chrono::steady_clock::now();
  const int error = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + arguments.front() + ": " + std::strerror(error));
}

void WorkerProcess::wait_until_ready(int socket) {
  const Descriptor ended(open_pidfd(pid_));
  std::string message;
  while (message.find("READY=1") == std::string::npos) {
    std::array<pollfd, 2> events{{{socket, POLLIN, 0}, {ended.get(), POLLIN, 0}}};
    const auto left = kStartLimit - (std::chrono::steady_clock::now() - started_);
    const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    if (wait_ms <= 0 || ::poll(events.data(), events.size(), static_cast<int>(wait_ms)) <= 0) {
      throw std::runtime_error("the worker did not get ready");
    }
    if ((events[0].revents & POLLIN) != 0) {
      std::array<char, 512> buffer{};
      const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), 0);
      if (n > 0) message.assign(buffer.data(), static_cast<std::size_t>(n));
    } else if (events[1].revents != 0) {
      throw std::runtime_error("the worker ended before it was ready");
    }
  }
  startup_ = std::chrono::steady_clock::now() - started_;
}

WorkerProcess::~WorkerProcess() {
  if (!running()) return;
  kill(SIGTERM);
  const Descriptor ended(open_pidfd(pid_));
  pollfd event{ended.get(), POLLIN, 0};
  if (::poll(&event, 1, kStopLimitMs) <= 0) kill(SIGKILL);
  wait();
}

bool WorkerProcess::running() {
  if (!reaped_ && ::waitpid(pid_, &wait_status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

void WorkerProcess::kill(int signal) const noexcept {
  if (!reaped_) ::kill(pid_, signal);
}

int WorkerProcess::wait() {
  while (!reaped_) {
    const int waited = ::waitpid(pid_, &wait_status_, 0);
    if (waited == pid_ || (waited < 0 && errno != EINTR)) reaped_ = true;
  }
  return wait_status_;
}

double WorkerProcess::pss_mib() const {
  double kib = 0;
  for (const int pid : process_tree(pid_)) {
    std::istringstream lines(contents("/proc/" + std::to_string(pid) + "/smaps_rollup"));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("Pss:")) kib += std::stod(line.substr(4));
    }
  }
  return kib / 1024;
}

double WorkerProcess::cpu_seconds() const {
  double ticks = 0;
  for (const int pid : process_tree(pid_)) {
    const std::string stat = contents("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    std::istringstream fields(stat.substr(name_end + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace lovage::test
