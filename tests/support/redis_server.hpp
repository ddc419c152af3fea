// A real redis-server of the test's own: a free loopback port or a unix socket, a temporary folder,
// stopped by its own pid.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/redis_options.hpp"
#include "client/redis_reply.hpp"
#include "net/child_process.hpp"
#include "support/temp_dir.hpp"

namespace lovage::test {

// A port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port();

class RedisServer {
 public:
  struct Options {
    bool unix_socket = false;                 // no TCP port at all
    bool tls = false;                         // a certificate for localhost and 127.0.0.1, made for this server
    std::vector<std::string> arguments = {};  // as on the command line: {"--appendonly", "yes"}
    bool sentinel = false;                    // redis-server --sentinel; `configuration` is its file
    std::string configuration = {};
  };

  // Returns when the server answers; throws when it does not.
  explicit RedisServer(Options options);
  RedisServer() : RedisServer(Options{}) {}
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  ~RedisServer();  // kills it

  void stop();    // SIGTERM; waits for its end
  void kill();    // SIGKILL; waits for its end
  void start();   // again, with the same port and data (persistence: give --appendonly yes)
  void pause();   // SIGSTOP: connections stay, nothing answers
  void resume();  // SIGCONT

  [[nodiscard]] std::string url(int db = 0) const;
  // The same, through another port of this machine (a gate).
  [[nodiscard]] std::string url_at(std::uint16_t port, int db = 0) const;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }  // 0 with a unix socket
  [[nodiscard]] pid_t pid() const noexcept { return child_->pid(); }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_.path(); }
  [[nodiscard]] std::filesystem::path ca_file() const { return folder_.path() / "tls.crt"; }

  // One command on a connection of its own, as an administrator would; throws on failures and error replies.
  client::RedisReply command(std::initializer_list<std::string_view> arguments, int db = 0) const;
  // INFO of one section: "name:value" lines.
  [[nodiscard]] std::string info(std::string_view section) const;

 private:
  [[nodiscard]] std::vector<std::string> command_line() const;
  void wait_until_ready();

  TempDir folder_;
  const Options options_;
  std::uint16_t port_ = 0;
  std::string password_;
  std::optional<net::ChildProcess> child_;
};

}  // namespace lovage::test
