#include "client/commit_watch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lovage::client {
namespace {

constexpr const char* kSuffix = "-wake";

}  // namespace

Result<int> open_commit_file(const std::string& database_path) {
  const std::string path = database_path + kSuffix;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd >= 0) return fd;
  const bool no_space = errno == ENOSPC || errno == EROFS || errno == EDQUOT;
  return fail(no_space ? Errc::no_space : Errc::refused,
              fmt::format("cannot create '{}': {}", path, std::strerror(errno)));
}

CommitWatch::Subscription::~Subscription() {
  if (!watch_) return;
  if (!watch_->is_ours()) {
    // The parent's watch, whose mutex may be held by a thread that this child has not: kept as it is, for good.
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): a child without memory ends here
    static_cast<void>(new std::shared_ptr<CommitWatch>(std::move(watch_)));
    return;
  }
  const std::lock_guard lock(watch_->mutex_);
  watch_->subscribers_.erase(id_);
}

CommitWatch::Subscription CommitWatch::subscribe(const std::shared_ptr<CommitWatch>& watch, Subscriber subscriber) {
  const std::lock_guard lock(watch->mutex_);
  const std::uint64_t id = watch->next_id_++;
  watch->subscribers_.emplace(id, std::move(subscriber));
  return {watch, id};
}

void CommitWatch::notify() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, subscriber] : subscribers_) subscriber();
}

Result<std::shared_ptr<CommitWatch>> CommitWatch::open(const std::string& database_path) {
  auto file = open_commit_file(database_path);
  if (!file) return tl::unexpected(file.error());
  ::close(*file);
  const int watch = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  const int stop = watch < 0 ? -1 : ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop >= 0 && ::inotify_add_watch(watch, (database_path + kSuffix).c_str(), IN_MODIFY) >= 0) {
    return std::shared_ptr<CommitWatch>(new CommitWatch(watch, stop));
  }
  const int error = errno;
  if (watch >= 0) ::close(watch);
  if (stop >= 0) ::close(stop);
  return fail(Errc::refused, fmt::format("cannot watch '{}' for commits: {} (see fs.inotify.max_user_instances)",
                                         database_path, std::strerror(error)));
}

CommitWatch::CommitWatch(int watch_fd, int stop_fd)
    : watch_fd_(watch_fd), stop_fd_(stop_fd), thread_([this] { run(); }) {}

CommitWatch::~CommitWatch() {
  if (is_ours()) {
    const std::uint64_t one = 1;
    // An eventfd that nobody else writes to takes the 8 bytes.
    [[maybe_unused]] const auto written = ::write(stop_fd_, &one, sizeof one);
    thread_.join();
  } else {
    // The thread is the parent's: its handle is given up without a look at what it stands for.
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): a child without memory ends here
    static_cast<void>(new std::thread(std::move(thread_)));
  }
  ::close(watch_fd_);
  ::close(stop_fd_);
}

void CommitWatch::run() {
  std::array<pollfd, 2> fds{pollfd{watch_fd_, POLLIN, 0}, pollfd{stop_fd_, POLLIN, 0}};
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    bool any = false;
    while (::read(watch_fd_, buffer.data(), buffer.size()) > 0) any = true;
    if (any) notify();
  }
}

}  // namespace lovage::client
