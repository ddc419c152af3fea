// Until when requests may start: a worker that could not renew its lease must not begin what others may run by
// now. Its clock goes on while the process is stopped, so the permit has run out the moment it is continued.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/clock.hpp"

namespace lovage::execution {

// Any thread, and any process that shares its memory (zeros are a permit without an end, as at first).
class StartPermit {
 public:
  void allow_until(Monotonic until) noexcept { until_ns_.store(until.time_since_epoch().count()); }
  [[nodiscard]] bool is_valid() const noexcept {
    const std::int64_t until = until_ns_.load();
    return until == 0 || std::chrono::steady_clock::now().time_since_epoch().count() < until;
  }

  // How often those who wait for a new permit look: it comes after an outage, rarely.
  static constexpr std::chrono::milliseconds kLook{10};

 private:
  std::atomic<std::int64_t> until_ns_{0};
  static_assert(std::atomic<std::int64_t>::is_always_lock_free, "the permit works across processes");
};

}  // namespace lovage::execution
