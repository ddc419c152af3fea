// Who leads a loop: the thread of its run(), or another one to which that has lent the lead.
//
// While a thread that has the lead steps out for something else, a timer runs. When it rings for the second time during
// one outing the owner takes the lead back, and the thread finds out when it returns: it may outlive the loop by then,
// and touches this object alone.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "net/fd.hpp"

namespace lovage::net {

class Lending {
 public:
  Lending();

  // --- The owner: the thread of run().
  void begin();  // it runs
  // It does not run any more, or wants to keep the lead: whoever waits for it, or asks, does not get it.
  void end() noexcept;
  [[nodiscard]] bool is_asked() const noexcept { return asked_.load(); }
  // Hands the lead over to the one who waits for it, and sleeps until it is the owner's again.
  void hand_over();

  // --- Another thread.
  using Ticket = std::uint64_t;
  // Waits for the lead; `wake` makes the owner look at is_asked(). Nothing: it is not to be had.
  template <class Wake>
  std::optional<Ticket> ask(Wake&& wake) {
    std::unique_lock lock(mutex_);
    if (!may_ask_ || asked_.load() || holder_.load() != kOwner) return std::nullopt;
    asked_ = true;
    wake();
    changed_.wait(lock, [this] { return !may_ask_ || holder_.load() != kOwner; });
    if (!asked_.exchange(false) || holder_.load() == kOwner) return std::nullopt;
    return ticket_;
  }
  // Has the lead, and is busy with something else from now on.
  void step_out(Ticket ticket) noexcept;
  // Back again. False: the lead is the owner's by now.
  [[nodiscard]] bool step_in(Ticket ticket) noexcept;
  // Gives the lead back, where it has it.
  void give_back(Ticket ticket) noexcept;

 private:
  // A thread may be out for one to two of these. The loop stands still for no longer. Not shorter: the kernel has a
  // tick of up to 4 ms, and to set a timer that rings before it costs ten times as much (13 us of a call).
  static constexpr std::chrono::milliseconds kRing{4};
  static constexpr std::uint64_t kOwner = 0;
  static std::uint64_t inside(Ticket ticket) noexcept { return 2 * ticket; }
  static std::uint64_t outside(Ticket ticket) noexcept { return 2 * ticket + 1; }
  void ring_soon() noexcept;
  void ring_in(std::chrono::nanoseconds delay) noexcept;
  void await_ring() noexcept;

  const Fd alarm_;  // a timer at which the owner sleeps
  std::atomic<std::uint64_t> holder_{kOwner};
  std::atomic<std::uint64_t> outing_{0};  // how often somebody stepped out
  std::atomic<bool> rings_{false};        // the timer is set
  std::atomic<bool> asked_{false};
  std::mutex mutex_;  // guards what follows, and who asks
  std::condition_variable changed_;
  bool may_ask_ = false;
  Ticket ticket_ = 0;  // of the last thread that was handed the lead
};

}  // namespace lovage::net
