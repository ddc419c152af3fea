// The event loop: readiness of descriptors, timers, signals and functions posted by other threads.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <utility>

#include "base/clock.hpp"
#include "base/unique_function.hpp"
#include "net/registration.hpp"

namespace lovage::net {

class Lending;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). Exceptions from handlers leave run(): a handler that may throw is a bug.
  void run();
  // Any thread, and from handlers: run() returns after the handler at hand.
  void stop();
  // Whether the caller is the thread of run(), and not another one that stands in for it.
  [[nodiscard]] bool in_loop_thread() const noexcept;

  // Any thread: calls `function` on the loop thread, in the order of the posts.
  void post(UniqueFunction<void()> function);
  // Any thread but the loop's: calls `function` here and now, and ends the turn, where the loop sleeps; where it does
  // not, this is post(). For what must not wait until the loop's thread has woken up. Handlers never run at the same
  // time, and what this file calls the loop thread is this one until the call returns. `function` may not destroy the
  // loop.
  void run_or_post(UniqueFunction<void()> function);
  // The loop led by another thread, in place of the thread of run(), which sleeps meanwhile. What this file calls the
  // loop thread is then that one. For a thread that would else be woken for each thing that the loop has for it.
  class Leader {
   public:
    Leader(Loop& loop, std::shared_ptr<Lending> lending, std::uint64_t ticket) noexcept
        : loop_(loop), lending_(std::move(lending)), ticket_(ticket) {}
    Leader(const Leader&) = delete;
    Leader& operator=(const Leader&) = delete;
    ~Leader();  // gives the lead back
    // What comes next: a wait for something to do, a look at what is ready now, or the end of the lead.
    enum class Next { wait, look, leave };
    // Runs the loop until stop(), or until `next` says to leave. That is asked before each wait or look, outside of the
    // turns.
    void run(const std::function<Next()>& next);
    // From `next`: calls `function` outside of the turns. The thread of run() goes on with the loop when it takes
    // longer than 4 to 8 ms: then this returns false, the lead is lost, and the loop may be gone.
    [[nodiscard]] bool step_out(const std::function<void()>& function);
    // From `next`, which leaves then: the thread of run() goes on with the loop now.
    void give_back() noexcept;

   private:
    Loop& loop_;
    const std::shared_ptr<Lending> lending_;
    const std::uint64_t ticket_;
  };
  // Any other thread: the lead, once the thread of run() has handed it over; null where somebody else has it or asks
  // for it, the loop does not run, or keep_lead() was called.
  [[nodiscard]] std::unique_ptr<Leader> lead();
  // Loop thread: from now on, until the next run(), lead() returns null; also where somebody waits in it.
  void keep_lead() noexcept;

  // Loop thread: calls `function` once all handlers that are ready now have run; what the turn
  // gathered (a pipeline, a batch) is then written at once.
  void at_end_of_turn(UniqueFunction<void()> function);
  // The same at the end of the turn after this one, which comes at once, or when a leader has stepped out and in again.
  void at_end_of_next_turn(UniqueFunction<void()> function);

  // Loop thread: one call after the delay / repeated calls, first after one period.
  [[nodiscard]] Registration after(Duration delay, UniqueFunction<void()> function);
  [[nodiscard]] Registration every(Duration period, UniqueFunction<void()> function);

  // Loop thread: calls `function` whenever the descriptor can be read / written, until the
  // registration ends, or until a second one for the same takes its place. The descriptor stays the caller's and must
  // outlive the registration. Throws std::system_error where descriptors of its kind are never waited for, as files.
  [[nodiscard]] Registration on_readable(int fd, UniqueFunction<void()> function);
  [[nodiscard]] Registration on_writable(int fd, UniqueFunction<void()> function);

  // Loop thread: `function` gets the number of each caught signal. One registration a process and signal.
  [[nodiscard]] Registration on_signals(std::initializer_list<int> signals, UniqueFunction<void(int)> function);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lovage::net
