// The worker's end of its fork server: starts it, sends it orders, hears its reports.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_function.hpp"
#include "execution/fork_control.hpp"
#include "net/child_process.hpp"
#include "net/fd.hpp"
#include "net/loop.hpp"

namespace lovage::execution {

// Loop thread only.
class ForkServerLink {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_server_report(const ForkPacket& packet) = 0;
    // It has ended or cannot be spoken to; its children are being killed. The link is closed already.
    virtual void on_server_gone() = 0;
  };

  ForkServerLink(net::Loop& loop, Events& events) : loop_(loop), events_(events) {}

  struct Command {
    std::string executable;
    std::vector<std::string> arguments;  // after the internal flag
  };
  Result<void> open(const Command& command, int pages);
  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(control_); }

  // Nothing happens on a closed link: on_server_gone() has told.
  void start_child(std::uint32_t child, net::Fd socket);
  void signal_child(std::uint32_t child, int signal);

  // Lets the fork server go, which ends all children that are left; `ended` follows when it has. No more
  // events.
  void close(UniqueFunction<void()> ended);

 private:
  struct Order {
    ForkPacket packet;
    net::Fd fd;
  };
  void send(Order order);
  void flush();
  void receive();
  void gone();

  net::Loop& loop_;
  Events& events_;
  std::optional<net::ChildProcess> process_;
  net::Fd control_;
  std::deque<Order> orders_;  // that the socket had no room for
  net::Registration readable_;
  net::Registration writable_;
  net::Registration exit_;
};

}  // namespace lovage::execution
