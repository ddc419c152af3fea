// Warm and cold ends of a worker under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

using Case = std::tuple<Engine, std::string>;

class Ending : public testing::TestWithParam<Case> {
 protected:
  Scene scene_{std::get<0>(GetParam())};

  // With the usual lease: what an ended worker left behind would not come back while the test lasts.
  Worker start(const std::string& name, const std::string& concurrency, const std::string& multiplier = "1") {
    return scene_.worker(
        name, {.arguments = {"-P", std::get<1>(GetParam()), "-c", concurrency, "--prefetch-multiplier", multiplier},
               .lease = 15});
  }
};

TEST_P(Ending, WarmAtRandomTimes) {
  constexpr int kRounds = 10;
  constexpr int kEach = 40;
  std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> pause(0, 150);
  std::vector<AsyncResult<>> results;
  for (int round = 0; round < kRounds; ++round) {
    const Worker worker = start("worker", "2", "4");
    for (int i = 0; i < kEach; ++i) results.push_back(scene_.send("task" + std::to_string(results.size()), 5ms));
    std::this_thread::sleep_for(std::chrono::milliseconds(pause(random)));  // the random time
    worker->kill(SIGTERM);
    const int status = worker->wait();
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const auto left = scene_.queue();
    EXPECT_EQ(left.reserved, 0U) << "round " << round;
    EXPECT_EQ(left.ready + scene_.lines("started").size(), results.size()) << "round " << round;
  }
  const Worker last = start("last", "2");
  for (const auto& result : results) ASSERT_EQ(result.wait(30s), "SUCCESS");
  const auto started = scene_.lines("started");
  EXPECT_EQ(started.size(), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(count(started, "task" + std::to_string(i)), 1U) << i;
  EXPECT_EQ(scene_.run_callbacks().size(), results.size());
}

TEST_P(Ending, WarmGivesBackAtOnceWhatHasNotStarted) {
  const Worker ending = start("ending", "1", "4");
  const auto running = scene_.send("running", 4s);
  ASSERT_TRUE(scene_.wait_lines("started", 1));
  std::vector<AsyncResult<>> held;
  for (int i = 0; i < 3; ++i) held.push_back(scene_.send("held" + std::to_string(i), 1ms));
  ASSERT_TRUE(scene_.wait_queue([](const auto& queue) { return queue.reserved == 4; }));
  const Worker other = start("other", "1");
  ending->kill(SIGTERM);
  for (const auto& result : held) ASSERT_EQ(result.wait(30s), "SUCCESS");
  EXPECT_EQ(running.state(), "PENDING");
  EXPECT_TRUE(ending->running());
  EXPECT_EQ(running.wait(30s), "SUCCESS");
  EXPECT_EQ(ending->wait(), 0);
  EXPECT_EQ(scene_.lines("started").size(), 4U);
}

// Prefork alone: a thread cannot be stopped, its task comes back with the lease.
void expect_cold(Engine engine, int second_signal) {
  Scene scene(engine);
  const Worker worker = scene.worker("worker", {.arguments = {"-c", "2"}, .lease = 15});
  const auto result = scene.send("long", 60s);
  ASSERT_TRUE(scene.wait_lines("started", 1));
  worker->kill(SIGTERM);
  ASSERT_TRUE(scene.wait_log("worker", "Warm shutdown"));
  const auto before = std::chrono::steady_clock::now();
  worker->kill(second_signal);
  ASSERT_TRUE(WIFEXITED(worker->wait()));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  const auto left = scene.queue();
  EXPECT_EQ(left.ready, 1U);
  EXPECT_EQ(left.reserved, 0U);
  EXPECT_EQ(result.state(), "PENDING");
  EXPECT_TRUE(scene.dead_letters().empty());
}

class Cold : public testing::TestWithParam<Engine> {};

TEST_P(Cold, TermThenQuit) {
  expect_cold(GetParam(), SIGQUIT);
}

TEST_P(Cold, TermTwice) {
  expect_cold(GetParam(), SIGTERM);
}

INSTANTIATE_TEST_SUITE_P(
    , Ending, testing::Combine(testing::Values(Engine::redis, Engine::sqlite), testing::Values("prefork", "threads")),
    [](const auto& made) { return name_of(std::get<0>(made.param)) + "_" + std::get<1>(made.param); });
INSTANTIATE_TEST_SUITE_P(, Cold, testing::Values(Engine::redis, Engine::sqlite),
                         [](const auto& made) { return name_of(made.param); });

}  // namespace
}  // namespace lovage::fault
