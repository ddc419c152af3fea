// Threads that wait for results share one subscription: what befalls one must not hold up the others.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "backend/redis/redis_backend.hpp"
#include "client/redis_reply.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_gate.hpp"

namespace lovage::backend::redis {
namespace {

using namespace std::chrono_literals;
using test::RedisServer;
using test::TcpGate;

std::string key_of(const std::string& id) {
  return "celery-task-meta-" + id;
}

std::string meta_of(const std::string& id) {
  return R"({"status": "SUCCESS", "result": 1, "traceback": null, "children": [], "date_done": null, "task_id": ")" +
         id + "\"}";
}

RedisBackend backend_at(const std::string& url) {
  RedisBackendOptions options;
  options.redis = client::redis_options_from_url(url).value();
  return RedisBackend(std::move(options));
}

std::future<std::string> wait_for(RedisBackend& backend, const std::string& id) {
  return std::async(std::launch::async, [&backend, id]() -> std::string {
    const auto meta = backend.wait(id, Deadline::after(60s));
    if (!meta) return "failed: " + meta.error().message;
    return meta->value_or("none");
  });
}

// The server tells nobody of this, so it is asked again and again.
bool wait_info(const RedisServer& server, const std::string& section, const std::string& text) {
  const Deadline deadline = Deadline::after(20s);
  while (server.info(section).find(text) == std::string::npos) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// `then` within the time that a healthy server takes, far less than the waiter's patience.
void expect_soon(std::future<std::string>& waiting, const std::string& meta) {
  ASSERT_EQ(waiting.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(waiting.get(), meta);
}

TEST(ResultWaiter, LooksAgainWhenTheServerRefusedTheLook) {
  const RedisServer server;
  auto backend = backend_at(server.url());
  server.command({"ACL", "SETUSER", "default", "-get"});
  auto waiting = wait_for(backend, "a");
  ASSERT_TRUE(wait_info(server, "errorstats", "errorstat_NOPERM"));
  // Stored before the subscription, as far as the waiter can know: nobody will publish it.
  server.command({"SET", key_of("a"), meta_of("a")});
  server.command({"ACL", "SETUSER", "default", "+get"});
  expect_soon(waiting, meta_of("a"));
}

TEST(ResultWaiter, TellsWhyTheLookIsRefusedWhenItsTimeIsOver) {
  const RedisServer server;
  auto backend = backend_at(server.url());
  server.command({"LPUSH", key_of("a"), "no result"});
  const auto meta = backend.wait("a", Deadline::after(500ms));
  ASSERT_FALSE(meta);
  EXPECT_NE(meta.error().message.find("WRONGTYPE"), std::string::npos) << meta.error().message;
}

TEST(ResultWaiter, LooksAndSubscribesInOneStep) {
  const RedisServer server;
  auto backend = backend_at(server.url());
  auto waiting = wait_for(backend, "a");
  ASSERT_TRUE(wait_info(server, "commandstats", "cmdstat_exec:"));
  server.command({"PUBLISH", key_of("a"), meta_of("a")});
  expect_soon(waiting, meta_of("a"));
  server.command({"SET", key_of("b"), meta_of("b")});  // published before anybody listened
  auto late = wait_for(backend, "b");
  expect_soon(late, meta_of("b"));
}

// The goodbye may be held back a moment for what follows: it leaves all the same where nothing does.
TEST(ResultWaiter, SubscribesToNothingOnceNobodyWaits) {
  const RedisServer server;
  auto backend = backend_at(server.url());
  auto waiting = wait_for(backend, "a");
  ASSERT_TRUE(wait_info(server, "commandstats", "cmdstat_exec:"));
  server.command({"PUBLISH", key_of("a"), meta_of("a")});
  expect_soon(waiting, meta_of("a"));
  ASSERT_TRUE(wait_info(server, "commandstats", "cmdstat_unsubscribe:calls=1,"));
  EXPECT_TRUE(server.command({"PUBSUB", "CHANNELS"}).items.empty());
}

TEST(ResultWaiter, BesideAnotherOneAGetFollowsTheSubscription) {
  const RedisServer server;
  auto backend = backend_at(server.url());
  auto first = wait_for(backend, "a");
  ASSERT_TRUE(wait_info(server, "commandstats", "cmdstat_exec:"));
  server.command({"SET", key_of("b"), meta_of("b")});
  auto second = wait_for(backend, "b");
  expect_soon(second, meta_of("b"));
  EXPECT_NE(server.info("commandstats").find("cmdstat_exec:calls=1,"), std::string::npos);
  server.command({"PUBLISH", key_of("a"), meta_of("a")});
  expect_soon(first, meta_of("a"));
}

TEST(ResultWaiter, DoesWithoutTransactionsWhereTheServerTakesNone) {
  const RedisServer server;
  server.command({"ACL", "SETUSER", "default", "-multi"});
  auto backend = backend_at(server.url());
  server.command({"SET", key_of("a"), meta_of("a")});
  auto stored = wait_for(backend, "a");
  expect_soon(stored, meta_of("a"));
  auto waiting = wait_for(backend, "b");
  const Deadline deadline = Deadline::after(20s);
  while (server.command({"PUBLISH", key_of("b"), meta_of("b")}).integer == 0) ASSERT_FALSE(deadline.passed());
  expect_soon(waiting, meta_of("b"));
}

TEST(ResultWaiter, WakesTheOneThatReadsForAllWhenAnotherFindsItsConnectionBroken) {
  const RedisServer server;
  TcpGate gate(server.port());
  auto backend = backend_at(server.url_at(gate.port()));
  auto reader = wait_for(backend, "a");
  ASSERT_TRUE(wait_info(server, "commandstats", "cmdstat_get:"));  // now it sleeps on the subscription

  // The subscription of "b" still passes, its look is cut off.
  std::string subscribe;
  client::append_command(subscribe, {"SUBSCRIBE", key_of("b")});
  gate.truncate(TcpGate::Direction::to_server, subscribe.size());
  auto other = wait_for(backend, "b");
  ASSERT_TRUE(gate.wait_cuts(1));
  for (const std::string id : {"a", "b"}) {
    server.command({"SET", key_of(id), meta_of(id)});
    server.command({"PUBLISH", key_of(id), meta_of(id)});
  }
  expect_soon(other, meta_of("b"));
  expect_soon(reader, meta_of("a"));
}

}  // namespace
}  // namespace lovage::backend::redis
