// A task that kills its process is quarantined after three strikes; the good ones beside it all finish.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "fault/scene.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

using Case = std::tuple<Engine, bool>;  // the store, and whether the worker is restarted between strikes

class Poison : public testing::TestWithParam<Case> {};

TEST_P(Poison, IsQuarantinedAfterThreeStrikes) {
  const auto [engine, restart] = GetParam();
  Scene scene(engine);
  const auto start = [&] { return scene.worker("worker", {.arguments = {"-c", "2"}}); };
  const auto work = scene.app().remote<std::int64_t(std::int64_t, std::int64_t)>("fault.work");
  const auto crash = scene.app().remote<void(std::string, std::string)>("fault.crash");
  Worker worker = start();
  std::vector<AsyncResult<std::int64_t>> good;
  for (std::int64_t i = 0; i < 100; ++i) good.push_back(work.delay(i, 2));
  const auto bad = crash.delay(scene.path("crashes"), scene.path("mended"));
  for (std::int64_t i = 100; i < 200; ++i) good.push_back(work.delay(i, 2));
  for (std::size_t strike = 1; restart && strike < 3; ++strike) {
    ASSERT_TRUE(scene.wait_lines("crashes", strike));
    worker->kill(SIGTERM);
    worker->wait();
    worker = start();
  }
  for (std::size_t i = 0; i < good.size(); ++i) ASSERT_EQ(good[i].get(30s), static_cast<std::int64_t>(i) * 2);
  EXPECT_EQ(bad.wait(30s), "FAILURE");
  EXPECT_THAT(scene.lines("crashes"), SizeIs(3));
  const auto dead = scene.dead_letters();
  ASSERT_THAT(dead, SizeIs(1));
  EXPECT_EQ(dead[0].letter.task_id, bad.id());
  EXPECT_EQ(dead[0].letter.reason, "poison");
  EXPECT_THAT(dead[0].letter.detail, HasSubstr("signal 11 (SIGSEGV)"));

  EXPECT_THAT(scene.lovage({"dlq", "list"}).out, AllOf(HasSubstr(bad.id()), HasSubstr("poison")));
  std::ofstream(scene.path("mended")) << "yes";
  const auto retried = scene.lovage({"dlq", "retry", bad.id(), "--json"});
  ASSERT_EQ(retried.code, 0) << retried.err;
  const Value sent = from_json(retried.out);
  const std::string again = *sent.find("sent")->if_array()->at(0).find("id")->if_string();
  EXPECT_TRUE(scene.wait_lines("crashes", 4));
  EXPECT_TRUE(scene.wait_queue([](const auto& queue) { return queue.ready + queue.reserved + queue.scheduled == 0; }));
  EXPECT_EQ(scene.app().result(again).state(), "SUCCESS");
  EXPECT_EQ(bad.state(), "FAILURE") << "a result does not change its mind";
  EXPECT_TRUE(scene.dead_letters().empty());
}

INSTANTIATE_TEST_SUITE_P(, Poison, testing::Combine(testing::Values(Engine::redis, Engine::sqlite), testing::Bool()),
                         [](const auto& made) {
                           return name_of(std::get<0>(made.param)) + (std::get<1>(made.param) ? "_restarted" : "");
                         });

}  // namespace
}  // namespace lovage::fault
