#include "support/redis_server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>
#include <fstream>
#include <stdexcept>

#include "client/redis_sync.hpp"
#include "support/event_waiter.hpp"

namespace lovage::test {
namespace {

// Waits for the child's end, at most `milliseconds`.
bool ended(const net::ChildProcess& child, int milliseconds) {
  pollfd entry{child.pidfd(), POLLIN, 0};
  return ::poll(&entry, 1, milliseconds) > 0;
}

void make_certificate(const std::filesystem::path& folder) {
  const net::Fd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));  // openssl paints its progress
  auto child = net::ChildProcess::spawn(
      {.path = "/usr/bin/openssl",
       .argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-keyout", folder / "tls.key", "-out", folder / "tls.crt", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"},
       .fds = {{quiet.get(), 2}}});
  if (!child) throw std::runtime_error(child.error().message);
  if (!ended(*child, 20'000)) throw std::runtime_error("openssl does not end");
  const auto status = child->exit_status();
  if (!status || status->code != 0 || status->signal != 0)
    throw std::runtime_error("openssl cannot make a certificate");
}

}  // namespace

std::uint16_t free_port() {
  const net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

RedisServer::RedisServer(Options options) : options_(std::move(options)) {
  if (!options_.unix_socket) port_ = free_port();
  for (std::size_t i = 0; i + 1 < options_.arguments.size(); ++i) {
    if (options_.arguments[i] == "--requirepass") password_ = options_.arguments[i + 1];
  }
  if (options_.tls) make_certificate(folder_.path());
  if (options_.sentinel) std::ofstream(folder_.path() / "sentinel.conf") << options_.configuration << '\n';
  start();
}

RedisServer::~RedisServer() = default;  // the child dies with its object

std::vector<std::string> RedisServer::command_line() const {
  // Should the test be killed, its server goes with it.
  std::vector<std::string> argv{"setpriv", "--pdeathsig", "KILL", "/usr/bin/redis-server"};
  if (options_.sentinel) argv.insert(argv.end(), {folder_.path() / "sentinel.conf", "--sentinel"});
  argv.insert(argv.end(), {"--bind", "127.0.0.1", "--dir", folder_.path(), "--logfile", folder_.path() / "redis.log"});
  if (!options_.sentinel) argv.insert(argv.end(), {"--save", ""});
  const auto port = std::to_string(port_);
  if (options_.unix_socket) {
    argv.insert(argv.end(), {"--port", "0", "--unixsocket", folder_.path() / "redis.sock"});
  } else if (options_.tls) {
    argv.insert(argv.end(), {"--port", "0", "--tls-port", port, "--tls-cert-file", folder_.path() / "tls.crt",
                             "--tls-key-file", folder_.path() / "tls.key", "--tls-ca-cert-file",
                             folder_.path() / "tls.crt", "--tls-auth-clients", "no"});
  } else {
    argv.insert(argv.end(), {"--port", port});
  }
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  return argv;
}

void RedisServer::start() {
  auto child = net::ChildProcess::spawn({.path = "/usr/bin/setpriv", .argv = command_line()});
  if (!child) throw std::runtime_error(child.error().message);
  child_.emplace(std::move(*child));
  wait_until_ready();
}

void RedisServer::wait_until_ready() {
  const auto options = client::redis_options_from_url(url());
  if (!options) throw std::runtime_error(options.error().message);
  const auto deadline = Deadline::after(kPatience);
  while (true) {
    const auto connection = client::RedisSync::connect(*options, deadline);
    if (connection) return;
    // A server that is not there yet announces itself in no way: ask again, unless it has died.
    if (ended(*child_, 5))
      throw std::runtime_error("redis-server ended: see its arguments; " + connection.error().message);
    if (deadline.passed()) throw std::runtime_error("redis-server does not answer: " + connection.error().message);
  }
}

void RedisServer::stop() {
  child_->kill(SIGTERM);
  if (!ended(*child_, 20'000)) throw std::runtime_error("redis-server does not stop");
  child_->exit_status();
}

void RedisServer::kill() {
  child_->kill(SIGKILL);
  if (!ended(*child_, 20'000)) throw std::runtime_error("redis-server does not die");
  child_->exit_status();
}

void RedisServer::pause() {
  child_->kill(SIGSTOP);
}

void RedisServer::resume() {
  child_->kill(SIGCONT);
}

std::string RedisServer::url(int db) const {
  return url_at(port_, db);
}

std::string RedisServer::url_at(std::uint16_t port, int db) const {
  const std::string who = password_.empty() ? "" : ":" + password_ + "@";
  if (options_.unix_socket) {
    return "redis+socket://" + who + (folder_.path() / "redis.sock").string() + "?virtual_host=" + std::to_string(db);
  }
  const std::string where = who + "127.0.0.1:" + std::to_string(port) + "/" + std::to_string(db);
  return options_.tls ? "rediss://" + where + "?ssl_ca_certs=" + ca_file().string() : "redis://" + where;
}

client::RedisReply RedisServer::command(std::initializer_list<std::string_view> arguments, int db) const {
  const auto options = client::redis_options_from_url(url(db));
  if (!options) throw std::runtime_error(options.error().message);
  const auto deadline = Deadline::after(kPatience);
  const auto connection = client::RedisSync::connect(*options, deadline);
  if (!connection) throw std::runtime_error(connection.error().message);
  auto reply = (*connection)->command(arguments, deadline);
  if (!reply) throw std::runtime_error(reply.error().message);
  return std::move(*reply);
}

std::string RedisServer::info(std::string_view section) const {
  return command({"INFO", section}).text;
}

}  // namespace lovage::test
