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
  redis.emplace(loop, RedisAsync::Options{.redis = options, .backoff = {}, .client_name = {}},
                RedisAsync::Events{.on_connected =
                                       [&] {
                                         redis->command({"SET", "key", big + "y"}, [](const Result<RedisReply>&) {});
                                         redis->command({"GET", "key"}, [&](Result<RedisReply> reply) {
                                           value = reply ? reply->text : reply.error().message;
                                         });
                                       },
                                   .on_disconnected = [&](const Failure& why, auto) { failure = why.message; },
                                   .on_message = {}});
  redis->connect();
  ASSERT_TRUE(run_until(loop, [&] { return value.has_value(); })) << failure;
  EXPECT_TRUE(*value == big + "y") << failure;
}

std::string failure_to_connect(const RedisOptions& options) {
  const auto connection = RedisSync::connect(options, soon());
  return connection ? "connected" : connection.error().message;
}

RedisServer::Options with_tls() {
  return {.unix_socket = false, .tls = true, .arguments = {}, .sentinel = false, .configuration = {}};
}

TEST(RedisServers, AreReachedThroughAUnixSocket) {
  const RedisServer server({.unix_socket = true,
                            .tls = false,
                            .arguments = {"--requirepass", "secret"},
                            .sentinel = false,
                            .configuration = {}});
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
  const RedisServer server(with_tls());
  auto options = options_of(server.url());
  options.hosts[0].first = "127.0.0.2";
  const auto failure = failure_to_connect(options);
  // 127.0.0.2 is bound by nobody unless the server listens everywhere.
  EXPECT_NE(failure, "connected");
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

}  // namespace
}  // namespace lovage::client
