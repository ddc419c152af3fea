// Preloaded into programs that run under valgrind 3.19 (Debian 12), which lacks pidfd_open and cannot start
// /proc/self/exe: an eventfd that a thread rings when the child has ended stands in for its pidfd. Where the system
// call is there, it is used.
#include <dlfcn.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

namespace {

std::mutex mutex;
std::map<int, pid_t> children;  // by eventfd; guarded by mutex

// 0: none of ours.
pid_t child_of(int fd) {
  const std::lock_guard lock(mutex);
  const auto found = children.find(fd);
  return found == children.end() ? 0 : found->second;
}

void ring_at_end(pid_t pid, int fd) {
  siginfo_t info{};
  while (::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, nullptr) != 0 && errno == EINTR) {
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

}  // namespace

extern "C" {

int pidfd_open(pid_t pid, unsigned flags) {
  const int real = static_cast<int>(::syscall(SYS_pidfd_open, pid, flags));
  if (real >= 0 || errno != ENOSYS) return real;
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  {
    const std::lock_guard lock(mutex);
    children.insert_or_assign(fd, pid);
  }
  std::thread(ring_at_end, pid, fd).detach();
  return fd;
}

int pidfd_send_signal(int fd, int signal, siginfo_t* info, unsigned flags) {
  if (const pid_t pid = child_of(fd); pid != 0) return ::kill(pid, signal);
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, fd, signal, info, flags));
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  const pid_t pid = type == P_PIDFD ? child_of(static_cast<int>(id)) : 0;
  if (pid != 0) return static_cast<int>(::syscall(SYS_waitid, P_PID, pid, info, options, nullptr));
  return static_cast<int>(::syscall(SYS_waitid, type, id, info, options, nullptr));
}

// The program behind /proc/self/exe is valgrind's own for the kernel; valgrind answers readlink with the one it runs.
int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  static const auto real = reinterpret_cast<decltype(&posix_spawn)>(::dlsym(RTLD_NEXT, "posix_spawn"));
  std::array<char, 4096> program{};
  if (std::strcmp(path, "/proc/self/exe") == 0 && ::readlink(path, program.data(), program.size() - 1) > 0)
    path = program.data();
  return real(pid, path, actions, attributes, arguments, environment);
}
}
