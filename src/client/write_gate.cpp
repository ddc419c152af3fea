#include "client/write_gate.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

namespace lovage::client {
namespace {

bool lock_now(int fd) noexcept {
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void lock_blocking(int fd) noexcept {
  while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) {
  }
}

void unlock(int fd) noexcept {
  ::flock(fd, LOCK_UN);
}

}  // namespace

// flock(2) knows no timeout, so under contention a helper thread takes the locks while the caller waits
// with its deadline. The state outlives the gate when the helper is stuck in the kernel at that moment.
struct WriteGate::Shared {
  enum class State { idle, acquiring, held };

  Shared(int next, int main) noexcept : next_fd(next), main_fd(main) {}
  ~Shared() {
    ::close(next_fd);
    ::close(main_fd);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  bool acquire_now() const noexcept {
    if (!lock_now(next_fd)) return false;
    const bool got = lock_now(main_fd);
    unlock(next_fd);
    return got;
  }

  void help() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return closing || state == State::acquiring; });
      if (closing) return;
      lock.unlock();
      lock_blocking(next_fd);
      lock_blocking(main_fd);
      unlock(next_fd);
      lock.lock();
      // Nobody waits any more: the caller's deadline passed.
      if (!wanted) unlock(main_fd);
      state = wanted ? State::held : State::idle;
      changed.notify_all();
    }
  }

  const int next_fd;
  const int main_fd;
  std::mutex mutex;
  std::condition_variable changed;
  State state = State::idle;
  bool wanted = false;   // a caller waits for what the helper acquires
  bool helping = false;  // the helper has been started
  bool closing = false;
};

WriteGate::WriteGate(std::shared_ptr<Shared> shared) noexcept : shared_(std::move(shared)) {}

Result<std::unique_ptr<WriteGate>> WriteGate::open(const std::string& database_path) {
  const auto open_side = [&](const char* suffix) {
    return ::open((database_path + suffix).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  };
  const int next = open_side("-next");
  const int main = next < 0 ? -1 : open_side("-main");
  if (main < 0) {
    const int error = errno;
    if (next >= 0) ::close(next);
    const bool no_space = error == ENOSPC || error == EROFS || error == EDQUOT;
    return fail(no_space ? Errc::no_space : Errc::refused,
                fmt::format("cannot create the lock files beside '{}': {}", database_path, std::strerror(error)));
  }
  return std::unique_ptr<WriteGate>(new WriteGate(std::make_shared<Shared>(next, main)));
}

WriteGate::~WriteGate() {
  const std::lock_guard lock(shared_->mutex);
  shared_->closing = true;
  shared_->wanted = false;
  shared_->changed.notify_all();
}

Result<void> WriteGate::enter(Deadline deadline) {
  std::unique_lock lock(shared_->mutex);
  using State = Shared::State;
  if (shared_->state == State::idle && shared_->acquire_now()) {
    shared_->state = State::held;
    return {};
  }
  if (!shared_->helping) {
    std::thread([shared = shared_] { shared->help(); }).detach();
    shared_->helping = true;
  }
  shared_->wanted = true;
  if (shared_->state == State::idle) shared_->state = State::acquiring;
  shared_->changed.notify_all();
  const auto held = [this] { return shared_->state == State::held; };
  if (deadline.is_never()) {
    shared_->changed.wait(lock, held);
  } else if (!shared_->changed.wait_until(lock, deadline.when(), held)) {
    shared_->wanted = false;
    return fail(Errc::timed_out, "the database is busy: another process holds its write lock");
  }
  return {};
}

void WriteGate::leave() noexcept {
  const std::lock_guard lock(shared_->mutex);
  unlock(shared_->main_fd);
  shared_->state = Shared::State::idle;
  shared_->wanted = false;
}

}  // namespace lovage::client
