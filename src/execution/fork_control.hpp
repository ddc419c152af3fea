// What the worker and its fork server say to each other: packets on a SOCK_SEQPACKET socket pair.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "net/fd.hpp"

namespace lovage::execution {

struct ForkPacket {
  enum class Type : std::uint32_t {
    // worker -> fork server
    start = 1,  // a child with this id; its end of a socket pair comes with the packet
    signal,     // `value` is the signal's number; nothing happens when the child is gone
    // fork server -> worker
    ready,         // `value`: how many threads it found; more than one: children are spawned anew
    started,       // `value`: the child's pid
    start_failed,  // `value`: errno
    exited         // `value`: its pid; `status` as from wait(2)
  };
  Type type{};
  std::uint32_t child = 0;
  std::int32_t value = 0;
  std::int32_t status = 0;
  std::int64_t max_rss_kib = 0;
};

struct ReceivedPacket {
  ForkPacket packet;
  net::Fd fd;
};

// False when it would block (the socket is not blocking) and nothing was sent.
// Errors: unavailable when the other end is gone.
Result<bool> send_packet(int socket, const ForkPacket& packet, int fd_to_pass = -1);

// nullopt: nothing there (the socket is not blocking). Errors: unavailable at the end of the stream,
// bad_data for anything that is no packet.
Result<std::optional<ReceivedPacket>> receive_packet(int socket);

}  // namespace lovage::execution
