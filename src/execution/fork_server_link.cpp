#include "execution/fork_server_link.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/logging.hpp"
#include "execution/fork_server.hpp"

namespace lovage::execution {

Result<void> ForkServerLink::open(const Command& command, int pages) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(Errc::unavailable, "socketpair: " + std::generic_category().message(errno));
  net::Fd ours(ends[0]);
  const net::Fd theirs(ends[1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);  // theirs stays blocking

  net::ChildProcess::Options options;
  options.path = command.executable;
  options.argv = {"lovage", std::string(kForkServerFlag)};
  options.argv.insert(options.argv.end(), command.arguments.begin(), command.arguments.end());
  options.fds = {{theirs.get(), kForkServerSocket}, {pages, kForkServerPages}};
  auto process = net::ChildProcess::spawn(options);
  if (!process) return tl::unexpected(std::move(process.error()));
  process_.emplace(std::move(*process));
  control_ = std::move(ours);
  readable_ = loop_.on_readable(control_.get(), [this] { receive(); });
  return {};
}

void ForkServerLink::start_child(std::uint32_t child, net::Fd socket) {
  send({{.type = ForkPacket::Type::start, .child = child}, std::move(socket)});
}

void ForkServerLink::signal_child(std::uint32_t child, int signal) {
  send({{.type = ForkPacket::Type::signal, .child = child, .value = signal}, {}});
}

void ForkServerLink::send(Order order) {
  if (!is_open()) return;
  orders_.push_back(std::move(order));
  flush();
}

void ForkServerLink::flush() {
  while (!orders_.empty()) {
    const auto sent = send_packet(control_.get(), orders_.front().packet, orders_.front().fd.get());
    if (!sent) break;  // receive() hears of it, after what was still on its way
    if (!*sent) {
      if (!writable_) writable_ = loop_.on_writable(control_.get(), [this] { flush(); });
      return;
    }
    orders_.pop_front();
  }
  orders_.clear();
  writable_.reset();
}

void ForkServerLink::receive() {
  while (is_open()) {
    const auto received = receive_packet(control_.get());
    if (!received) return gone();
    if (!*received) return;
    events_.on_server_report((*received)->packet);
  }
}

void ForkServerLink::gone() {
  readable_.reset();
  writable_.reset();
  orders_.clear();
  control_.reset();
  process_.reset();
  events_.on_server_gone();
}

void ForkServerLink::close(UniqueFunction<void()> ended) {
  readable_.reset();
  writable_.reset();
  orders_.clear();
  control_.reset();
  if (!process_) return loop_.post(std::move(ended));
  exit_ = process_->on_exit(loop_, [this, ended = std::move(ended)](net::ExitStatus) {
    process_.reset();
    ended();
  });
}

}  // namespace lovage::execution
