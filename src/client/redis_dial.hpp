// Making a connection to Redis, step by step and without blocking: where is the server (sentinels, or
// a list to try), connect, TLS, AUTH, SELECT, and is it a master. One set of steps for blocking
// connections and for those on the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_options.hpp"
#include "client/redis_reply.hpp"
#include "net/dial.hpp"

namespace lovage::client {

// Connects, writes one request, reads its replies.
class RedisExchange {
 public:
  RedisExchange(net::Endpoint endpoint, std::string request, std::size_t replies, Deadline deadline);
  // True: all replies are there. False: call again when wait() is over.
  Result<bool> advance();
  [[nodiscard]] net::Wait wait() const noexcept { return wait_; }
  [[nodiscard]] const std::vector<RedisReply>& replies() const noexcept { return replies_; }
  // The connection, for what comes next; once.
  net::Socket take_socket() { return std::move(*socket_); }

 private:
  Result<bool> write();
  Result<bool> read();
  Result<bool> take_replies();  // that were read; true: all are there
  bool must_wait(net::Want want);

  net::Dial dial_;
  const std::string request_;
  const std::size_t expected_;
  const Deadline deadline_;
  net::Wait wait_;
  std::optional<net::Socket> socket_;
  std::size_t sent_ = 0;
  RedisReader reader_;
  std::vector<RedisReply> replies_;
};

struct DialedRedis {
  net::Socket socket;
  std::int64_t client_id = 0;
};

class RedisDial {
 public:
  RedisDial(RedisOptions options, std::string client_name, Deadline deadline);
  // A connection that is ready for commands; or nothing: call again when wait() is over. Failures are
  // final: "cannot connect to redis://:**@host:6379/0: Connection refused".
  Result<std::optional<DialedRedis>> advance();
  [[nodiscard]] net::Wait wait() const noexcept { return exchange_->wait(); }

 private:
  void start_candidate();
  void ask_sentinel(const std::string& host, std::uint16_t port);
  void greet_server(net::Endpoint endpoint);
  Result<void> take_master_address();
  Result<DialedRedis> take_greeting();
  [[nodiscard]] std::optional<net::TlsOptions> tls() const;
  [[nodiscard]] bool role_matters() const noexcept { return options_.sentinel || options_.hosts.size() > 1; }
  [[nodiscard]] Failure described(const Failure& why) const;

  const RedisOptions options_;
  const std::string client_name_;
  const Deadline deadline_;
  Deadline candidate_deadline_ = Deadline::never();
  std::size_t candidate_ = 0;  // of options_.hosts
  bool asking_sentinel_ = false;
  std::vector<std::string> greeting_;  // names of the commands of the greeting, in order
  std::optional<RedisExchange> exchange_;
};

}  // namespace lovage::client
