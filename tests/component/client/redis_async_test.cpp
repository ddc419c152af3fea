#include "client/redis_async.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/fd.hpp"
#include "net/loop.hpp"
#include "support/event_waiter.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_gate.hpp"

namespace lovage::client {
namespace {

using namespace std::chrono_literals;
using test::RedisServer;
using test::run_until;
using test::TcpGate;

// A connection and what it told its owner.
struct Client {
  explicit Client(const std::string& url, std::chrono::milliseconds reply_timeout = 10s)
      : Client(make_options(url, reply_timeout)) {}
  explicit Client(RedisAsync::Options options) : redis(loop, std::move(options), make_events()) { redis.connect(); }

  static RedisAsync::Options make_options(const std::string& url, std::chrono::milliseconds reply_timeout) {
    auto options = redis_options_from_url(url);
    EXPECT_TRUE(options) << options.error().message;
    return {.redis = options.value_or(RedisOptions{}),
            .backoff = {.base = 1ms, .cap = 20ms},
            .reply_timeout = reply_timeout,
            .client_name = "lovage-test"};
  }

  RedisAsync::Events make_events() {
    return {.on_connected =
                [this] {
                  ++connected;
                  if (on_connected) on_connected();
                },
            .on_disconnected =
                [this](const Failure& why, std::chrono::milliseconds) {
                  ++lost;
                  last_failure = why;
                },
            .on_message = [this](RedisReply message) { messages.push_back(message.items.back().text); }};
  }

  [[nodiscard]] bool wait_connected(int times = 1) {
    return run_until(loop, [&] { return connected >= times && redis.connected(); });
  }

  // One command's outcome as text: the reply's, or "!" and the failure's code.
  void ask(std::initializer_list<std::string_view> arguments) {
    redis.command(arguments, [this](Result<RedisReply> reply) { outcomes.push_back(show(reply)); });
  }
  static std::string show(const Result<RedisReply>& reply) {
    if (!reply) return reply.error().code == Errc::uncertain ? "!uncertain" : "!unavailable";
    return reply->kind == RedisReply::Kind::integer ? std::to_string(reply->integer) : reply->text;
  }
  [[nodiscard]] bool wait_outcomes(std::size_t count) {
    return run_until(loop, [&] { return outcomes.size() >= count; });
  }

  net::Loop loop;
  int connected = 0;
  int lost = 0;
  Failure last_failure{};
  std::function<void()> on_connected;
  std::vector<std::string> outcomes;
  std::vector<std::string> messages;
  RedisAsync redis;
};

TEST(RedisAsync, MatchesRepliesInOrder) {
  const RedisServer server;
  Client client(server.url(2));
  ASSERT_TRUE(client.wait_connected());
  std::vector<std::string> expected;
  for (int i = 1; i <= 1000; ++i) {
    client.ask({"INCR", "n"});
    expected.push_back(std::to_string(i));
  }
  ASSERT_TRUE(client.wait_outcomes(1000));
  EXPECT_EQ(client.outcomes, expected);
  EXPECT_EQ(server.command({"GET", "n"}, 2).text, "1000");
}

TEST(RedisAsync, KnowsItsIdAndGivesItsName) {
  const RedisServer server;
  Client client(server.url());
  EXPECT_EQ(client.redis.client_id(), 0);
  ASSERT_TRUE(client.wait_connected());
  const auto list = server.command({"CLIENT", "LIST", "ID", std::to_string(client.redis.client_id())}).text;
  EXPECT_NE(list.find("name=lovage-test"), std::string::npos) << list;
}

TEST(RedisAsync, WritesOneTurnsCommandsAtOnce) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  const auto reads = [&] {
    const auto info = server.info("stats");
    const auto at = info.find("total_reads_processed:");
    return std::stoll(info.substr(at + std::string("total_reads_processed:").size()));
  };
  const auto own = [&] {  // what asking itself costs
    const auto before = reads();
    return reads() - before;
  }();
  const auto before = reads();
  // Two handlers of one turn.
  client.loop.post([&] {
    for (int i = 0; i < 50; ++i) client.ask({"INCR", "n"});
  });
  client.loop.post([&] {
    for (int i = 0; i < 50; ++i) client.ask({"INCR", "n"});
  });
  ASSERT_TRUE(client.wait_outcomes(100));
  EXPECT_EQ(reads() - before - own, 1);
}

TEST(RedisAsync, PipelinesPreparedCommands) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  std::string bytes;
  append_command(bytes, {"SET", "k", "v"});
  append_command(bytes, {"INCR", "k"});
  append_command(bytes, {"GET", "k"});
  std::vector<std::string> seen;
  client.ask({"PING"});
  client.redis.pipeline(bytes, 3, [&](Result<std::vector<RedisReply>> replies) {
    ASSERT_TRUE(replies);
    for (const auto& reply : *replies) seen.push_back(reply.text.substr(0, 3));
  });
  client.ask({"ECHO", "last"});
  ASSERT_TRUE(client.wait_outcomes(2));
  EXPECT_EQ(seen, (std::vector<std::string>{"OK", "ERR", "v"}));
  EXPECT_EQ(client.outcomes, (std::vector<std::string>{"PONG", "last"}));
}

TEST(RedisAsync, MovesMoreThanTheSocketBuffersHold) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  const std::string big(16 * 1024 * 1024, 'x');
  client.ask({"SET", "big", big});
  client.ask({"GET", "big"});
  client.ask({"STRLEN", "big"});
  ASSERT_TRUE(client.wait_outcomes(3));
  EXPECT_EQ(client.outcomes[0], "OK");
  EXPECT_TRUE(client.outcomes[1] == big);
  EXPECT_EQ(client.outcomes[2], std::to_string(big.size()));
}

TEST(RedisAsync, DeliversMessagesBetweenReplies) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  client.redis.command({"SUBSCRIBE", "channel"}, [](const Result<RedisReply>& reply) { EXPECT_TRUE(reply); });
  client.ask({"PING"});
  ASSERT_TRUE(run_until(client.loop, [&] { return !client.outcomes.empty(); }));
  server.command({"PUBLISH", "channel", "one"});
  server.command({"PUBLISH", "channel", "two"});
  ASSERT_TRUE(run_until(client.loop, [&] { return client.messages.size() == 2; }));
  EXPECT_EQ(client.messages, (std::vector<std::string>{"one", "two"}));
}

TEST(RedisAsync, FailsCommandsWhileThereIsNoConnection) {
  Client client("redis://127.0.0.1:" + std::to_string(test::free_port()));
  client.ask({"PING"});
  EXPECT_TRUE(client.outcomes.empty());  // later, never from within
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes, (std::vector<std::string>{"!unavailable"}));
}

TEST(RedisAsync, TriesUntilTheServerIsThere) {
  RedisServer server;
  server.stop();
  Client client(server.url());
  ASSERT_TRUE(run_until(client.loop, [&] { return client.lost >= 3; }));
  EXPECT_EQ(client.last_failure.message, "cannot connect to " + server.url() + ": Connection refused");
  server.start();
  ASSERT_TRUE(client.wait_connected());
}

TEST(RedisAsync, ConnectsAgainAfterAKilledServer) {
  RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  server.kill();
  ASSERT_TRUE(run_until(client.loop, [&] { return client.lost >= 1; }));
  server.start();
  ASSERT_TRUE(client.wait_connected(2));
  client.ask({"PING"});
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes.front(), "PONG");
}

// The conversation is cut at every byte, in either direction: each command gets exactly one outcome, one
// that is reported as unwritten has not been carried out, and the next connection works.
TEST(RedisAsync, SurvivesACutAtEveryByte) {
  const RedisServer server;
  TcpGate gate(server.port());
  std::string request;
  append_command(request, {"INCR", "n"});
  append_command(request, {"ECHO", "x"});
  const std::string reply = ":1\r\n$1\r\nx\r\n";
  Client client(server.url_at(gate.port()));
  for (std::size_t n = 0; n < request.size() + reply.size(); ++n) {
    SCOPED_TRACE(n);
    const bool before = n < request.size();
    ASSERT_TRUE(client.wait_connected(static_cast<int>(n) + 1));
    server.command({"DEL", "n"});
    client.outcomes.clear();
    gate.truncate(before ? TcpGate::Direction::to_server : TcpGate::Direction::to_client,
                  before ? n : n - request.size());
    client.ask({"INCR", "n"});
    client.ask({"ECHO", "x"});
    ASSERT_TRUE(run_until(client.loop, [&] { return client.lost == static_cast<int>(n) + 1; }));
    const bool first_came = !before && n - request.size() >= 4;
    EXPECT_EQ(client.outcomes, (std::vector<std::string>{first_came ? "1" : "!uncertain", "!uncertain"}));
  }
  ASSERT_TRUE(client.wait_connected(static_cast<int>(request.size() + reply.size()) + 1));
}

// The same for the greeting: whatever breaks off, the next attempt comes through.
TEST(RedisAsync, ConnectsThroughACutAtEveryByteOfTheGreeting) {
  const RedisServer server({.arguments = {"--requirepass", "secret"}});
  TcpGate gate(server.port());
  Client measured(server.url_at(gate.port(), 1));
  ASSERT_TRUE(measured.wait_connected());
  const auto greeting = gate.passed(TcpGate::Direction::to_server);
  const auto answer = gate.passed(TcpGate::Direction::to_client);
  ASSERT_GT(greeting, 50U);
  for (std::size_t n = 0; n < greeting + answer; ++n) {
    SCOPED_TRACE(n);
    const bool before = n < greeting;
    gate.truncate(before ? TcpGate::Direction::to_server : TcpGate::Direction::to_client, before ? n : n - greeting);
    Client client(server.url_at(gate.port(), 1));
    ASSERT_TRUE(client.wait_connected());
    EXPECT_EQ(client.lost, 1);
  }
}

TEST(RedisAsync, TellsUnwrittenCommandsFromUncertainOnes) {
  RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  server.pause();
  // More than the kernel takes: the second has not left when the server dies.
  const std::string big(64 * 1024 * 1024, 'x');
  client.ask({"SET", "big", big});
  client.ask({"PING"});
  client.loop.post([&] { server.kill(); });
  ASSERT_TRUE(client.wait_outcomes(2));
  EXPECT_EQ(client.outcomes, (std::vector<std::string>{"!uncertain", "!unavailable"}));
}

TEST(RedisAsync, GivesUpOnAServerThatDoesNotAnswer) {
  RedisServer server;
  Client client(server.url(), 30ms);
  ASSERT_TRUE(client.wait_connected());
  server.pause();
  client.ask({"PING"});
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes.front(), "!uncertain");
  EXPECT_NE(client.last_failure.message.find("no reply for 30 ms"), std::string::npos) << client.last_failure.message;
  server.resume();
  ASSERT_TRUE(client.wait_connected(2));
}

// Limits of a minute and more: what is not found by the second connection ends the test as a failure.
RedisAsync::Options suspicious(const std::string& url) {
  auto options = Client::make_options(url, 10min);
  options.suspect_after = 30ms;
  return options;
}

TEST(RedisAsync, ReplacesASwallowedConnectionByOneThatIsAnswered) {
  const RedisServer server;
  TcpGate gate(server.port());
  Client client(suspicious(server.url_at(gate.port())));
  ASSERT_TRUE(client.wait_connected());
  gate.swallow();
  client.ask({"PING"});
  client.ask({"PING"});
  ASSERT_TRUE(client.wait_outcomes(2));
  EXPECT_EQ(client.outcomes, (std::vector<std::string>{"!uncertain", "!uncertain"}));
  EXPECT_NE(client.last_failure.message.find("answers a new connection"), std::string::npos)
      << client.last_failure.message;
  ASSERT_TRUE(client.wait_connected(2));
  client.ask({"PING"});
  ASSERT_TRUE(client.wait_outcomes(3));
  EXPECT_EQ(client.outcomes.back(), "PONG");
  EXPECT_EQ(client.lost, 1);
}

TEST(RedisAsync, NoticesASwallowedConnectionThatItHasNothingToAsk) {
  const RedisServer server;
  TcpGate gate(server.port());
  auto options = suspicious(server.url_at(gate.port()));
  options.keepalive = 20ms;
  Client client(std::move(options));
  ASSERT_TRUE(client.wait_connected());
  gate.swallow();
  ASSERT_TRUE(client.wait_connected(2));
  EXPECT_EQ(client.lost, 1);
}

TEST(RedisAsync, MakesAnotherWhereOneIsSwallowedWhileItIsMade) {
  const RedisServer server;
  TcpGate gate(server.port());
  gate.hold(TcpGate::Direction::to_client);
  auto options = suspicious(server.url_at(gate.port()));
  options.redis.connect_timeout = 10min;
  Client client(std::move(options));
  ASSERT_TRUE(run_until(client.loop, [&] { return gate.passed(TcpGate::Direction::to_server) > 0; }));
  gate.swallow();
  gate.pass();
  ASSERT_TRUE(client.wait_connected());
  client.ask({"PING"});
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes.front(), "PONG");
  EXPECT_EQ(client.lost, 0);
}

TEST(RedisAsync, KeepsTheConnectionToAServerThatIsSlow) {
  RedisServer server;
  Client client(suspicious(server.url()));
  ASSERT_TRUE(client.wait_connected());
  server.pause();
  client.ask({"PING"});
  bool late = false;
  const auto timer = client.loop.after(300ms, [&] { late = true; });  // ten times as long as what is suspect
  ASSERT_TRUE(run_until(client.loop, [&] { return late; }));
  server.resume();
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes.front(), "PONG");
  EXPECT_EQ(client.lost, 0);
}

TEST(RedisAsync, LooksForTheMasterAgainWhenItsServerBecomesAReplica) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  server.command({"REPLICAOF", "127.0.0.1", "1"});
  client.ask({"SET", "a", "b"});
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_TRUE(client.outcomes.front().starts_with("READONLY")) << client.outcomes.front();
  ASSERT_TRUE(client.wait_connected(2));
  EXPECT_EQ(client.last_failure.code, Errc::server_busy);
}

TEST(RedisAsync, IsNotLostByAnUnblockThatWasAskedFor) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  client.ask({"BLPOP", "none", "0"});
  const auto id = std::to_string(client.redis.client_id());
  const auto unblock = client.loop.every(1ms, [&] { server.command({"CLIENT", "UNBLOCK", id, "ERROR"}); });
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_TRUE(client.outcomes.front().starts_with("UNBLOCKED")) << client.outcomes.front();
  EXPECT_EQ(client.lost, 0);
}

TEST(RedisAsync, CallsNoHandlerAfterClose) {
  const RedisServer server;
  Client client(server.url());
  ASSERT_TRUE(client.wait_connected());
  client.ask({"PING"});
  client.redis.close();
  client.ask({"PING"});  // asked of a closed connection: told so
  ASSERT_TRUE(client.wait_outcomes(1));
  EXPECT_EQ(client.outcomes, (std::vector<std::string>{"!unavailable"}));
  client.redis.connect();
  ASSERT_TRUE(client.wait_connected(2));
  EXPECT_EQ(client.outcomes.size(), 1U);
}

TEST(RedisAsync, MayBeClosedAndDestroyedByItsHandlers) {
  const RedisServer server;
  net::Loop loop;
  auto options = redis_options_from_url(server.url());
  ASSERT_TRUE(options);
  int calls = 0;
  std::unique_ptr<RedisAsync> redis;
  const auto count_and_destroy = [&](const Result<RedisReply>&) {
    ++calls;
    redis.reset();
    loop.stop();
  };
  redis = std::make_unique<RedisAsync>(loop, RedisAsync::Options{.redis = *options},
                                       RedisAsync::Events{.on_connected = [&] {
                                         redis->command({"PING"}, count_and_destroy);
                                         redis->command({"PING"}, count_and_destroy);
                                       }});
  redis->connect();
  loop.run();
  EXPECT_EQ(calls, 1);
}

// A server that answers the greeting as it should, and then says what it likes.
class Babbler {
 public:
  explicit Babbler(std::string after_greeting) : text_(std::move(after_greeting)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  Babbler(const Babbler&) = delete;
  Babbler& operator=(const Babbler&) = delete;
  ~Babbler() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept()
    thread_.join();
  }
  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }

 private:
  void serve() {
    while (true) {
      const net::Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      answer_next_request(client, "+PONG\r\n+OK\r\n:1\r\n");
      answer_next_request(client, text_);
    }
  }
  static void answer_next_request(const net::Fd& client, const std::string& answer) {
    std::array<char, 1024> request;
    if (::recv(client.get(), request.data(), request.size(), 0) <= 0) return;
    ::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  const std::string text_;
  net::Fd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(RedisAsync, LeavesAServerThatTalksNonsense) {
  for (const std::string text : {"HTTP/1.1 400 Bad Request\r\n", "+PONG\r\n+and another\r\n", "$99999999999\r\n"}) {
    SCOPED_TRACE(text);
    const Babbler server(text);
    Client client(server.url());
    ASSERT_TRUE(client.wait_connected());
    client.ask({"PING"});
    ASSERT_TRUE(client.wait_outcomes(1));
    ASSERT_TRUE(client.wait_connected(2));  // it tries again
    EXPECT_EQ(client.outcomes.front(), text.starts_with("+PONG") ? "PONG" : "!uncertain");
  }
}

}  // namespace
}  // namespace lovage::client
