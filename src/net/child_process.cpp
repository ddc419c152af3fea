#include "net/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgets the extern "C"
}

namespace lovage::net {
namespace {

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  posix_spawn_file_actions_t* get() noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

class Attributes {
 public:
  Attributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// Maps the descriptors. First away from every target number, so that no dup2 overwrites a source that is
// still to come; `moved` keeps those copies open until the spawn is done.
Result<void> map_descriptors(const std::vector<std::pair<int, int>>& fds, FileActions& actions,
                             std::vector<Fd>& moved) {
  int highest = 2;
  for (const auto& [ours, theirs] : fds) highest = std::max(highest, theirs);
  for (const auto& [ours, theirs] : fds) {
    moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, highest + 1));
    if (!moved.back()) return fail(Errc::unavailable, std::string("cannot copy a descriptor: ") + std::strerror(errno));
    ::posix_spawn_file_actions_adddup2(actions.get(), moved.back().get(), theirs);
  }
  for (int fd = 3; fd < highest; ++fd) {
    const bool wanted = std::any_of(fds.begin(), fds.end(), [fd](const auto& pair) { return pair.second == fd; });
    if (!wanted) ::posix_spawn_file_actions_addclose(actions.get(), fd);
  }
  ::posix_spawn_file_actions_addclosefrom_np(actions.get(), highest + 1);
  return {};
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment_with(const std::vector<std::string>& additions) {
  std::vector<std::string> out = additions;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const bool replaced = std::any_of(additions.begin(), additions.end(), [&](const std::string& addition) {
      return name_of(addition) == name_of(*variable);
    });
    if (!replaced) out.emplace_back(*variable);
  }
  return out;
}

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const Options& options) {
  FileActions actions;
  const Attributes attributes;
  std::vector<Fd> moved;
  if (auto mapped = map_descriptors(options.fds, actions, moved); !mapped) return tl::unexpected(mapped.error());
  auto argv = options.argv;
  auto environment = environment_with(options.environment);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, options.path.c_str(), actions.get(), attributes.get(), pointers(argv).data(),
                                  pointers(environment).data());
  if (error != 0) return fail(Errc::unavailable, "cannot start '" + options.path + "': " + std::strerror(error));
  Fd pidfd(::pidfd_open(pid, 0));
  if (!pidfd) {
    const int why = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail(Errc::unavailable, std::string("pidfd_open: ") + std::strerror(why));
  }
  return ChildProcess(pid, std::move(pidfd));
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = other.pid_;
    pidfd_ = std::move(other.pidfd_);
    status_ = other.status_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  end();
}

void ChildProcess::end() noexcept {
  if (!pidfd_ || status_) return;
  if (kill(SIGKILL)) {
    pollfd entry{pidfd_.get(), POLLIN, 0};
    while (::poll(&entry, 1, -1) < 0 && errno == EINTR) {
    }
  }
  exit_status();
}

bool ChildProcess::kill(int signal) noexcept {
  return pidfd_ && !status_ && ::pidfd_send_signal(pidfd_.get(), signal, nullptr, 0) == 0;
}

std::optional<ExitStatus> ChildProcess::exit_status() noexcept {
  if (status_ || !pidfd_) return status_;
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
    return std::nullopt;
  }
  status_ = info.si_code == CLD_EXITED ? ExitStatus{info.si_status, 0} : ExitStatus{0, info.si_status};
  return status_;
}

Registration ChildProcess::on_exit(Loop& loop, UniqueFunction<void(ExitStatus)> function) {
  return loop.on_readable(pidfd_.get(), [this, called = false, function = std::move(function)]() mutable {
    const auto status = exit_status();
    if (!status || called) return;
    called = true;
    function(*status);
  });
}

}  // namespace lovage::net
