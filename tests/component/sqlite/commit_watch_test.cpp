// The feed of commits in a process that forks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "client/commit_watch.hpp"
#include "support/event_waiter.hpp"
#include "support/temp_dir.hpp"

namespace lovage::client {
namespace {

// Runs `function` in a forked child that must end soon; whether it ended as it should.
template <class Function>
bool works_in_child(const Function& function) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);  // a child that hangs must not hang the test
    function();
    ::_exit(0);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(CommitWatch, IsLeftAloneByAChildForkedWhileItsMutexIsHeld) {
  const test::TempDir folder;
  auto watch = CommitWatch::open(folder.path() / "store.db");
  ASSERT_TRUE(watch) << watch.error().message;
  test::Watched<bool> called;
  test::Watched<bool> may_return;
  const auto is_set = [](bool value) { return value; };
  std::optional<CommitWatch::Subscription> subscription(CommitWatch::subscribe(*watch, [&] {
    called.set(true);
    EXPECT_TRUE(may_return.wait(is_set));
  }));
  std::thread notifier([&] { (*watch)->notify(); });
  ASSERT_TRUE(called.wait(is_set));  // from inside the mutex
  EXPECT_TRUE(works_in_child([&] { subscription.reset(); }));
  may_return.set(true);
  notifier.join();
}

TEST(CommitWatch, EndsInAChildAndGoesOnInItsParent) {
  const test::TempDir folder;
  const std::string path = folder.path() / "store.db";
  auto watch = CommitWatch::open(path);
  ASSERT_TRUE(watch) << watch.error().message;
  EXPECT_TRUE(works_in_child([&] { watch->reset(); }));
  test::Watched<int> calls;
  const auto subscription = CommitWatch::subscribe(*watch, [&] { calls.change([](int& n) { ++n; }); });
  const auto side_file = open_commit_file(path);
  ASSERT_TRUE(side_file);
  EXPECT_EQ(::pwrite(*side_file, "c", 1, 0), 1);
  ::close(*side_file);
  EXPECT_TRUE(calls.wait([](int n) { return n > 0; }));
}

}  // namespace
}  // namespace lovage::client
