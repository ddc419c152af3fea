// A proxy on the loopback that stands between a client and a server and misbehaves on command, at an
// exact byte rather than after a guessed time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace lovage::test {

class TcpGate {
 public:
  enum class Direction { to_server, to_client };

  // Passes connections to its port on to 127.0.0.1:server_port.
  explicit TcpGate(std::uint16_t server_port);
  ~TcpGate();
  TcpGate(const TcpGate&) = delete;
  TcpGate& operator=(const TcpGate&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;

  // All below: any thread, effective for everything not yet passed when the call returns.

  // Holds bytes of one direction back until pass(); connections stay.
  void hold(Direction direction);
  // Each piece of the direction waits this long before it passes.
  void delay(Direction direction, std::chrono::milliseconds by);
  // Once: passes `bytes` more bytes of the direction, counted over all connections, then cuts the
  // connection on which the next one shows up. So
  //   truncate(to_client, 0): the request reached the server, its reply never passes;
  //   truncate(to_client, 1): the reply begins, and breaks off;
  //   truncate(to_server, n): the server gets n bytes of the requests.
  // Connections made after the cut pass untouched.
  void truncate(Direction direction, std::size_t bytes);
  // Ends hold, delay and truncate.
  void pass();
  // What the connections of now send disappears, for good; those made later pass.
  void swallow();
  // Cuts every connection now.
  void cut();
  // New connections are cut as soon as they are made, until pass().
  void refuse();

  // Counters since the beginning.
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t cuts() const;
  [[nodiscard]] std::size_t passed(Direction direction) const;  // bytes
  // Waits until `count` connections have been cut. False: not in time.
  [[nodiscard]] bool wait_cuts(std::size_t count) const;
  // Waits until `bytes` bytes of the direction have passed. False: not in time.
  [[nodiscard]] bool wait_passed(Direction direction, std::size_t bytes) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lovage::test
