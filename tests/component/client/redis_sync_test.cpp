#include "client/redis_sync.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "support/event_waiter.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_gate.hpp"

namespace lovage::client {
namespace {

using namespace std::chrono_literals;
using test::RedisServer;
using test::TcpGate;

Deadline soon() {
  return Deadline::after(test::kPatience);
}

RedisOptions options_of(const std::string& url) {
  auto options = redis_options_from_url(url);
  EXPECT_TRUE(options) << options.error().message;
  return options.value_or(RedisOptions{});
}

std::unique_ptr<RedisSync> connect(const std::string& url) {
  auto connection = RedisSync::connect(options_of(url), soon());
  EXPECT_TRUE(connection) << connection.error().message;
  return connection ? std::move(*connection) : nullptr;
}

TEST(RedisSync, SendsCommandsAndReadsReplies) {
  const RedisServer server;
  const auto redis = connect(server.url(3));
  ASSERT_TRUE(redis->command({"SET", "key", "value"}, soon()));
  EXPECT_EQ(redis->command({"GET", "key"}, soon())->text, "value");
  EXPECT_EQ(server.command({"GET", "key"}, 3).text, "value");  // the database of the URL
  EXPECT_TRUE(redis->command({"GET", "none"}, soon())->is_nil());
}

TEST(RedisSync, StaysUsableAfterARefusal) {
  const RedisServer server;
  const auto redis = connect(server.url());
  const auto refused = redis->command({"INCR"}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_TRUE(redis->usable());
  EXPECT_EQ(redis->command({"PING"}, soon())->text, "PONG");
}

TEST(RedisSync, PipelinesWithErrorsAmongTheReplies) {
  const RedisServer server;
  const auto redis = connect(server.url());
  std::string bytes;
  append_command(bytes, {"SET", "n", "x"});
  append_command(bytes, {"INCR", "n"});
  append_command(bytes, {"GET", "n"});
  const auto replies = redis->pipeline(bytes, 3, soon());
  ASSERT_TRUE(replies) << replies.error().message;
  EXPECT_EQ((*replies)[0].text, "OK");
  EXPECT_TRUE((*replies)[1].is_error());
  EXPECT_EQ((*replies)[2].text, "x");
}

TEST(RedisSync, MovesMoreThanTheSocketBuffersHold) {
  const RedisServer server;
  const auto redis = connect(server.url());
  const std::string big(32 * 1024 * 1024, 'x');
  ASSERT_TRUE(redis->command({"SET", "big", big}, soon()));
  const auto back = redis->command({"GET", "big"}, soon());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->text == big);
}

TEST(RedisSync, SaysWhereItCannotConnect) {
  const auto port = std::to_string(test::free_port());
  const auto refused = RedisSync::connect(options_of("redis://:secret@127.0.0.1:" + port + "/0"), soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(refused.error().message, "cannot connect to redis://:**@127.0.0.1:" + port + "/0: Connection refused");
  const auto missing = RedisSync::connect(options_of("redis+socket:///nowhere/redis.sock"), soon());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "cannot connect to redis+socket:///nowhere/redis.sock: No such file or directory");
  const auto unknown = RedisSync::connect(options_of("redis://host.invalid"), soon());
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("cannot resolve host 'host.invalid'"), std::string::npos)
      << unknown.error().message;
}

TEST(RedisSync, SaysThatThePasswordIsWrongOrMissing) {
  const RedisServer server({.arguments = {"--requirepass", "right"}});
  EXPECT_EQ(connect(server.url())->command({"PING"}, soon())->text, "PONG");
  const auto where = "127.0.0.1:" + std::to_string(server.port());
  const auto wrong = RedisSync::connect(options_of("redis://:topsecret@" + where), soon());
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::refused);
  EXPECT_EQ(wrong.error().message, "cannot connect to redis://:**@" + where +
                                       ": WRONGPASS invalid username-password pair or user is disabled.");
  const auto missing = RedisSync::connect(options_of("redis://" + where), soon());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "cannot connect to redis://" + where + ": NOAUTH Authentication required.");
  const auto user = RedisSync::connect(options_of("redis://default:right@" + where), soon());
  EXPECT_TRUE(user);
}

TEST(RedisSync, HidesAPasswordThatTheServerRepeats) {
  const RedisServer server({.arguments = {"--rename-command", "AUTH", ""}});
  const auto connection =
      RedisSync::connect(options_of("redis://:topsecret@127.0.0.1:" + std::to_string(server.port())), soon());
  ASSERT_FALSE(connection);
  EXPECT_NE(connection.error().message.find("unknown command 'AUTH'"), std::string::npos);
  EXPECT_EQ(connection.error().message.find("topsecret"), std::string::npos) << connection.error().message;
}

TEST(RedisSync, KeepsDeadlines) {
  RedisServer server;
  TcpGate gate(server.port());
  const auto redis = connect(server.url_at(gate.port()));
  gate.hold(TcpGate::Direction::to_client);
  const auto late = redis->command({"PING"}, Deadline::after(20ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::uncertain);  // it was written
  EXPECT_FALSE(redis->usable());
  EXPECT_EQ(redis->command({"PING"}, soon()).error().code, Errc::unavailable);
  // The gate accepts, and the server's greeting never comes.
  const auto silent = RedisSync::connect(options_of(server.url_at(gate.port())), Deadline::after(20ms));
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, Errc::timed_out);
}

TEST(RedisSync, CallsACommandCutOffAtAnyByteUncertain) {
  const RedisServer server;
  TcpGate gate(server.port());
  std::string request;
  append_command(request, {"INCR", "n"});
  const auto reply_size = std::string(":1\r\n").size();
  for (std::size_t n = 0; n < request.size() + reply_size; ++n) {
    const auto redis = connect(server.url_at(gate.port()));
    server.command({"DEL", "n"});
    const bool before = n < request.size();
    gate.truncate(before ? TcpGate::Direction::to_server : TcpGate::Direction::to_client,
                  before ? n : n - request.size());
    const auto reply = redis->command({"INCR", "n"}, soon());
    ASSERT_FALSE(reply) << n;
    EXPECT_EQ(reply.error().code, Errc::uncertain) << n;
    EXPECT_FALSE(redis->usable());
    EXPECT_EQ(server.command({"GET", "n"}).is_nil(), before) << n;  // the gate cuts where it says
  }
}

TEST(RedisSync, ReadsMessagesOfASubscription) {
  const RedisServer server;
  const auto redis = connect(server.url());
  std::string bytes;
  append_command(bytes, {"SUBSCRIBE", "channel"});
  ASSERT_TRUE(redis->write(bytes, soon()));
  ASSERT_EQ((**redis->read(soon())).items[0].text, "subscribe");
  server.command({"PUBLISH", "channel", "hello"});
  ASSERT_EQ((**redis->read(soon())).items[2].text, "hello");
  const auto nothing = redis->read(Deadline::after(5ms));
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(*nothing);
  EXPECT_TRUE(redis->usable());
}

TEST(RedisSync, IsRetiredByAReplica) {
  const RedisServer server;
  const auto redis = connect(server.url());
  server.command({"REPLICAOF", "127.0.0.1", "1"});
  const auto refused = redis->command({"SET", "a", "b"}, soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::server_busy);
  EXPECT_FALSE(redis->usable());
}

TEST(RedisPool, ReusesConnectionsAndBoundsTheIdleOnes) {
  const RedisServer server;
  RedisPool pool(options_of(server.url()), 2);
  int first = -1;
  {
    auto lease = pool.take(soon());
    ASSERT_TRUE(lease);
    first = (*lease)->fd();
  }
  {
    auto again = pool.take(soon());
    ASSERT_TRUE(again);
    EXPECT_EQ((*again)->fd(), first);
    auto second = pool.take(soon());
    auto third = pool.take(soon());
    EXPECT_EQ((*third)->command({"PING"}, soon())->text, "PONG");
  }
  const auto clients = server.command({"CLIENT", "LIST", "TYPE", "normal"}).text;
  EXPECT_LE(std::count(clients.begin(), clients.end(), '\n'), 3);  // two idle ones, and the one that asks
}

TEST(RedisPool, DropsConnectionsThatTheServerClosed) {
  const RedisServer server;
  RedisPool pool(options_of(server.url()));
  ASSERT_TRUE(pool.take(soon()));
  server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  auto lease = pool.take(soon());
  ASSERT_TRUE(lease);
  EXPECT_EQ((*lease)->command({"PING"}, soon())->text, "PONG");
}

TEST(RedisPool, ServesThreads) {
  const RedisServer server;
  RedisPool pool(options_of(server.url()), 3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto lease = pool.take(soon());
        ASSERT_TRUE(lease) << lease.error().message;
        ASSERT_TRUE((*lease)->command({"INCR", "n"}, soon()));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(server.command({"GET", "n"}).text, "400");
}

// Runs `body` in a forked child; its exit code.
template <class Body>
int in_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void expect_fork_safe(const std::string& url) {
  RedisPool pool(options_of(url));
  ASSERT_TRUE(pool.take(soon()));  // one idle connection
  auto held = pool.take(soon());   // ... which this takes, and another idle one
  ASSERT_TRUE(held);
  ASSERT_TRUE(pool.take(soon()));
  const auto parents = (*held)->command({"CLIENT", "ID"}, soon())->integer;
  const int code = in_child([&] {
    if ((*held)->usable()) return 1;
    auto lease = pool.take(soon());
    if (!lease) return 2;
    const auto id = (*lease)->command({"CLIENT", "ID"}, soon());
    if (!id) return 3;
    if (id->integer <= parents + 1) return 4;  // ids grow: ours is newer than all of the parent's
    { const auto drop = std::move(*held); }    // does not come back into the pool, says nothing to the server
    return 0;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ((*held)->command({"CLIENT", "ID"}, soon())->integer, parents);
  auto idle = pool.take(soon());
  ASSERT_TRUE(idle);
  EXPECT_EQ((*idle)->command({"CLIENT", "ID"}, soon())->integer, parents + 1);
}

TEST(RedisPool, LeavesTheParentsConnectionsAloneInAForkedChild) {
  const RedisServer server;
  expect_fork_safe(server.url());
}

TEST(RedisPool, LeavesTheParentsTlsConnectionsAloneInAForkedChild) {
  const RedisServer server({.tls = true});
  expect_fork_safe(server.url());
}

// At each fork some thread may be inside the pool.
TEST(RedisPool, IsOfUseToChildrenForkedWhileThreadsUseIt) {
  const RedisServer server;
  RedisPool pool(options_of(server.url()), 2);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        auto lease = pool.take(soon());
        if (lease) static_cast<void>((*lease)->usable());
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const int code = in_child([&] {
      ::alarm(20);  // a child that hangs must not hang the test
      auto lease = pool.take(soon());
      return lease && (*lease)->command({"PING"}, soon()) ? 0 : 1;
    });
    EXPECT_EQ(code, 0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace lovage::client
