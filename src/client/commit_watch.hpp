// Tells when some process has committed to a database.
#pragma once

#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace lovage::client {

// The side file that committers write after COMMIT. (Events on the WAL itself fire before the commit
// can be seen.) Returns the open descriptor.
Result<int> open_commit_file(const std::string& database_path);

// A feed of the commits of all processes to a database file: calls its subscribers after each. One inotify watch and
// one thread, which sleeps until there is a commit. Thread-safe. Subscribers are called one at a time from any thread,
// must be quick, and must not subscribe or unsubscribe.
class CommitWatch {
 public:
  using Subscriber = std::function<void()>;

  // Ends the subscription when it goes; the subscriber is not called any more after that. In a forked child, where
  // nobody calls it, it leaves the parent's watch alone.
  class Subscription {
   public:
    Subscription(std::shared_ptr<CommitWatch> watch, std::uint64_t id) noexcept : watch_(std::move(watch)), id_(id) {}
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    Subscription(Subscription&& other) noexcept = default;
    Subscription& operator=(Subscription&&) = delete;
    ~Subscription();

   private:
    std::shared_ptr<CommitWatch> watch_;
    std::uint64_t id_;
  };

  static Result<std::shared_ptr<CommitWatch>> open(const std::string& database_path);
  ~CommitWatch();
  CommitWatch(const CommitWatch&) = delete;
  CommitWatch& operator=(const CommitWatch&) = delete;

  static Subscription subscribe(const std::shared_ptr<CommitWatch>& watch, Subscriber subscriber);
  void notify();

 private:
  CommitWatch(int watch_fd, int stop_fd);
  [[nodiscard]] bool is_ours() const noexcept { return owner_ == ::getpid(); }
  void run();

  const pid_t owner_ = ::getpid();  // a forked child has a copy whose mutex nobody may touch
  const int watch_fd_;
  const int stop_fd_;
  std::mutex mutex_;  // guards the next two
  std::uint64_t next_id_ = 0;
  std::map<std::uint64_t, Subscriber> subscribers_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace lovage::client
