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

// Calls its subscribers after commits. Thread-safe. Subscribers are called one at a time from any
// thread, must be quick, and must not subscribe or unsubscribe.
class CommitFeed {
 public:
  using Subscriber = std::function<void()>;

  // Ends the subscription when it goes; the subscriber is not called any more after that. In a forked child, where
  // nobody calls it, it leaves the parent's feed alone.
  class Subscription {
   public:
    Subscription(std::shared_ptr<CommitFeed> feed, std::uint64_t id) noexcept : feed_(std::move(feed)), id_(id) {}
    Subscription(Subscription&& other) noexcept = default;
    Subscription& operator=(Subscription&&) = delete;
    ~Subscription();

   private:
    std::shared_ptr<CommitFeed> feed_;
    std::uint64_t id_;
  };

  virtual ~CommitFeed() = default;
  // A feed of this process alone: whoever commits calls notify().
  CommitFeed();
  CommitFeed(const CommitFeed&) = delete;
  CommitFeed& operator=(const CommitFeed&) = delete;

  static Subscription subscribe(const std::shared_ptr<CommitFeed>& feed, Subscriber subscriber);
  void notify();

 protected:
  [[nodiscard]] bool is_ours() const noexcept { return owner_ == ::getpid(); }

 private:
  const pid_t owner_;  // a forked child has a copy whose mutex nobody may touch
  std::mutex mutex_;
  std::uint64_t next_id_ = 0;
  std::map<std::uint64_t, Subscriber> subscribers_;
};

// A feed of the commits of all processes to a database file: one inotify watch and one thread, which
// sleeps until there is a commit.
class CommitWatch final : public CommitFeed {
 public:
  static Result<std::shared_ptr<CommitWatch>> open(const std::string& database_path);
  ~CommitWatch() override;

 private:
  CommitWatch(int watch_fd, int stop_fd);
  void run();

  const int watch_fd_;
  const int stop_fd_;
  std::thread thread_;
};

}  // namespace lovage::client
