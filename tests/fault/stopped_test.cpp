// Workers stopped by SIGSTOP, swept by another one, then continued: they find out, and work again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Case = std::tuple<Engine, std::string>;
constexpr const char* kLost = "this worker was declared lost";
constexpr const char* kSwept = "missed heartbeat from sleeper@";

class Stopped : public testing::TestWithParam<Case> {
 protected:
  Scene scene_{std::get<0>(GetParam())};

  Worker start(const std::string& name, const std::string& concurrency, const std::string& multiplier = "1") {
    return scene_.worker(
        name, {.arguments = {"-P", std::get<1>(GetParam()), "-c", concurrency, "--prefetch-multiplier", multiplier}});
  }

  // The one that was stopped, now alone, runs a new task.
  void expect_works(Worker& other) {
    other->kill(SIGTERM);
    other->wait();
    EXPECT_EQ(scene_.send("later", 0ms).wait(30s), "SUCCESS");
  }
};

TEST_P(Stopped, WhileItWaits) {
  const Worker sleeper = start("sleeper", "2");
  ASSERT_EQ(scene_.send("first", 0ms).wait(30s), "SUCCESS");
  signal_tree(sleeper->pid(), SIGSTOP);
  // A wait that is still armed at the server brings some of them to the stopped worker.
  std::vector<AsyncResult<>> results;
  for (int i = 0; i < 20; ++i) results.push_back(scene_.send("task" + std::to_string(i), 1ms));
  Worker other = start("other", "2");
  for (const auto& result : results) ASSERT_EQ(result.wait(30s), "SUCCESS");
  ASSERT_TRUE(scene_.wait_log("other", kSwept));
  signal_tree(sleeper->pid(), SIGCONT);
  ASSERT_TRUE(scene_.wait_log("sleeper", kLost));
  expect_works(other);
  const auto started = scene_.lines("started");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(count(started, "task" + std::to_string(i)), 1U) << i;
  EXPECT_EQ(scene_.run_callbacks().size(), 22U);
}

TEST_P(Stopped, WhileItRunsAndHoldsMessages) {
  const Worker sleeper = start("sleeper", "1", "4");
  std::vector<AsyncResult<>> results{scene_.send("running", 1s)};
  ASSERT_TRUE(scene_.wait_lines("started", 1));
  for (int i = 0; i < 3; ++i) results.push_back(scene_.send("held" + std::to_string(i), 1ms));
  ASSERT_TRUE(scene_.wait_queue([](const auto& queue) { return queue.reserved == 4; }));
  signal_tree(sleeper->pid(), SIGSTOP);
  Worker other = start("other", "1");
  for (const auto& result : results) ASSERT_EQ(result.wait(30s), "SUCCESS");
  // By now its own run is over as well: it has an outcome that it must not settle.
  signal_tree(sleeper->pid(), SIGCONT);
  ASSERT_TRUE(scene_.wait_log("sleeper", kLost));
  expect_works(other);
  const auto started = scene_.lines("started");
  EXPECT_EQ(count(started, "running"), 2U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(count(started, "held" + std::to_string(i)), 1U) << i;
  EXPECT_THAT(scene_.run_callbacks(), ElementsAre("held0", "held1", "held2", "later", "running"));
}

INSTANTIATE_TEST_SUITE_P(
    , Stopped, testing::Combine(testing::Values(Engine::redis, Engine::sqlite), testing::Values("prefork", "threads")),
    [](const auto& made) { return name_of(std::get<0>(made.param)) + "_" + std::get<1>(made.param); });

TEST(StalledServer, ExpiresNobody) {
  Scene scene(Engine::redis);
  const Worker one = scene.worker("one", {.arguments = {"-c", "2", "--prefetch-multiplier", "0"}});
  const Worker two = scene.worker("two", {.arguments = {"-c", "2", "--prefetch-multiplier", "0"}});
  std::vector<AsyncResult<>> results;
  // Longer than the stall and the ticks that would declare somebody dead after it.
  for (int i = 0; i < 4; ++i) results.push_back(scene.send("task" + std::to_string(i), 9s));
  ASSERT_TRUE(scene.wait_lines("started", 4));
  scene.redis().pause();
  std::this_thread::sleep_for(4500ms);  // the fault itself: three leases
  scene.redis().resume();
  for (const auto& result : results) ASSERT_EQ(result.wait(30s), "SUCCESS");
  const auto started = scene.lines("started");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(count(started, "task" + std::to_string(i)), 1U) << i;
  for (const std::string name : {"one", "two"}) {
    EXPECT_THAT(scene.log(name), Not(HasSubstr(kLost)));
    EXPECT_THAT(scene.log(name), Not(HasSubstr("missed heartbeat")));
    EXPECT_THAT(scene.log(name), HasSubstr("lease: renewed again"));
  }
  EXPECT_EQ(scene.run_callbacks().size(), 4U);
}

}  // namespace
}  // namespace lovage::fault
