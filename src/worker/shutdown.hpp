// How a worker ends: signals in, steps out. A pure state machine.
#pragma once

#include <chrono>

namespace lovage::worker {

class Shutdown {
 public:
  enum class Signal { term, interrupt, quit };
  enum class Step {
    none,
    warm,  // stop reserving, give back what has not started, wait for what runs
    soft,  // the same, for at most the soft timeout; then soft_timeout_passed()
    cold,  // kill what runs
    hard   // leave now
  };
  struct Options {
    std::chrono::milliseconds soft_timeout{0};  // worker_soft_shutdown_timeout
    bool term_is_quit = false;                  // REMAP_SIGTERM=SIGQUIT
  };

  explicit Shutdown(Options options) noexcept : options_(options) {}

  // `running`: whether any task runs now (a soft wait is for those alone).
  Step on_signal(Signal signal, bool running) noexcept;
  Step on_soft_timeout() noexcept;
  // worker_warm_shutdown_timeout has passed since the warm step.
  Step on_warm_timeout() noexcept;
  // The worker cannot go on (its pool is broken): ends as a warm shutdown with exit code 1.
  Step on_broken() noexcept;

  [[nodiscard]] bool stopping() const noexcept { return state_ != State::running; }
  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }

 private:
  enum class State { running, warm, soft, cold };
  Step go_cold(bool running) noexcept;

  const Options options_;
  State state_ = State::running;
  int exit_code_ = 0;
};

}  // namespace lovage::worker
