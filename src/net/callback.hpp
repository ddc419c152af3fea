// A function that a registration calls again and again, and that may end its own registration while it runs: it is then
// destroyed after it has returned.
#pragma once

#include <utility>

#include "base/unique_function.hpp"

namespace lovage::net {

template <class... Args>
class Callback {
 public:
  explicit Callback(UniqueFunction<void(Args...)> function) : function_(std::move(function)) {}

  void call(Args... args) {
    if (ended_) return;
    running_ = true;
    function_(args...);
    running_ = false;
    if (ended_) function_ = {};
  }
  void end() noexcept {
    ended_ = true;
    if (!running_) function_ = {};
  }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  UniqueFunction<void(Args...)> function_;
  bool running_ = false;
  bool ended_ = false;
};

}  // namespace lovage::net
