// Ways to a server: TLS, unix sockets, fail-over lists, sentinels; blocking and on the loop.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "client/redis_async.hpp"
#include "client/redis_sync.hpp"
#include "net/loop.hpp"
#include "support/event_waiter.hpp"
#include "support/redis_server.hpp"

namespace lovage::client {
namespace {

using namespace std::chrono_literals;
using test::RedisServer;
using test::run_until;

Deadline soon() {
  return Deadline::after(test::kPatience);
}

RedisOptions options_of(const std::string& url) {
  auto options = redis_options_from_url(url);
  EXPECT_TRUE(options) << options.error().message;
  return options.value_or(RedisOptions{});
}

// Sets and reads back a value, first with a blocking connection, then on a loop.
void expect_works(const RedisOptions& options) {
  const auto sync = RedisSync::connect(options, soon());
  ASSERT_TRUE(sync) << sync.error().message;
  const std::string big(300'000, 'x');
  ASSERT_TRUE((*sync)->command({"SET", "key", big}, soon()));
  EXPECT_TRUE((*sync)->command({"GET", "key"}, soon())->text == big);

  net::Loop loop;
  std::optional<std::string> value;
  std::string failure;
  std::optional<RedisAsync> redis;
  redis.emplace(loop, RedisAsync::Options{.redis = options},
                RedisAsync::Events{.on_connected =
                                       [&] {
                                         redis->command({"SET", "key", big + "y"}, [](const Result<RedisReply>&) {});
                                         redis->command({"GET", "key"}, [&](Result<RedisReply> reply) {
                                           value = reply ? reply->text : reply.error().message;
                                         });
                                       },
                                   .on_disconnected = [&](const Failure& why, auto) { failure = why.message; }});
  redis->connect();
  ASSERT_TRUE(run_until(loop, [&] { return value.has_value(); })) << failure;
  EXPECT_TRUE(*value == big + "y") << failure;
}

std::string failure_to_connect(const RedisOptions& options) {
  const auto connection = RedisSync::connect(options, soon());
  return connection ? "connected" : connection.error().message;
}

RedisServer::Options with_tls() {
  return {.tls = true};
}

TEST(RedisServers, AreReachedThroughAUnixSocket) {
  const RedisServer server({.unix_socket = true, .arguments = {"--requirepass", "secret"}});
  expect_works(options_of(server.url(3)));
}

TEST(RedisServers, AreReachedThroughTls) {
  const RedisServer server(with_tls());
  expect_works(options_of(server.url()));
  auto named = options_of(server.url());
  named.hosts[0].first = "localhost";
  expect_works(named);
}

TEST(RedisServers, WithAnUnknownCertificateAreRefused) {
  const RedisServer server(with_tls());
  auto options = options_of(server.url());
  options.tls.ca_file.clear();
  EXPECT_NE(failure_to_connect(options).find("certificate is not trusted"), std::string::npos)
      << failure_to_connect(options);
  options.tls.verify = false;
  expect_works(options);
}

TEST(RedisServers, WithAnotherHostsCertificateAreRefused) {
  auto given = with_tls();
  given.arguments = {"--bind", "127.0.0.1", "127.0.0.2"};
  const RedisServer server(given);
  auto options = options_of(server.url());
  options.hosts[0].first = "127.0.0.2";
  EXPECT_NE(failure_to_connect(options).find("certificate is not trusted: IP address mismatch"), std::string::npos)
      << failure_to_connect(options);
  options.tls.check_hostname = false;
  expect_works(options);
}

TEST(RedisServers, TlsFilesThatAreMissingAreNamed) {
  auto options = options_of("rediss://127.0.0.1:1?ssl_ca_certs=/nowhere/ca.pem");
  const RedisServer server(with_tls());
  options.hosts[0].second = server.port();
  const auto connection = RedisSync::connect(options, soon());
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, Errc::misconfigured);
  EXPECT_NE(connection.error().message.find("'/nowhere/ca.pem'"), std::string::npos) << connection.error().message;
}

TEST(RedisServers, ThatSpeakNoTlsSayThatTheHandshakeFailed) {
  const RedisServer server;
  auto options = options_of("rediss://127.0.0.1:" + std::to_string(server.port()));
  options.connect_timeout = 100ms;  // the server waits for the end of what it takes for a command
  EXPECT_EQ(failure_to_connect(options), "cannot connect to " + options.display_url + ": TLS handshake timed out");
}

RedisServer::Options quick_to_replicate() {
  return {.arguments = {"--repl-diskless-sync-delay", "0"}};
}

// Copies `master`, and has caught up when this returns.
void replicate(const RedisServer& replica, const RedisServer& master) {
  replica.command({"REPLICAOF", "127.0.0.1", std::to_string(master.port())});
  master.command({"SET", "mark", "1"});
  ASSERT_EQ(master.command({"WAIT", "1", "20000"}).integer, 1);
}

TEST(RedisServers, OfAListAreTriedUntilOneIsAMaster) {
  const RedisServer master(quick_to_replicate());
  const RedisServer replica;
  replicate(replica, master);
  const auto dead = "redis://127.0.0.1:" + std::to_string(test::free_port());
  expect_works(options_of(dead + ";" + replica.url() + ";" + master.url()));
  EXPECT_EQ(failure_to_connect(options_of(dead + ";" + replica.url())),
            "cannot connect to " + dead + ";" + replica.url() + ": 127.0.0.1:" + std::to_string(replica.port()) +
                ": the server is no master");
}

RedisServer::Options sentinel_of(const RedisServer& master) {
  const auto port = std::to_string(master.port());
  return {.sentinel = true,
          .configuration = "sentinel monitor main 127.0.0.1 " + port + " 1\n" +
                           "sentinel down-after-milliseconds main 60000\nsentinel failover-timeout main 20000\n"};
}

TEST(RedisServers, AreFoundBySentinels) {
  const RedisServer master;
  const RedisServer sentinel(sentinel_of(master));
  const auto at = "sentinel://127.0.0.1:" + std::to_string(sentinel.port());
  const auto dead = "sentinel://127.0.0.1:" + std::to_string(test::free_port());
  expect_works(options_of(dead + "/1?master_name=main;" + at));
  EXPECT_EQ(master.command({"STRLEN", "key"}, 1).integer, 300'001);

  EXPECT_EQ(failure_to_connect(options_of(at + "?master_name=other")),
            "cannot connect to " + at + ": sentinel 127.0.0.1:" + std::to_string(sentinel.port()) +
                ": the sentinel knows no master named 'other'");
  EXPECT_NE(failure_to_connect(options_of(at)).find("master_name is not set"), std::string::npos);
}

TEST(RedisServers, AreFoundAgainAfterAFailOver) {
  const RedisServer master(quick_to_replicate());
  const RedisServer replica;
  replicate(replica, master);
  const RedisServer sentinel(sentinel_of(master));
  net::Loop loop;
  int connected = 0;
  std::optional<RedisAsync> redis;
  redis.emplace(loop,
                RedisAsync::Options{.redis = options_of("sentinel://127.0.0.1:" + std::to_string(sentinel.port()) +
                                                        "?master_name=main"),
                                    .backoff = {.base = 1ms, .cap = 50ms}},
                RedisAsync::Events{.on_connected = [&] { ++connected; }});
  redis->connect();
  ASSERT_TRUE(run_until(loop, [&] { return connected == 1; }));

  const auto admin = RedisSync::connect(options_of(sentinel.url()), soon());
  ASSERT_TRUE(admin);
  // It finds replicas within 10 s and demotes the old master after 8 s; Redis 7 can be told to hurry.
  static_cast<void>((*admin)->command({"SENTINEL", "DEBUG", "INFO-PERIOD", "100", "PUBLISH-PERIOD", "100"}, soon()));
  ASSERT_TRUE(run_until(loop, [&] { return (*admin)->command({"SENTINEL", "FAILOVER", "main"}, soon()).has_value(); }));
  bool written = false;
  ASSERT_TRUE(run_until(loop, [&] {
    redis->command({"SET", "after", "yes"}, [&](const Result<RedisReply>& reply) {
      written = written || (reply && !reply->is_error() && connected > 1);
    });
    return written;
  }));
  EXPECT_EQ(replica.command({"GET", "after"}).text, "yes");
}

}  // namespace
}  // namespace lovage::client
