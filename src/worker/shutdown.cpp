#include "worker/shutdown.hpp"

namespace lovage::worker {

Shutdown::Step Shutdown::on_signal(Signal signal, bool running) noexcept {
  if (signal == Signal::term && options_.term_is_quit) signal = Signal::quit;
  if (signal == Signal::interrupt) exit_code_ = 1;
  switch (state_) {
    case State::running:
      if (signal == Signal::quit) return go_cold(running);
      state_ = State::warm;
      return Step::warm;
    case State::warm:
      return go_cold(running);
    case State::soft:
      state_ = State::cold;
      return Step::cold;
    case State::cold:
      return Step::hard;
  }
  return Step::none;
}

Shutdown::Step Shutdown::on_soft_timeout() noexcept {
  if (state_ != State::soft) return Step::none;
  state_ = State::cold;
  return Step::cold;
}

Shutdown::Step Shutdown::on_warm_timeout() noexcept {
  if (state_ != State::warm && state_ != State::soft) return Step::none;
  state_ = State::cold;
  return Step::cold;
}

Shutdown::Step Shutdown::on_broken() noexcept {
  exit_code_ = 1;
  if (state_ != State::running) return Step::none;
  state_ = State::warm;
  return Step::warm;
}

Shutdown::Step Shutdown::go_cold(bool running) noexcept {
  const bool wait = options_.soft_timeout.count() > 0 && running;
  state_ = wait ? State::soft : State::cold;
  return wait ? Step::soft : Step::cold;
}

}  // namespace lovage::worker
