#include "net/dial.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lovage::net {
namespace {

void set_option(int fd, int level, int name, int value) {
  // Tuning only: a kernel that refuses it still gives a working connection.
  ::setsockopt(fd, level, name, &value, sizeof(value));
}

void tune_tcp(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

Result<Address> unix_address(const std::string& path) {
  Address address;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) return fail(Errc::misconfigured, "socket path '" + path + "' is too long");
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  std::memcpy(&address.storage, &name, sizeof(name));
  address.size = sizeof(name);
  return address;
}

Failure timed_out(const std::string& what) {
  return Failure{Errc::timed_out, what + " timed out"};
}

}  // namespace

bool block_on(const Wait& wait, Deadline deadline) noexcept {
  const Deadline until = deadline.or_earlier(wait.until);
  pollfd entry{wait.fd, static_cast<short>(wait.want == Want::writable ? POLLOUT : POLLIN), 0};
  while (true) {
    const int n = ::poll(&entry, 1, until.poll_timeout());
    if (n > 0) return true;
    if (n == 0 && until.passed()) return false;
    if (n < 0 && errno != EINTR) return false;
  }
}

Dial::Dial(Endpoint endpoint, Deadline deadline) : endpoint_(std::move(endpoint)), deadline_(deadline) {
  if (endpoint_.unix_path.empty()) resolution_.emplace(endpoint_.host, endpoint_.port);
}

Result<std::optional<Socket>> Dial::advance() {
  if (step_ == Step::resolve) {
    const auto done = resolved();
    if (!done) return tl::unexpected(done.error());
    if (!*done) return std::nullopt;
  }
  if (step_ == Step::connect) {
    const auto done = connected();
    if (!done) return tl::unexpected(done.error());
    if (!*done) return std::nullopt;
  }
  const auto done = secured();
  if (!done) return tl::unexpected(done.error());
  if (!*done) return std::nullopt;
  return std::exchange(socket_, std::nullopt);
}

Result<bool> Dial::resolved() {
  if (!endpoint_.unix_path.empty()) {
    const auto address = unix_address(endpoint_.unix_path);
    if (!address) return tl::unexpected(address.error());
    addresses_ = {*address};
  } else {
    if (!resolution_->ready()) {
      if (deadline_.passed())
        return tl::unexpected(Failure{Errc::timed_out, "host '" + endpoint_.host + "' could not be resolved in time"});
      wait_ = Wait{resolution_->fd(), Want::readable, deadline_};
      return false;
    }
    auto answer = resolution_->take();
    resolution_.reset();
    if (!answer) return tl::unexpected(answer.error());
    addresses_ = std::move(*answer);
    std::reverse(addresses_.begin(), addresses_.end());
  }
  step_ = Step::connect;
  return true;
}

// Opens a socket to the next address; the kernel connects in the background.
Result<void> Dial::start_next_address() {
  const Address address = addresses_.back();
  // Each address gets its share of the time: one that answers nothing must not use up the others'.
  const auto left = static_cast<Duration::rep>(addresses_.size());
  address_deadline_ = deadline_.is_never() ? deadline_ : Deadline::after(deadline_.remaining() / left);
  addresses_.pop_back();
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(Errc::unavailable, std::strerror(errno));
  if (address.storage.ss_family != AF_UNIX) tune_tcp(fd.get());
  // EAGAIN is a unix socket whose backlog is full: nothing announces room, so it is a failure.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno != EINPROGRESS && errno != EINTR) {
    return fail(Errc::unavailable, std::strerror(errno));
  }
  socket_.emplace(std::move(fd));
  return {};
}

Result<bool> Dial::connected() {
  Failure last = timed_out("connection");
  while (true) {
    if (socket_) {
      pollfd entry{socket_->fd(), POLLOUT, 0};
      if (::poll(&entry, 1, 0) > 0) {
        int error = 0;
        socklen_t size = sizeof(error);
        ::getsockopt(socket_->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) break;
        last = Failure{Errc::unavailable, std::strerror(error)};
        socket_.reset();
      } else if (!address_deadline_.passed()) {
        wait_ = Wait{socket_->fd(), Want::writable, address_deadline_};
        return false;
      } else {
        last = timed_out("connection");
        socket_.reset();
      }
    }
    if (addresses_.empty()) return tl::unexpected(last);
    if (auto started = start_next_address(); !started) last = started.error();
  }
  if (endpoint_.tls) {
    if (auto started = socket_->start_tls(*endpoint_.tls, endpoint_.host); !started)
      return tl::unexpected(started.error());
  }
  step_ = Step::secure;
  return true;
}

Result<bool> Dial::secured() {
  if (!endpoint_.tls) return true;
  const auto want = socket_->handshake();
  if (!want) return tl::unexpected(want.error());
  if (*want == Want::nothing) return true;
  if (deadline_.passed()) return tl::unexpected(timed_out("TLS handshake"));
  wait_ = Wait{socket_->fd(), *want, deadline_};
  return false;
}

}  // namespace lovage::net
