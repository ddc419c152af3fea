#pragma once

#include <memory>
#include <utility>

namespace lovage::net {

// Owns one registration with a loop (a timer, a watch, a signal handler): destroying it ends it, and
// its function is not called any more. Loop thread only.
class Registration {
 public:
  struct State {
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    virtual ~State() = default;
    virtual void cancel() noexcept = 0;
  };
  Registration() noexcept = default;
  explicit Registration(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  Registration(Registration&&) noexcept = default;
  Registration& operator=(Registration&& other) noexcept {
    if (this != &other) {
      reset();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration() { reset(); }
  void reset() noexcept {
    if (const auto state = std::exchange(state_, nullptr)) state->cancel();
  }
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace lovage::net
