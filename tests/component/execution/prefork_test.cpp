// What children of their own buy: crashes, kills and limits cost one job.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "execution/pool_harness.hpp"
#include "net/fd.hpp"
#include "support/slowness.hpp"

namespace lovage::execution {
namespace {

using namespace std::chrono_literals;
using Kind = Outcome::Kind;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::IsEmpty;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

int parent_of(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
  return 0;
}

// Whether the process ends within ten seconds. Zombies count as ended.
bool ends(const net::Fd& pidfd) {
  pollfd entry{pidfd.get(), POLLIN, 0};
  return ::poll(&entry, 1, 10'000) == 1;
}

net::Fd watch(int pid) {
  return net::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

class Prefork : public testing::Test {
 protected:
  PoolHarness& start(PoolHarness::Options options = {}) {
    harness_.emplace(std::move(options));
    harness_->start();
    return *harness_;
  }
  void TearDown() override {
    if (!harness_) return;
    harness_->stop();
    EXPECT_THAT(harness_->doubled, IsEmpty());
  }
  std::optional<PoolHarness> harness_;
};

TEST_F(Prefork, ACrashCostsItsJobAlone) {
  PoolHarness& harness = start();
  for (int i = 0; i < 200; ++i) harness.submit("noop");  // so that requests queue up in the children
  harness.wait_for_all();
  std::vector<std::pair<JobId, std::string>> crashes;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 30; ++i) harness.submit("noop");
    crashes.emplace_back(harness.submit("abort"), "signal 6 (SIGABRT)");
    for (int i = 0; i < 30; ++i) harness.submit("noop");
    crashes.emplace_back(harness.submit("segfault"), "signal 11 (SIGSEGV)");
    for (int i = 0; i < 30; ++i) harness.submit("noop");
    crashes.emplace_back(harness.submit("exit", {Value(3)}), "exitcode 3");
  }
  harness.wait_for_all();
  for (const auto& [job, end] : crashes) {
    EXPECT_EQ(harness.outcomes[job].kind, Kind::lost);
    EXPECT_EQ(harness.outcomes[job].death.describe(), "Worker exited prematurely: " + end);
    EXPECT_GT(harness.outcomes[job].death.max_rss_kib, 0);
    harness.outcomes[job].kind = Kind::success;
  }
  for (const auto& [job, outcome] : harness.outcomes) EXPECT_EQ(outcome.kind, Kind::success);
}

TEST_F(Prefork, KillsAtRandomPointsLeaveEachJobWithOneOutcome) {
  PoolHarness& harness = start();
  constexpr int kJobs = 2'000;
  constexpr int kKills = 100;
  std::mt19937 random(20'261'122);
  for (int i = 0; i < kJobs; ++i) harness.submit("burn", {Value(static_cast<int>(random() % 300))});
  int kills = 0;
  while (kills < kKills && harness.outcomes.size() < kJobs) {
    const auto pids = harness.pool->pids();
    if (pids.empty()) {
      harness.run_until([&] { return !harness.pool->pids().empty() || harness.outcomes.size() == kJobs; });
      continue;
    }
    // Not reaped before we have heard of its end, but it may have ended: then nothing happens.
    ::kill(pids[random() % pids.size()], SIGKILL);
    ++kills;
    const std::size_t next = std::min<std::size_t>(kJobs, harness.outcomes.size() + random() % 20 + 1);
    harness.run_until([&] { return harness.outcomes.size() >= next; });
  }
  harness.wait_for_all();
  EXPECT_GT(kills, 50);
  std::ptrdiff_t lost = 0;
  for (const auto& [job, outcome] : harness.outcomes) {
    EXPECT_TRUE(outcome.kind == Kind::lost || outcome.kind == Kind::success);
    if (outcome.kind == Kind::lost) ++lost;
  }
  EXPECT_LE(lost, kills);
}

TEST_F(Prefork, AShortTaskDoesNotWaitBehindALongOne) {
  PoolHarness& harness = start();
  for (int i = 0; i < 500; ++i) harness.submit("noop");
  harness.wait_for_all();
  const Gate gate;
  const JobId slow = harness.submit("wait", {Value(gate.path())});
  for (int i = 0; i < 60; ++i) harness.submit("noop");
  harness.run_until([&] { return harness.outcomes.size() == harness.last_job - 1; });
  EXPECT_FALSE(harness.outcomes.contains(slow));
  gate.open();
  EXPECT_EQ(harness.outcome_of(slow).kind, Kind::success);
}

// While tasks are short, a child tells of a start together with the outcome.
TEST_F(Prefork, TheStartOfALongTaskAmongShortOnesIsKnownWhileItRuns) {
  PoolHarness& harness = start();
  for (int i = 0; i < 500; ++i) harness.submit("noop");
  harness.wait_for_all();
  ASSERT_GT(harness.pool->appetite(), harness.pool->slots());
  const Gate gate;
  const JobId slow = harness.submit("wait", {Value(gate.path())});
  harness.wait_for_start(slow);
  gate.open();
  EXPECT_EQ(harness.outcome_of(slow).kind, Kind::success);
}

TEST_F(Prefork, ACrashIsNoLessAStartForNotHavingBeenTold) {
  PoolHarness& harness = start();
  for (int i = 0; i < 500; ++i) harness.submit("noop");
  harness.wait_for_all();
  ASSERT_GT(harness.pool->appetite(), harness.pool->slots());
  EXPECT_EQ(harness.outcome_of(harness.submit("abort")).kind, Kind::lost);
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::success);
}

TEST_F(Prefork, AHardLimitKillsTheChildAndNothingElse) {
  PoolHarness& harness = start();
  const Gate gate;
  const auto began = steady_clock::now();
  const JobId stuck = harness.submit("wait", {Value(gate.path())}, [](Request& request) {
    request.time_limit = 300ms;
    request.soft_time_limit = 100ms;
  });
  const JobId other = harness.submit("noop");
  EXPECT_EQ(harness.outcome_of(stuck).kind, Kind::timed_out);
  const auto took = steady_clock::now() - began;
  EXPECT_GE(took, 300ms);
  EXPECT_LT(took, 2s * test::kSlowness);  // 0.4 s when nobody else wants the processor
  EXPECT_TRUE(harness.soft_limits.contains(stuck));
  EXPECT_EQ(harness.outcome_of(other).kind, Kind::success);
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::success);
}

TEST_F(Prefork, TerminateEndsTheRunningJob) {
  PoolHarness& harness = start({.concurrency = 1});
  const Gate gate;
  const JobId running = harness.submit("wait", {Value(gate.path())});
  const JobId waiting = harness.submit("noop");
  const JobId behind = harness.submit("noop");
  harness.wait_for_start(running);
  harness.pool->terminate(waiting, SIGTERM);
  EXPECT_EQ(harness.outcome_of(waiting).kind, Kind::revoked);
  harness.pool->terminate(running, SIGKILL);
  EXPECT_EQ(harness.outcome_of(running).kind, Kind::revoked);
  EXPECT_EQ(harness.outcome_of(behind).kind, Kind::success);
  EXPECT_FALSE(harness.started.contains(waiting));
}

TEST_F(Prefork, KillAllReturnsEverything) {
  PoolHarness& harness = start();
  const Gate gate;
  const JobId first = harness.submit("wait", {Value(gate.path())});
  const JobId second = harness.submit("wait", {Value(gate.path())});
  for (int i = 0; i < 10; ++i) harness.submit("noop");
  harness.wait_for_start(first);
  harness.wait_for_start(second);
  harness.pool->kill_all();
  harness.wait_for_all();
  for (const auto& [job, outcome] : harness.outcomes) EXPECT_EQ(outcome.kind, Kind::not_started);
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::success);
}

TEST_F(Prefork, ASuspectRunsInAFreshChildOfItsOwn) {
  PoolHarness& harness = start();
  for (int i = 0; i < 100; ++i) harness.submit("noop");
  harness.wait_for_all();
  const auto used = harness.pool->pids();
  const JobId suspect = harness.submit("pid", {}, [](Request& request) { request.alone = true; });
  for (int i = 0; i < 100; ++i) harness.submit("pid");
  harness.wait_for_all();
  const std::string& own = harness.outcomes[suspect].result_json;
  EXPECT_THAT(used, testing::Not(testing::Contains(std::stoi(own))));
  for (const auto& [job, outcome] : harness.outcomes) EXPECT_EQ(outcome.result_json == own, job == suspect);
}

TEST_F(Prefork, ChildrenAreReplacedAfterTheirTasks) {
  Config config;
  config.worker_max_tasks_per_child = 10;
  PoolHarness& harness = start({.config = config});
  for (int i = 0; i < 200; ++i) harness.submit("pid");
  harness.wait_for_all();
  std::map<std::string, int> tasks;
  for (const auto& [job, outcome] : harness.outcomes) {
    EXPECT_EQ(outcome.kind, Kind::success);
    ++tasks[outcome.result_json];
  }
  for (const auto& [pid, count] : tasks) EXPECT_LE(count, 10);
}

TEST_F(Prefork, ChildrenAreReplacedWhenTheyHaveGrown) {
  Config config;
  config.worker_max_memory_per_child = 200 << 10;
  testing::internal::CaptureStderr();
  PoolHarness& harness = start({.concurrency = 1, .config = config});
  const std::string small = harness.outcome_of(harness.submit("hog", {Value(1)})).result_json;
  EXPECT_EQ(harness.outcome_of(harness.submit("hog", {Value(300)})).result_json, small);
  EXPECT_NE(harness.outcome_of(harness.submit("pid")).result_json, small);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // a replacement is no accident
}

TEST_F(Prefork, SurvivesTheEndOfItsForkServer) {
  PoolHarness& harness = start();
  const Gate gate;
  const JobId running = harness.submit("wait", {Value(gate.path())});
  harness.wait_for_start(running);
  const int child = harness.started[running];
  const net::Fd child_watch = watch(child);
  ::kill(parent_of(child), SIGKILL);
  EXPECT_EQ(harness.outcome_of(running).kind, Kind::lost);
  EXPECT_TRUE(ends(child_watch));
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::success);
}

TEST_F(Prefork, TellsWhenItsForkServerCannotBeStarted) {
  PoolHarness& harness = start({.fork_server_arguments = {"broken"}});
  EXPECT_THAT(harness.broken, HasSubstr("fork server"));
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::not_started);
}

TEST_F(Prefork, StartsChildrenAnewWhenTheAppHasThreads) {
  testing::internal::CaptureStderr();
  PoolHarness& harness = start({.fork_server_arguments = {"threads"}});
  // The thread sanitizer's runtime has a thread of its own.
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::ContainsRegex("The app has [23] threads"));
  for (int i = 0; i < 100; ++i) harness.submit("pid");
  harness.wait_for_all();
  for (const auto& [job, outcome] : harness.outcomes) EXPECT_EQ(outcome.kind, Kind::success);
  EXPECT_EQ(harness.outcome_of(harness.submit("segfault")).kind, Kind::lost);
  EXPECT_EQ(harness.outcome_of(harness.submit("noop")).kind, Kind::success);
}

TEST_F(Prefork, LeavesNothingBehind) {
  start().outcome_of(harness_->submit("noop"));  // what is opened once and for all is open now
  harness_->stop();
  harness_.reset();
  const std::size_t before = open_descriptors();
  PoolHarness& harness = start();
  for (int i = 0; i < 20; ++i) harness.outcome_of(harness.submit("abort"));
  std::vector<net::Fd> children;
  for (const int pid : harness.pool->pids()) children.push_back(watch(pid));
  harness.stop();
  for (const net::Fd& child : children) EXPECT_TRUE(ends(child));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no child is left, not even a zombie
  EXPECT_EQ(errno, ECHILD);
  children.clear();
  harness_.reset();
  EXPECT_EQ(open_descriptors(), before);
}

// A worker that is killed outright: everything under it ends.
TEST_F(Prefork, EverythingEndsWithTheWorker) {
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe2(report.data(), O_CLOEXEC), 0);
  const Gate gate;
  const pid_t worker = ::fork();
  if (worker == 0) {
    PoolHarness harness({});
    harness.start();
    const JobId job = harness.submit("wait", {Value(gate.path())});
    harness.wait_for_start(job);
    std::vector<int> pids = harness.pool->pids();
    pids.push_back(parent_of(pids.front()));
    (void)!::write(report[1], pids.data(), pids.size() * sizeof(int));
    harness.run_until([] { return false; });
    ::_exit(1);
  }
  std::array<int, 3> pids{};
  ASSERT_EQ(::read(report[0], pids.data(), sizeof pids), static_cast<ssize_t>(sizeof pids));
  std::vector<net::Fd> watches;
  for (const int pid : pids) watches.push_back(watch(pid));
  ::kill(worker, SIGKILL);
  ::waitpid(worker, nullptr, 0);
  for (const net::Fd& process : watches) EXPECT_TRUE(ends(process));
  ::close(report[0]);
  ::close(report[1]);
}

TEST_F(Prefork, FairHoldsNoMoreThanItsSlots) {
  PoolHarness& harness = start({.fair = true});
  for (int i = 0; i < 300; ++i) harness.submit("noop");
  harness.wait_for_all();
  EXPECT_EQ(harness.pool->appetite(), harness.pool->slots());
}

// Reported, not asserted: what a machine does under load says nothing about a change.
TEST_F(Prefork, ReportsItsThroughput) {
  for (const std::string pool : {"prefork", "threads", "solo"}) {
    PoolHarness harness({.pool = pool});
    harness.start();
    const auto began = steady_clock::now();
    for (int i = 0; i < 20'000; ++i) harness.submit("noop");
    harness.wait_for_all();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
    std::printf("%s: %.0f tasks/s\n", pool.c_str(), 20'000 / seconds);
  }
}

}  // namespace
}  // namespace lovage::execution
