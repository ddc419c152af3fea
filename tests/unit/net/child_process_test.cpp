#include "net/child_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "support/event_waiter.hpp"

namespace lovage::net {
namespace {

using test::run_until;

Result<ChildProcess> shell(const std::string& script, std::vector<std::pair<int, int>> fds = {},
                           std::vector<std::string> environment = {}) {
  return ChildProcess::spawn(
      {.path = "/bin/sh", .argv = {"sh", "-c", script}, .fds = std::move(fds), .environment = std::move(environment)});
}

std::array<Fd, 2> make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

// Everything up to the end, which comes when no process holds the writing end any more.
std::string read_all(const Fd& fd) {
  std::string out;
  std::array<char, 256> buffer;
  ssize_t n = 0;
  while ((n = ::read(fd.get(), buffer.data(), buffer.size())) > 0)
    out.append(buffer.data(), static_cast<std::size_t>(n));
  return out;
}

TEST(ChildProcess, ReportsItsExitCodeOnTheLoop) {
  Loop loop;
  auto child = shell("exit 7");
  ASSERT_TRUE(child) << child.error().message;
  std::optional<ExitStatus> status;
  const auto watch = child->on_exit(loop, [&](ExitStatus how) { status = how; });
  ASSERT_TRUE(run_until(loop, [&] { return status.has_value(); }));
  EXPECT_EQ(status->code, 7);
  EXPECT_EQ(status->signal, 0);
  EXPECT_FALSE(child->kill(SIGTERM));
}

TEST(ChildProcess, ReportsTheSignalThatKilledIt) {
  Loop loop;
  auto child = shell("exec sleep 1000");
  ASSERT_TRUE(child) << child.error().message;
  std::optional<ExitStatus> status;
  const auto watch = child->on_exit(loop, [&](ExitStatus how) { status = how; });
  EXPECT_TRUE(child->kill(SIGKILL));
  ASSERT_TRUE(run_until(loop, [&] { return status.has_value(); }));
  EXPECT_EQ(status->signal, SIGKILL);
}

TEST(ChildProcess, GivesTheChildTheDescriptorsNamedAndNoOthers) {
  auto pipe = make_pipe();
  const Fd careless(::dup(pipe[0].get()));  // not close-on-exec: a plain spawn would pass it on
  ASSERT_TRUE(careless);
  auto child = shell("ls /proc/self/fd | tr '\\n' ' ' >&9", {{pipe[1].get(), 9}});
  ASSERT_TRUE(child) << child.error().message;
  pipe[1].reset();
  // ls itself opens 3 for the folder that it lists.
  EXPECT_EQ(read_all(pipe[0]), "0 1 2 3 9 ");
}

TEST(ChildProcess, SwapsDescriptorsWhoseNumbersCross) {
  auto a = make_pipe();
  auto b = make_pipe();
  const int left = a[1].get();
  const int right = b[1].get();
  auto child =
      shell("echo a >&" + std::to_string(right) + "; echo b >&" + std::to_string(left), {{left, right}, {right, left}});
  ASSERT_TRUE(child) << child.error().message;
  a[1].reset();
  b[1].reset();
  EXPECT_EQ(read_all(a[0]), "a\n");
  EXPECT_EQ(read_all(b[0]), "b\n");
}

TEST(ChildProcess, PutsVariablesOverTheEnvironment) {
  ASSERT_EQ(::setenv("LOVAGE_TEST_OLD", "old", 1), 0);
  ASSERT_EQ(::setenv("LOVAGE_TEST_KEPT", "kept", 1), 0);
  auto pipe = make_pipe();
  auto child = shell("echo $LOVAGE_TEST_OLD $LOVAGE_TEST_KEPT $LOVAGE_TEST_NEW", {{pipe[1].get(), 1}},
                     {"LOVAGE_TEST_OLD=replaced", "LOVAGE_TEST_NEW=new"});
  ASSERT_TRUE(child) << child.error().message;
  pipe[1].reset();
  EXPECT_EQ(read_all(pipe[0]), "replaced kept new\n");
}

TEST(ChildProcess, StartsWithDefaultSignals) {
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  auto child = shell("kill -PIPE $$; exit 3");
  ::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(child) << child.error().message;
  Loop loop;
  std::optional<ExitStatus> status;
  const auto watch = child->on_exit(loop, [&](ExitStatus how) { status = how; });
  ASSERT_TRUE(run_until(loop, [&] { return status.has_value(); }));
  EXPECT_EQ(status->signal, SIGPIPE);
}

TEST(ChildProcess, DiesWithItsObject) {
  auto pipe = make_pipe();
  {
    auto child = shell("exec sleep 1000", {{pipe[1].get(), 8}});
    ASSERT_TRUE(child) << child.error().message;
    pipe[1].reset();
  }
  EXPECT_EQ(read_all(pipe[0]), "");  // its end is closed, so this returns
}

TEST(ChildProcess, NamesTheExecutableThatIsNotThere) {
  const auto child = ChildProcess::spawn({.path = "/nowhere/worker", .argv = {"worker"}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().message, "cannot start '/nowhere/worker': No such file or directory");
}

}  // namespace
}  // namespace lovage::net
