// How far a pool looks ahead: a pure rule on run times.
#pragma once

#include <chrono>
#include <cstddef>

namespace lovage::execution {

// While tasks are short, a pool holds what its slots finish in 20 ms, so that no slot waits for the next
// batch; one long task brings it back to its slots at once. Until a task has ended, all are taken for long.
class Appetite {
 public:
  static constexpr std::chrono::milliseconds kWindow{20};
  static constexpr std::size_t kMostAhead = 256;

  // `fair` (-O fair): never look ahead.
  Appetite(std::size_t slots, bool fair) noexcept : slots_(slots), fair_(fair) {}

  // A task ended after this time, or runs so long already.
  void saw(std::chrono::microseconds runtime) noexcept;

  // How many requests to hold beyond the slots: 0 to kMostAhead.
  [[nodiscard]] std::size_t ahead() const noexcept;
  [[nodiscard]] std::size_t total() const noexcept { return slots_ + ahead(); }
  // How many of them one slot may hold, the running one included.
  [[nodiscard]] std::size_t per_slot() const noexcept { return 1 + (ahead() + slots_ - 1) / slots_; }

 private:
  std::size_t slots_;
  bool fair_;
  double average_us_ = std::chrono::duration<double, std::micro>(kWindow).count();  // of a task's run time
};

}  // namespace lovage::execution
