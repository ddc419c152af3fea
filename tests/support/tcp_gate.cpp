#include "support/tcp_gate.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "net/fd.hpp"
#include "support/event_waiter.hpp"

namespace lovage::test {
namespace {

using net::Fd;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

Fd listen_on_loopback() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(0);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd.get(), 64) != 0) {
    throw std::runtime_error("the gate cannot listen");
  }
  return fd;
}

void send_at_once(const Fd& fd) {
  const int one = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

// One direction of one connection.
struct Pipe {
  int from = -1;
  int to = -1;
  std::optional<Monotonic> due;  // when the bytes that wait at `from` may pass
};

struct Link {
  Fd client;
  Fd server;
  std::array<Pipe, 2> pipes;  // by Direction
  bool cut = false;
  bool swallowed = false;
};

}  // namespace

struct TcpGate::Impl {
  explicit Impl(std::uint16_t server) : server_port(server), listener(listen_on_loopback()) {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread = std::thread([this] { run(); });
  }

  ~Impl() {
    change([this] { stopping = true; });
    thread.join();
  }

  // Changes the rules, and wakes the thread to act on them.
  template <class How>
  void change(How&& how) {
    const std::lock_guard lock(mutex);
    how();
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(wake.get(), &one, sizeof(one));
  }

  void run() {
    std::vector<pollfd> entries;
    while (true) {
      int timeout = -1;
      {
        const std::lock_guard lock(mutex);
        if (stopping) return;
        timeout = list_waits(entries);
      }
      ::poll(entries.data(), entries.size(), timeout);
      const std::lock_guard lock(mutex);
      std::uint64_t ignored = 0;
      if (entries[0].revents != 0) [[maybe_unused]]
        const auto n = ::read(wake.get(), &ignored, sizeof(ignored));
      if (entries[1].revents != 0) accept();
      move_bytes(entries);
      links.remove_if([](const Link& link) { return link.cut; });
      changed.notify_all();
    }
  }

  // Each link has two entries, in the order of the list. Returns the timeout.
  int list_waits(std::vector<pollfd>& entries) {
    entries = {{wake.get(), POLLIN, 0}, {listener.get(), POLLIN, 0}};
    auto next = Deadline::never();
    for (const auto& link : links) {
      for (std::size_t i = 0; i < 2; ++i) {
        const bool waits = held[i] || link.pipes[i].due;
        entries.push_back({waits ? -1 : link.pipes[i].from, POLLIN, 0});
        if (link.pipes[i].due && !held[i]) next = next.or_earlier(Deadline::at(*link.pipes[i].due));
      }
    }
    return next.poll_timeout();
  }

  void accept() {
    Link link;
    link.client = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!link.client) return;
    ++connections;
    link.server = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = loopback(server_port);
    if (refusing || ::connect(link.server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      ++cuts;
      return;
    }
    send_at_once(link.client);
    send_at_once(link.server);
    link.pipes = {Pipe{link.client.get(), link.server.get(), {}}, Pipe{link.server.get(), link.client.get(), {}}};
    links.push_back(std::move(link));
  }

  void move_bytes(const std::vector<pollfd>& entries) {
    std::size_t entry = 2;
    for (auto& link : links) {
      if (entry + 1 >= entries.size()) return;  // accepted just now
      for (std::size_t i = 0; i < 2 && !link.cut; ++i) {
        auto& pipe = link.pipes[i];
        const bool due = pipe.due && std::chrono::steady_clock::now() >= *pipe.due;
        const bool ready = entries[entry + i].fd == pipe.from && entries[entry + i].revents != 0;
        if (held[i] || (!due && !ready)) continue;
        if (ready && delays[i].count() > 0) {
          pipe.due = std::chrono::steady_clock::now() + delays[i];
          continue;
        }
        pipe.due.reset();
        pass_piece(link, i);
      }
      entry += 2;
    }
  }

  void pass_piece(Link& link, std::size_t direction) {
    std::array<char, 16 * 1024> buffer;
    auto& limit = limits[direction];
    const std::size_t room = limit ? std::min(*limit + 1, buffer.size()) : buffer.size();
    const auto got = ::recv(link.pipes[direction].from, buffer.data(), room, 0);
    if (got <= 0) return end(link, false);
    if (link.swallowed) return;
    auto size = static_cast<std::size_t>(got);
    const bool over = limit && size > *limit;
    if (over) size = *limit;
    if (size > 0 && ::send(link.pipes[direction].to, buffer.data(), size, MSG_NOSIGNAL) < 0) return end(link, false);
    bytes[direction] += size;
    if (limit) *limit -= size;
    if (!over) return;
    limit.reset();
    end(link, true);
  }

  void end(Link& link, bool by_us) {
    if (link.cut) return;
    link.cut = true;
    if (by_us) ++cuts;
  }

  const std::uint16_t server_port;
  Fd listener;
  Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::uint16_t port = 0;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  // All below: guarded by mutex; arrays by Direction.
  bool stopping = false;
  bool refusing = false;
  std::array<bool, 2> held{};
  std::array<std::chrono::milliseconds, 2> delays{};
  std::array<std::optional<std::size_t>, 2> limits{};
  std::array<std::size_t, 2> bytes{};
  std::size_t connections = 0;
  std::size_t cuts = 0;
  std::list<Link> links;
  std::thread thread;
};

TcpGate::TcpGate(std::uint16_t server_port) : impl_(std::make_unique<Impl>(server_port)) {}

TcpGate::~TcpGate() = default;

std::uint16_t TcpGate::port() const noexcept {
  return impl_->port;
}

void TcpGate::hold(Direction direction) {
  impl_->change([&] { impl_->held[static_cast<std::size_t>(direction)] = true; });
}

void TcpGate::delay(Direction direction, std::chrono::milliseconds by) {
  impl_->change([&] { impl_->delays[static_cast<std::size_t>(direction)] = by; });
}

void TcpGate::truncate(Direction direction, std::size_t bytes) {
  impl_->change([&] { impl_->limits[static_cast<std::size_t>(direction)] = bytes; });
}

void TcpGate::pass() {
  impl_->change([&] {
    impl_->held = {};
    impl_->delays = {};
    impl_->limits = {};
    impl_->refusing = false;
  });
}

void TcpGate::swallow() {
  impl_->change([&] {
    for (auto& link : impl_->links) link.swallowed = true;
  });
}

void TcpGate::cut() {
  impl_->change([&] {
    for (auto& link : impl_->links) {
      impl_->end(link, true);  // the thread closes it; from here on nothing passes
      ::shutdown(link.client.get(), SHUT_RDWR);
      ::shutdown(link.server.get(), SHUT_RDWR);
    }
  });
}

void TcpGate::refuse() {
  impl_->change([&] { impl_->refusing = true; });
}

std::size_t TcpGate::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections;
}

std::size_t TcpGate::cuts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->cuts;
}

std::size_t TcpGate::passed(Direction direction) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->bytes[static_cast<std::size_t>(direction)];
}

bool TcpGate::wait_cuts(std::size_t count) const {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, kPatience, [&] { return impl_->cuts >= count; });
}

bool TcpGate::wait_passed(Direction direction, std::size_t bytes) const {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, kPatience,
                                 [&] { return impl_->bytes[static_cast<std::size_t>(direction)] >= bytes; });
}

}  // namespace lovage::test
