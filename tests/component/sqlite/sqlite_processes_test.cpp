// Several real processes on one file.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "broker/sqlite/sqlite_broker.hpp"
#include "contract/contract.hpp"
#include "support/temp_dir.hpp"

namespace lovage::broker::sqlite {
namespace {

using contract::message;
using contract::patience;

class FileStore final : public contract::Store {
 public:
  explicit FileStore(std::string path) : path_(std::move(path)) {}
  std::shared_ptr<Broker> broker() override { return make_sqlite_broker(open_file({path_, true}, {})); }
  std::shared_ptr<backend::Backend> backend() override { return nullptr; }

 private:
  std::string path_;
};

class SqliteProcesses : public testing::Test {
 protected:
  std::shared_ptr<Broker> open() { return make_sqlite_broker(open_file({path, true}, {})); }

  // Runs `function` in a forked process, which ends with what it returns.
  template <class Function>
  pid_t in_child(const Function& function) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::_exit(function() ? 0 : 1);
  }
  static void expect_success(pid_t pid) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  static void kill_hard(pid_t pid) {
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  }
  std::uint64_t ready() { return open()->queues(std::vector<std::string>{"q"}, patience()).value().at(0).ready; }

  test::TempDir folder;
  std::string path = folder.path() / "lovage.db";
};

// What a child tells its parent, a byte at a time.
class Pipe {
 public:
  Pipe() {
    if (::pipe(fds_) != 0) throw std::runtime_error("pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  void tell() const {
    if (::write(fds_[1], "x", 1) != 1) ::_exit(2);
  }
  void await(int count) const {
    char byte = 0;
    for (int i = 0; i < count; ++i) ASSERT_EQ(::read(fds_[0], &byte, 1), 1);
  }
  // How many more have been told; nobody tells any more.
  int rest() {
    ::close(fds_[1]);
    fds_[1] = -1;
    int count = 0;
    for (char byte = 0; ::read(fds_[0], &byte, 1) == 1;) ++count;
    return count;
  }

 private:
  int fds_[2];
};

TEST_F(SqliteProcesses, WritersAndReadersShareAFile) {
  constexpr int kEach = 200;
  std::vector<pid_t> writers;
  for (const std::string name : {"a", "b"}) {
    writers.push_back(in_child([&] {
      auto broker = open();
      for (int i = 0; i < kEach; ++i) contract::publish(*broker, {message(name + std::to_string(i))});
      return true;
    }));
  }
  FileStore store(path);
  contract::Worker worker(store);
  std::set<std::string> seen;
  for (int i = 0; i < 2 * kEach; ++i) {
    const auto delivery = worker.take_one();
    EXPECT_TRUE(seen.insert(contract::id_of(delivery)).second);
    EXPECT_EQ(worker.settle(delivery.token), SettleStatus::settled);
  }
  for (const pid_t pid : writers) expect_success(pid);
  EXPECT_EQ(ready(), 0U);
}

TEST_F(SqliteProcesses, AProcessKilledInATransactionLeavesNothingHalfWritten) {
  contract::publish(*open(), {message("before")});
  Pipe pipe;
  const pid_t child = in_child([&] {
    auto store = Store::open({path, true}, {}, patience()).value();
    auto transaction = store->db().begin(patience());
    if (!transaction || !store->publish(message("half"))) return false;
    pipe.tell();
    for (;;) ::pause();
  });
  pipe.await(1);
  const auto busy = open()->publish(std::vector{message("now")}, Deadline::after(std::chrono::milliseconds(50)));
  ASSERT_FALSE(busy.at(0));
  EXPECT_EQ(busy.at(0).error().code, Errc::timed_out);
  kill_hard(child);
  contract::publish(*open(), {message("after")});
  EXPECT_EQ(ready(), 2U);
}

TEST_F(SqliteProcesses, WhatASendAnsweredIsThereAfterKill9) {
  int answered = 0;
  for (int round = 0; round < 5; ++round) {
    Pipe pipe;
    const pid_t child = in_child([&] {
      auto broker = open();
      for (int i = 0;; ++i) {
        contract::publish(*broker, {message(std::to_string(i))});
        pipe.tell();
      }
      return true;
    });
    pipe.await(20);
    kill_hard(child);
    answered += 20 + pipe.rest();
    // At most the one whose answer was cut off is more than was told.
    const auto there = static_cast<int>(ready());
    EXPECT_GE(there, answered);
    EXPECT_LE(there, answered + round + 1);
  }
}

TEST_F(SqliteProcesses, ABrokerMayBeUsedOnBothSidesOfAFork) {
  auto broker = open();
  contract::publish(*broker, {message("parent-1")});
  const pid_t child = in_child([&] {
    contract::publish(*broker, {message("child")});
    return true;
  });
  contract::publish(*broker, {message("parent-2")});
  expect_success(child);
  EXPECT_EQ(ready(), 3U);
}

}  // namespace
}  // namespace lovage::broker::sqlite
