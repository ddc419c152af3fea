#include "execution/fork_control.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace lovage::execution {
namespace {

// Room for one descriptor, aligned as the kernel wants it.
struct alignas(cmsghdr) ControlBuffer {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

tl::unexpected<Failure> gone(int error) {
  return fail(Errc::unavailable, error == 0 ? "the other end is closed" : std::generic_category().message(error));
}

net::Fd passed_fd(msghdr& message) {
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return net::Fd(fd);
}

}  // namespace

Result<bool> send_packet(int socket, const ForkPacket& packet, int fd_to_pass) {
  ForkPacket copy = packet;
  iovec data{.iov_base = &copy, .iov_len = sizeof copy};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  ControlBuffer control;
  if (fd_to_pass >= 0) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd_to_pass);
    std::memcpy(CMSG_DATA(header), &fd_to_pass, sizeof fd_to_pass);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    return gone(errno);
  }
  return true;
}

Result<std::optional<ReceivedPacket>> receive_packet(int socket) {
  ReceivedPacket received;
  iovec data{.iov_base = &received.packet, .iov_len = sizeof received.packet};
  ControlBuffer control;
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t size = 0;
  while ((size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
    return gone(errno);
  }
  if (size == 0) return gone(0);
  received.fd = passed_fd(message);
  if (static_cast<std::size_t>(size) != sizeof received.packet || (message.msg_flags & MSG_TRUNC) != 0)
    return fail(Errc::bad_data, "a packet of the wrong size");
  return received;
}

}  // namespace lovage::execution
