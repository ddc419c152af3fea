// The server dies and comes back; connections break where the reply of a script is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include <lovage/error.hpp>

#include "fault/scene.hpp"
#include "support/event_waiter.hpp"
#include "support/tcp_gate.hpp"

namespace lovage::fault {
namespace {

using namespace std::chrono_literals;
using test::TcpGate;
using testing::ElementsAre;
using testing::HasSubstr;

// Sends without a pause until told to stop; remembers what the broker accepted for sure.
std::vector<std::string> send_all(Scene& scene, const std::stop_token& stop, test::Watched<int>& sent) {
  std::vector<std::string> ids;
  for (int number = 0; !stop.stop_requested(); ++number) {
    const std::string id = "task" + std::to_string(number);
    try {
      scene.send(id, 1ms);
      ids.push_back(id);
      sent.change([](int& n) { ++n; });
    } catch (const ConnectionError&) {  // refused, or its fate unknown: it is not counted
    }
  }
  return ids;
}

TEST(KilledServer, LosesNothingWithAnAppendOnlyFile) {
  Scene scene(Engine::redis, {.arguments = {"--appendonly", "yes", "--appendfsync", "always"}});
  const Worker one = scene.worker("one", {.arguments = {"-c", "2"}});
  const Worker two = scene.worker("two", {.arguments = {"-c", "2", "-P", "threads"}});
  test::Watched<int> sent(0);
  std::vector<std::string> ids;
  {
    std::jthread sender([&](const std::stop_token& stop) { ids = send_all(scene, stop, sent); });
    for (int kill = 0; kill < 3; ++kill) {
      const int before = sent.get();
      ASSERT_TRUE(sent.wait([&](int n) { return n >= before + 200; }));
      scene.redis().kill();
      scene.redis().start();
    }
    const int before = sent.get();
    ASSERT_TRUE(sent.wait([&](int n) { return n >= before + 50; }));
  }
  ASSERT_TRUE(scene.wait_queue([](const auto& queue) { return queue.ready + queue.reserved + queue.scheduled == 0; }));
  const auto started = scene.lines("started");
  const auto links = scene.run_callbacks();
  for (const auto& id : ids) {
    EXPECT_GE(count(started, id), 1U) << id;
    EXPECT_EQ(count(links, id), 1U) << id;
  }
  EXPECT_TRUE(scene.dead_letters().empty());
}

TEST(KilledServer, ComesBackEmpty) {
  Scene scene(Engine::redis);
  const Worker one = scene.worker("one", {.arguments = {"-c", "1"}});
  const Worker two = scene.worker("two", {.arguments = {"-c", "1", "-P", "threads"}});
  ASSERT_EQ(scene.send("before", 0ms).wait(30s), "SUCCESS");
  scene.send("running", 500ms);
  ASSERT_TRUE(scene.wait_lines("started", 2));
  scene.redis().kill();
  scene.redis().start();
  for (const std::string name : {"one", "two"})
    EXPECT_TRUE(scene.wait_log(name, "this worker was declared lost")) << name;
  // Messages and results went with the server: the audit names what was lost.
  for (const auto& id : scene.take_sent()) EXPECT_THAT(scene.audit({id}), HasSubstr("unexplained  " + id));
  std::vector<AsyncResult<>> results;
  for (int i = 0; i < 10; ++i) results.push_back(scene.send("after" + std::to_string(i), 10ms));
  for (const auto& result : results) EXPECT_EQ(result.wait(30s), "SUCCESS");
}

class LostReply : public testing::Test {
 protected:
  Scene scene_{Engine::redis};
  TcpGate gate_{scene_.redis().port()};
  Worker worker_ = scene_.worker("gated", {.broker_url = scene_.redis().url_at(gate_.port(), 0),
                                           .arguments = {"-c", "1", "--prefetch-multiplier", "1"},
                                           .lease = 6});

  // Afterwards it knows the way to the callbacks' queue and waits, with nothing under way but the waits.
  void SetUp() override {
    ASSERT_EQ(scene_.send("first", 0ms).wait(30s), "SUCCESS");
    ASSERT_TRUE(scene_.wait_queue([&](const auto& queue) {
      return queue.reserved == 0 && scene_.redis().info("clients").find("blocked_clients:4\r") != std::string::npos;
    }));
  }

  // What the server did stays done, and its replies never arrive.
  void lose_replies() {
    gate_.cut();
    gate_.pass();
  }

  std::int64_t reservations() {
    const auto keys = scene_.redis().command({"KEYS", "lovage:1:reserved:*"});
    std::int64_t sum = 0;
    for (const auto& key : keys.items) sum += scene_.redis().command({"HLEN", key.text}).integer;
    return sum;
  }
};

TEST_F(LostReply, OfTheReserve) {
  gate_.hold(TcpGate::Direction::to_client);
  const auto result = scene_.send("task", 1ms);
  // A wait brings it to the worker's inbox, a tick's reserve into its reservations: it hears of neither.
  ASSERT_TRUE(scene_.wait_queue([&](const auto&) { return reservations() == 1; }));
  lose_replies();
  EXPECT_EQ(result.wait(30s), "SUCCESS");
  ASSERT_TRUE(scene_.wait_queue([&](const auto& queue) { return queue.reserved == 0; }));
  EXPECT_THAT(scene_.lines("started"), ElementsAre("first", "task"));
  EXPECT_THAT(scene_.run_callbacks(), ElementsAre("first", "task"));
}

TEST_F(LostReply, OfTheSettle) {
  const auto result = scene_.send("task", 300ms);
  ASSERT_TRUE(scene_.wait_lines("started", 2));
  gate_.hold(TcpGate::Direction::to_client);
  ASSERT_EQ(result.wait(30s), "SUCCESS");
  lose_replies();
  const auto next = scene_.send("next", 1ms);
  EXPECT_TRUE(scene_.wait_lines("started", 3)) << scene_.log("gated");
  EXPECT_EQ(next.wait(30s), "SUCCESS");
  ASSERT_TRUE(scene_.wait_queue([&](const auto& queue) { return queue.reserved == 0; }));
  EXPECT_THAT(scene_.lines("started"), ElementsAre("first", "task", "next"));
  EXPECT_THAT(scene_.run_callbacks(), ElementsAre("first", "next", "task"));
}

}  // namespace
}  // namespace lovage::fault
