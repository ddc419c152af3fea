// Which descriptors are ready: epoll, level-triggered, so that a watch costs the kernel nothing as long as it stays.
//
// All but wait() and wake() touch the table of watches: the loop's turn guards it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>

#include "base/unique_function.hpp"
#include "net/fd.hpp"
#include "net/registration.hpp"

namespace lovage::net {

class Poller {
 public:
  enum class What { readable, writable };

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Throws std::system_error for what epoll does not know, such as a file.
  [[nodiscard]] std::shared_ptr<Registration::State> watch(int fd, What what, UniqueFunction<void()> function);

  // Waits until a descriptor is ready or somebody wakes it; without sleep it looks alone. Events are good until the
  // next call.
  using Event = epoll_event;
  [[nodiscard]] std::span<const Event> wait(bool may_sleep);
  // Calls who watches, unless they ended their watch since.
  void handle(const Event& event);

  // Any thread: the wait at hand returns, or the next one does at once.
  void wake() noexcept;
  // Whether somebody woke it since the last call.
  [[nodiscard]] bool take_wake() noexcept { return woken_.load() && woken_.exchange(false); }

 private:
  static constexpr std::size_t kEventsAtOnce = 64;
  class Watch;
  struct Descriptor {
    std::uint32_t number = 0;  // no two of a poller: an event may be older than its descriptor
    std::shared_ptr<Watch> reader;
    std::shared_ptr<Watch> writer;
  };
  static std::shared_ptr<Watch>& side(Descriptor& descriptor, What what) noexcept;
  [[nodiscard]] int control(int operation, int fd, const Descriptor& descriptor) noexcept;
  void end(const Watch& watch) noexcept;

  const Fd epoll_;
  const Fd bell_;  // an eventfd, edge-triggered: it is never read
  std::atomic<bool> asleep_{false};
  std::atomic<bool> woken_{false};
  std::array<Event, kEventsAtOnce> events_{};
  std::uint32_t last_number_ = 0;
  std::unordered_map<int, Descriptor> descriptors_;
};

}  // namespace lovage::net
