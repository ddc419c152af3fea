// The worker dies by kill -9 at a named point of a task's way; a new one does what is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <tuple>
#include <vector>

#include "app/core.hpp"
#include "fault/flows.hpp"
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

Flow step(const std::string& name) {
  return {.name = name, .way = "goes well", .milliseconds = 1};
}

class WorkflowKilledAt : public testing::TestWithParam<Case> {};

// A chord in a chord's header, and a step behind both: five parts are counted and two chords joined.
TEST_P(WorkflowKilledAt, ItEndsAsItMustAndEverySuccessorIsSentOnce) {
  using Kind = Flow::Kind;
  const auto& [engine, pool, point] = GetParam();
  Scene scene(engine);
  const Flow inner{.kind = Kind::chord, .flows = {{.kind = Kind::group, .flows = {step("d"), step("e")}}, step("f")}};
  const Flow chained{.kind = Kind::chain, .flows = {step("b"), step("c")}};
  const Flow outer{.kind = Kind::chord,
                   .flows = {{.kind = Kind::group, .flows = {step("a"), chained, inner}}, step("g")}};
  const Worker dying = scene.worker(
      "dying", {.arguments = {"-P", pool, "-c", "2"}, .environment = {"LOVAGE_KILL_POINT=" + point}, .lease = 0.9});
  const SentFlow sent(scene.app(), {.kind = Kind::chain, .flows = {outer, step("h")}}, 0, scene.path("links"));
  scene.add_sent(sent.task_ids());
  const int status = dying->wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  const Worker heir = scene.worker("heir", {.arguments = {"-P", pool, "-c", "2"}, .lease = 0.9});
  EXPECT_EQ(sent.wait_and_compare(30s), "");
  ASSERT_TRUE(scene.wait_queue([](const auto& queue) { return queue.ready + queue.reserved + queue.scheduled == 0; }));
  EXPECT_THAT(scene.run_callbacks(), testing::ElementsAreArray(sent.ending().notes));
  EXPECT_TRUE(scene.dead_letters().empty());
}

INSTANTIATE_TEST_SUITE_P(, WorkflowKilledAt,
                         testing::Combine(testing::Values(Engine::redis, Engine::sqlite),
                                          testing::Values("prefork", "threads"),
                                          testing::Values("before_count:1", "after_count:5", "before_join:2",
                                                          "in_continuation:1", "in_continuation:2",
                                                          "after_continuation:1")),
                         [](const auto& made) {
                           std::string name = name_of(std::get<0>(made.param)) + "_" + std::get<1>(made.param) + "_" +
                                              std::get<2>(made.param);
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

class FanOutKilledAt : public testing::TestWithParam<std::tuple<Engine, std::string>> {};

// More members than one settlement sends: the rest is a continuation's. Nobody serves their queue, so each is counted.
TEST_P(FanOutKilledAt, EachMemberIsSentOnce) {
  constexpr std::size_t kMembers = 5'200;
  const auto& [engine, point] = GetParam();
  Scene scene(engine);
  scene.app().config().workflow_max_bytes = 16U << 20U;
  const auto options = [](const std::string& wish) {
    return Scene::WorkerOptions{.arguments = {"-P", "threads", "-c", "2"},
                                .environment = {"LOVAGE_WORKFLOW_MAX_BYTES=16777216", "LOVAGE_KILL_POINT=" + wish},
                                .lease = 0.9};
  };
  std::vector<Signature> members;
  for (std::size_t i = 0; i < kMembers; ++i) {
    members.push_back(scene.app().signature("fault.note", Array{Value("never run"), Value(scene.path("links"))}));
    members.back().set_immutable(true).set({.queue = "unserved"});
  }
  const Signature first = scene.app().signature("fault.step", Array{"", "first", "goes well", 1});
  const Worker dying = scene.worker("dying", options(point));
  const auto sent = GroupSignature(chain(std::vector<Signature>{first, group(members)})).delay();
  std::vector<std::string> ids{sent.parent().value().id()};
  for (const auto& member : sent.results()) ids.push_back(member.id());
  scene.add_sent(ids);  // the audit finds one that is there twice
  ASSERT_TRUE(WIFSIGNALED(dying->wait()));
  const Worker heir = scene.worker("heir", options(""));
  const auto ready = [&] {
    return scene.app().core().broker().queues(std::vector<std::string>{"unserved"}, Deadline::after(10s));
  };
  ASSERT_TRUE(scene.wait_queue([&](const auto& queue) {
    return queue.ready + queue.reserved + queue.scheduled == 0 && ready().value().at(0).ready >= kMembers;
  }));
  EXPECT_EQ(ready().value().at(0).ready, kMembers);
}

INSTANTIATE_TEST_SUITE_P(, FanOutKilledAt,
                         testing::Combine(testing::Values(Engine::redis, Engine::sqlite),
                                          testing::Values("in_continuation:1", "after_continuation:1")),
                         [](const auto& made) {
                           std::string name = name_of(std::get<0>(made.param)) + "_" + std::get<1>(made.param);
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace lovage::fault
