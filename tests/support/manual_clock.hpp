// A clock that stands still until a test moves it.
#pragma once

#include <mutex>

#include "base/clock.hpp"

namespace lovage::test {

// Thread-safe.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  [[nodiscard]] Monotonic monotonic() const override {
    const std::lock_guard lock(mutex_);
    return monotonic_;
  }
  // Both clocks go forward alike.
  void advance(Duration by) {
    const std::lock_guard lock(mutex_);
    now_ += std::chrono::duration_cast<std::chrono::microseconds>(by);
    monotonic_ += by;
  }

 private:
  mutable std::mutex mutex_;
  Timestamp now_{std::chrono::seconds(1'700'000'000)};
  Monotonic monotonic_{std::chrono::hours(1)};
};

}  // namespace lovage::test
