// The worker dies by kill -9 at a named point of a task's way; a new one does what is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <tuple>
#include <vector>

#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using Case = std::tuple<Engine, std::string, std::string>;

class KilledAt : public testing::TestWithParam<Case> {};

TEST_P(KilledAt, EverythingIsDoneOnce) {
  const auto& [engine, pool, point] = GetParam();
  Scene scene(engine);
  const std::vector<std::string> arguments{"-P", pool, "-c", "2"};
  const Worker dying = scene.worker(
      "dying", {.arguments = arguments, .environment = {"LOVAGE_KILL_POINT=" + point + ":3"}, .lease = 0.9});
  std::vector<AsyncResult<>> results;
  for (int i = 0; i < 10; ++i) {
    results.push_back(scene.send("task" + std::to_string(i), 1ms));
    // One after the other at first: a reserve that takes them all would pass after_reserve but once.
    if (i < 2) {
      ASSERT_EQ(results.back().wait(30s), "SUCCESS");
    }
  }
  const int status = dying->wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  const Worker heir = scene.worker("heir", {.arguments = arguments, .lease = 0.9});
  for (const auto& result : results) ASSERT_EQ(result.wait(30s), "SUCCESS");
  ASSERT_TRUE(scene.wait_queue([](const auto& queue) { return queue.ready + queue.reserved + queue.scheduled == 0; }));
  const auto links = scene.run_callbacks();
  EXPECT_EQ(links.size(), 10U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(count(links, "task" + std::to_string(i)), 1U) << i;
  EXPECT_TRUE(scene.dead_letters().empty());
}

INSTANTIATE_TEST_SUITE_P(
    , KilledAt,
    testing::Combine(testing::Values(Engine::redis, Engine::sqlite), testing::Values("prefork", "threads"),
                     testing::Values("after_reserve", "before_run", "after_run", "before_settle", "after_settle")),
    [](const auto& made) {
      return name_of(std::get<0>(made.param)) + "_" + std::get<1>(made.param) + "_" + std::get<2>(made.param);
    });

}  // namespace
}  // namespace lovage::fault
