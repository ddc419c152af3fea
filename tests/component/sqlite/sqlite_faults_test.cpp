// A file that is full, read-only, locked, foreign or gone: a clear error, and nothing half-written.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

#include "backend/sqlite/sqlite_backend.hpp"
#include "broker/sqlite/sqlite_broker.hpp"
#include "client/write_gate.hpp"
#include "contract/contract.hpp"
#include "support/temp_dir.hpp"

namespace lovage::broker::sqlite {
namespace {

using namespace std::chrono_literals;
using contract::message;
using contract::patience;
using testing::HasSubstr;

class SqliteFaults : public testing::Test {
 protected:
  std::shared_ptr<Broker> open() { return make_sqlite_broker(open_file({path, true}, {})); }
  std::uint64_t ready() { return open()->queues(std::vector<std::string>{"q"}, patience()).value().at(0).ready; }
  Failure failure_of_check() {
    const auto checked = open()->check(patience());
    return checked ? Failure{Errc::not_found, "no failure"} : checked.error();
  }
  // Runs `function` in a process of its own; its gtest failures become the exit status.
  template <class Function>
  static int in_child(const Function& function) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      function();
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return status;
  }

  test::TempDir folder;
  std::string path = folder.path() / "lovage.db";
};

TEST_F(SqliteFaults, AWriteBeyondTheLimitRefusesTheChunkWholeAndLosesNothing) {
  contract::publish(*open(), {message("1")});
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{256 * 1024, 256 * 1024};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    auto large = message("large");
    large.body = std::string(100'000, 'x');
    const auto outcomes = open()->publish(std::vector(4, large), patience());
    // All are one chunk, unless the machine takes longer than a chunk may: then the first ones may be in.
    std::size_t stored = 0;
    for (const auto& outcome : outcomes) {
      if (outcome) {
        ++stored;
        continue;
      }
      EXPECT_EQ(outcome.error().code, Errc::no_space) << outcome.error().message;
      EXPECT_THAT(outcome.error().message, HasSubstr("lovage.db"));
    }
    EXPECT_LT(stored, outcomes.size());
    contract::publish(*open(), {message("small")});
    EXPECT_EQ(ready(), 2 + stored);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(SqliteFaults, ASmallFileSystemThatFillsUpKeepsWhatItAnswered) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may mount a small file system";
  constexpr int kNoMounts = 77;
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
      ::_exit(kNoMounts);
    }
    auto large = message("large");
    large.body = std::string(50'000, 'x');
    auto broker = open();
    std::uint64_t answered = 0;
    Failure failure{};
    while (failure.message.empty() && answered < 100) {
      const auto outcome = broker->publish(std::vector{large}, patience()).at(0);
      if (outcome) ++answered;
      if (!outcome) failure = outcome.error();
    }
    EXPECT_EQ(failure.code, Errc::no_space) << failure.message;
    EXPECT_THAT(failure.message, HasSubstr("full"));
    EXPECT_GT(answered, 0U);
    EXPECT_EQ(ready(), answered);
    EXPECT_TRUE(::unlink(path.c_str()) == 0);
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoMounts) GTEST_SKIP() << "this root may not mount";
  EXPECT_EQ(status, 0);
}

TEST_F(SqliteFaults, AReadOnlyFileSaysSo) {
  contract::publish(*open(), {message("1")});
  ASSERT_EQ(::chmod(path.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
  for (const char* suffix : {"-next", "-main", "-wake"}) ASSERT_EQ(::chmod((path + suffix).c_str(), 0666), 0);
  const int status = in_child([&] {
    constexpr uid_t kNobody = 65534;  // permissions do not bind root
    if (::geteuid() == 0) {
      ASSERT_EQ(::setuid(kNobody), 0);
    }
    const auto outcomes = open()->publish(std::vector{message("2")}, patience());
    ASSERT_FALSE(outcomes.at(0));
    EXPECT_EQ(outcomes[0].error().code, Errc::no_space);
    EXPECT_THAT(outcomes[0].error().message, HasSubstr("read-only"));
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ready(), 1U);
}

TEST_F(SqliteFaults, ALockOfAnotherProgramEndsWithTheDeadline) {
  contract::publish(*open(), {message("1")});
  // Past our gate, as the sqlite3 shell would.
  auto other = client::SqliteDb::open({path, true}, patience()).value();
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE"));
  auto broker = open();
  const auto outcomes = broker->publish(std::vector{message("2")}, Deadline::after(100ms));
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].error().code, Errc::timed_out);
  EXPECT_THAT(outcomes[0].error().message, HasSubstr("another program holds its lock"));
  ASSERT_TRUE(other->execute("ROLLBACK"));
  contract::publish(*broker, {message("3")});
  EXPECT_EQ(ready(), 2U);
}

TEST_F(SqliteFaults, AFileThatIsNoDatabaseIsLeftAlone) {
  const std::string text(5'000, 'a');
  std::ofstream(path) << text;
  const Failure failure = failure_of_check();
  EXPECT_EQ(failure.code, Errc::misconfigured);
  EXPECT_THAT(failure.message, HasSubstr("not a SQLite database"));
  EXPECT_EQ(std::filesystem::file_size(path), text.size());
}

TEST_F(SqliteFaults, AMissingFolderIsNamed) {
  path = folder.path() / "no such folder" / "lovage.db";
  const Failure failure = failure_of_check();
  EXPECT_EQ(failure.code, Errc::misconfigured);
  EXPECT_THAT(failure.message, HasSubstr("no such folder"));
}

TEST_F(SqliteFaults, AFileThatWasReplacedIsNoticed) {
  auto broker = open();
  contract::publish(*broker, {message("1")});
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  const auto outcomes = broker->publish(std::vector{message("2")}, patience());
  ASSERT_FALSE(outcomes.at(0));
  EXPECT_EQ(outcomes[0].error().code, Errc::unavailable);
  EXPECT_THAT(outcomes[0].error().message, HasSubstr("removed or replaced"));
  contract::publish(*broker, {message("3")});  // into a new file
  EXPECT_EQ(ready(), 1U);
}

TEST_F(SqliteFaults, TheGateLetsOneInAndTheNextWhenItLeaves) {
  auto one = client::WriteGate::open(path).value();
  auto two = client::WriteGate::open(path).value();
  ASSERT_TRUE(one->enter(patience()));
  const auto refused = two->enter(Deadline::after(20ms));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::timed_out);
  auto waiting = std::async(std::launch::async, [&] { return two->enter(patience()); });
  one->leave();
  EXPECT_TRUE(waiting.get());
  EXPECT_FALSE(one->enter(Deadline::after(20ms)));
  two->leave();
  EXPECT_TRUE(one->enter(patience()));
  one->leave();
}

TEST_F(SqliteFaults, AGateThatWasGivenUpIsNotKept) {
  auto one = client::WriteGate::open(path).value();
  ASSERT_TRUE(one->enter(patience()));
  {
    auto two = client::WriteGate::open(path).value();
    EXPECT_FALSE(two->enter(Deadline::after(20ms)));
  }  // it goes while its helper waits in the kernel
  one->leave();
  EXPECT_TRUE(one->enter(patience()));
  one->leave();
}

TEST_F(SqliteFaults, NormalDurabilityIsSaid) {
  EXPECT_THAT(open()->check(patience()).value().warnings, testing::IsEmpty());
  auto normal = make_sqlite_broker(open_file({path, false}, {}));
  EXPECT_THAT(normal->check(patience()).value().warnings, testing::ElementsAre(HasSubstr("loss of power")));
}

}  // namespace
}  // namespace lovage::broker::sqlite
