// Waiting for events that other threads, or the loop, make known. Never a sleep.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

#include "net/loop.hpp"
#include "support/slowness.hpp"

namespace lovage::test {

inline constexpr std::chrono::seconds kPatience{20 * kSlowness};  // enough for a loaded machine

// A value that threads change and a test waits on:
//   Watched<int> done; ... done.change([](int& n) { ++n; }); ... EXPECT_TRUE(done.wait([](int n) { return n == 3; }));
template <class T>
class Watched {
 public:
  explicit Watched(T value = {}) : value_(std::move(value)) {}

  template <class Change>
  void change(Change&& how) {
    {
      const std::lock_guard lock(mutex_);
      how(value_);
    }
    changed_.notify_all();
  }
  void set(T value) {
    change([&](T& old) { old = std::move(value); });
  }
  [[nodiscard]] T get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  // False: it did not become true in time.
  template <class Condition>
  [[nodiscard]] bool wait(Condition&& condition, std::chrono::milliseconds patience = kPatience) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return condition(value_); });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  T value_;  // guarded by mutex_
};

// Runs the loop in this thread until the condition holds (asked every millisecond); false: it did not in time.
[[nodiscard]] bool run_until(net::Loop& loop, const std::function<bool()>& condition,
                             std::chrono::milliseconds patience = kPatience);

}  // namespace lovage::test
