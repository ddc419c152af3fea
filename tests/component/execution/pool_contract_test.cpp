// What every pool does alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include <lovage/error.hpp>

#include "execution/pool_harness.hpp"

namespace lovage::execution {
namespace {

using namespace std::chrono_literals;
using Kind = Outcome::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class PoolContract : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { harness.start(); }
  void TearDown() override {
    harness.stop();
    EXPECT_THAT(harness.doubled, IsEmpty());
  }
  PoolHarness harness{{.pool = GetParam()}};
};

INSTANTIATE_TEST_SUITE_P(Pools, PoolContract, testing::Values("prefork", "threads", "solo"),
                         [](const auto& param) { return std::string(param.param); });

TEST_P(PoolContract, ReturnsResults) {
  const JobId job = harness.submit("add", {Value(2), Value(3)});
  const Outcome& outcome = harness.outcome_of(job);
  EXPECT_EQ(outcome.kind, Kind::success);
  EXPECT_EQ(outcome.result_json, "5");
  EXPECT_GT(outcome.pid, 0);
  EXPECT_FALSE(outcome.process_name.empty());
  EXPECT_EQ(harness.started.at(job), outcome.pid);
}

TEST_P(PoolContract, GivesTheTaskItsRequest) {
  const Outcome& outcome =
      harness.outcome_of(harness.submit("request", {}, [](Request& request) { request.message.edit().retries = 4; }));
  EXPECT_EQ(outcome.result_json, R"({"id": "id-1", "retries": 4, "hostname": "celery@test"})");
}

TEST_P(PoolContract, ReportsExceptions) {
  const Outcome& outcome = harness.outcome_of(harness.submit("throw", {Value("boom \xc3\xa9")}));
  EXPECT_EQ(outcome.kind, Kind::failure);
  EXPECT_THAT(outcome.exception.arguments, ElementsAre(Value("boom \xc3\xa9")));
  EXPECT_THAT(outcome.traceback, HasSubstr("Traceback"));
}

TEST_P(PoolContract, FailsTasksWhoseResultCannotBeEncoded) {
  const Outcome& outcome = harness.outcome_of(harness.submit("not_utf8"));
  EXPECT_EQ(outcome.kind, Kind::failure);
  EXPECT_EQ(outcome.exception.type, "EncodeError");
  EXPECT_EQ(outcome.exception.module, "kombu.exceptions");
}

TEST_P(PoolContract, FailsTasksWhoseResultOrStateIsTooLarge) {
  PoolHarness limited({.pool = GetParam(), .config = [] {
                         Config config;
                         config.task_message_max_bytes = 1'000;
                         return config;
                       }()});
  limited.start();
  const auto fails_with = [&](const std::string& task, const std::string& text) {
    const Outcome& outcome = limited.outcome_of(limited.submit(task, {Value(1'000)}));
    EXPECT_EQ(outcome.kind, Kind::failure);
    EXPECT_EQ(outcome.exception.type, "EncodeError");
    EXPECT_EQ(outcome.exception.module, "kombu.exceptions");
    EXPECT_THAT(outcome.exception.arguments, ElementsAre(Value(text)));
  };
  fails_with("text", "the result of task text has 1002 bytes, task_message_max_bytes allows 1000");
  fails_with("large_state",
             "the state PROGRESS of task large_state has 1012 bytes, task_message_max_bytes allows 1000");
  EXPECT_EQ(limited.outcome_of(limited.submit("text", {Value(900)})).kind, Kind::success);
  EXPECT_EQ(limited.outcome_of(limited.submit("throw_text", {Value(10'000'000)})).kind, Kind::failure);
}

TEST_P(PoolContract, FailsUnknownTasks) {
  const Outcome& outcome = harness.outcome_of(harness.submit("no.such.task"));
  EXPECT_EQ(outcome.kind, Kind::failure);
  EXPECT_EQ(outcome.exception.type, "NotRegistered");
}

TEST_P(PoolContract, TellsBodiesThatCannotBeRead) {
  const Outcome& outcome =
      harness.outcome_of(harness.submit("noop", {}, [](Request& request) { request.message.edit().body = "[1, {"; }));
  EXPECT_EQ(outcome.kind, Kind::malformed);
  EXPECT_FALSE(outcome.reason.empty());
}

TEST_P(PoolContract, RefusesContentTypesThatAreNotAccepted) {
  const Outcome& outcome = harness.outcome_of(harness.submit(
      "noop", {}, [](Request& request) { request.message.edit().content_type = "application/x-python-serialize"; }));
  EXPECT_EQ(outcome.kind, Kind::malformed);
  EXPECT_EQ(outcome.reason, "refused-content-type");
}

TEST_P(PoolContract, PassesCustomStatesOn) {
  const JobId job = harness.submit("progress");
  EXPECT_EQ(harness.outcome_of(job).kind, Kind::success);
  EXPECT_THAT(harness.states[job], ElementsAre(Pair("PROGRESS", R"({"done": 10})")));
}

TEST_P(PoolContract, StoresNoStatesForIgnoredResults) {
  const JobId job =
      harness.submit("progress", {}, [](Request& request) { request.message.edit().ignore_result = true; });
  EXPECT_EQ(harness.outcome_of(job).kind, Kind::success);
  EXPECT_THAT(harness.states, IsEmpty());
}

TEST_P(PoolContract, PassesRetriesOn) {
  const Outcome& outcome = harness.outcome_of(harness.submit("retry"));
  ASSERT_EQ(outcome.kind, Kind::retry);
  EXPECT_EQ(outcome.retry.countdown, std::chrono::seconds(7));
  EXPECT_EQ(outcome.retry.args, (Array{Value(1), Value("x")}));
  EXPECT_EQ(outcome.retry.queue, "slow");
}

TEST_P(PoolContract, PassesIgnoreAndRejectOn) {
  EXPECT_EQ(harness.outcome_of(harness.submit("ignore")).kind, Kind::ignored);
  const Outcome& rejected = harness.outcome_of(harness.submit("reject"));
  EXPECT_EQ(rejected.kind, Kind::rejected);
  EXPECT_EQ(rejected.reason, "not mine");
  EXPECT_TRUE(rejected.requeue);
}

TEST_P(PoolContract, ThrowsInTasksThatCheckTheirSoftLimit) {
  const JobId job = harness.submit("until_soft_limit", {},
                                   [](Request& request) { request.soft_time_limit = std::chrono::milliseconds(50); });
  const Outcome& outcome = harness.outcome_of(job);
  EXPECT_EQ(outcome.kind, Kind::failure);
  EXPECT_EQ(outcome.exception.type, "SoftTimeLimitExceeded");
  EXPECT_GE(outcome.runtime, std::chrono::milliseconds(50));
}

TEST_P(PoolContract, RunsManyEachOnce) {
  for (int i = 0; i < 3'000; ++i) harness.submit("add", {Value(i), Value(1)});
  harness.wait_for_all();
  for (JobId job = 1; job <= 3'000; ++job) {
    ASSERT_EQ(harness.outcomes[job].kind, Kind::success);
    ASSERT_EQ(harness.outcomes[job].result_json, std::to_string(job));
  }
}

TEST_P(PoolContract, GivesBackWhatHasNotStarted) {
  for (int i = 0; i < 50; ++i) harness.submit("burn", {Value(200'000)});
  harness.pool->give_back();
  harness.wait_for_all();
  const auto not_started = std::count_if(harness.outcomes.begin(), harness.outcomes.end(),
                                         [](const auto& entry) { return entry.second.kind == Kind::not_started; });
  EXPECT_GE(not_started, 48);
}

TEST_P(PoolContract, StartsNothingWithoutAPermit) {
  harness.outcome_of(harness.submit("noop"));
  harness.pool->allow_starts_until(std::chrono::steady_clock::now());
  const JobId held = harness.submit("noop");
  harness.pool->give_back();
  EXPECT_EQ(harness.outcome_of(held).kind, Kind::not_started);

  const JobId waiting = harness.submit("noop");
  const auto timer = harness.loop.after(std::chrono::milliseconds(50), [&] { harness.loop.stop(); });
  harness.loop.run();
  EXPECT_FALSE(harness.started.contains(waiting));
  harness.pool->allow_starts_until(std::chrono::steady_clock::now() + std::chrono::hours(1));
  EXPECT_EQ(harness.outcome_of(waiting).kind, Kind::success);
}

TEST_P(PoolContract, LooksAheadForShortTasksAlone) {
  EXPECT_GE(harness.pool->appetite(), harness.pool->slots());
  const std::size_t slots = harness.pool->slots();
  if (GetParam() == std::string("solo")) return;  // never does
  // A task that the machine interrupts is a long one, too; the short ones behind it count again.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  do {
    for (int i = 0; i < 500; ++i) harness.submit("noop");
    harness.wait_for_all();
  } while (harness.pool->appetite() <= slots + 16 && std::chrono::steady_clock::now() < deadline);
  EXPECT_GT(harness.pool->appetite(), slots + 16);
  harness.outcome_of(harness.submit("burn", {Value(30'000)}));
  EXPECT_EQ(harness.pool->appetite(), slots);
}

// As by a worker whose last outcome lets it end: then the thread that ran the task may be the one that asks.
TEST(ThreadPool, MayBeStoppedByWhoeverStandsInForTheLoop) {
  for (int round = 0; round < 50; ++round) {
    PoolHarness harness({.pool = "threads", .concurrency = 1});
    harness.start();
    const JobId job = harness.submit("noop");
    bool asked = false;
    harness.run_until([&] {
      if (harness.outcomes.contains(job) && !std::exchange(asked, true)) {
        harness.pool->stop([&] {
          harness.stopped = true;
          harness.loop.stop();
        });
      }
      return harness.stopped;
    });
    EXPECT_TRUE(harness.stopped);
  }
}

// Submits tasks one by one until the thread that runs them leads the loop, then calls `then` there, in the loop.
void once_led(PoolHarness& harness, const std::function<void()>& then, const std::function<bool()>& end) {
  const auto main = std::this_thread::get_id();
  bool led = false;
  const auto timer = harness.loop.every(1ms, [&] {  // whoever stands in runs no timers
    if (led) return;
    led = std::this_thread::get_id() != main;
    if (led) return then();
    if (harness.outcomes.size() == harness.last_job) harness.submit("noop");
  });
  harness.run_until(end);
  EXPECT_TRUE(led);
}

TEST(ThreadPool, TheThreadThatRunsTasksOneByOneLeadsTheLoop) {
  PoolHarness harness({.pool = "threads", .concurrency = 2});
  harness.start();
  const Gate one;
  const Gate other;
  // It gives way to several, which run at the same time.
  JobId first = 0;
  once_led(
      harness,
      [&] {
        first = harness.submit("wait", {Value(one.path())});
        harness.submit("wait", {Value(other.path())});
      },
      [&] { return first != 0 && harness.started.contains(first) && harness.started.contains(first + 1); });
  one.open();
  other.open();
  harness.wait_for_all();
  EXPECT_TRUE(harness.doubled.empty());
}

TEST(ThreadPool, ALongTaskOfTheLeaderHoldsNothingUp) {
  PoolHarness harness({.pool = "threads", .concurrency = 1});
  harness.start();
  const Gate gate;
  std::thread opens;
  JobId waits = 0;
  int ticks = 0;
  net::Registration timer;
  once_led(
      harness,
      [&] {
        waits = harness.submit("wait", {Value(gate.path())});
        timer = harness.loop.every(1ms, [&] {
          if (++ticks == 5) opens = std::thread([&] { gate.open(); });
        });
      },
      [&] { return waits != 0 && harness.outcomes.contains(waits); });
  timer.reset();
  opens.join();
  EXPECT_GE(ticks, 5);
  EXPECT_EQ(harness.outcomes.at(waits).kind, Kind::success);
}

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

TEST(ThreadPool, ALeaderThatIsBusyIsLeftBehind) {
  const auto before = threads_of_this_process();
  const Gate gate;
  // Never destroyed, as by a process that is to exit soon: its thread uses the tasks. Nor is what refers to them, so
  // that they are no leak.
  static auto* const left = new std::vector<PoolHarness*>;
  left->push_back(new PoolHarness({.pool = "threads", .concurrency = 1}));
  PoolHarness& harness = *left->back();
  harness.start();
  JobId waits = 0;
  net::Registration timer;
  once_led(
      harness,
      [&] {
        waits = harness.submit("wait", {Value(gate.path())});
        timer = harness.loop.after(5ms, [&] { harness.pool->kill_all(); });
      },
      [&] { return waits != 0 && harness.outcomes.contains(waits); });
  EXPECT_EQ(harness.outcomes.at(waits).kind, Kind::not_started);
  timer.reset();
  harness.stop();
  harness.pool.reset();
  EXPECT_EQ(threads_of_this_process(), before + 1);
  gate.open();  // its thread ends when the pool is long gone
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (threads_of_this_process() != before && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(MakePool, NamesTheNearestKnownPool) {
  app::Registry registry;
  const Config config;
  net::Loop loop;
  try {
    make_pool("thread", {.registry = registry, .config = config, .loop = loop});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("threads"));
  }
  EXPECT_TRUE(runs_in_other_processes("prefork"));
  EXPECT_FALSE(runs_in_other_processes("threads"));
}

}  // namespace
}  // namespace lovage::execution
