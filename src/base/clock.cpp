#include "base/clock.hpp"

#include <algorithm>
#include <climits>

namespace lovage {

Timestamp Clock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Monotonic Clock::monotonic() const {
  return std::chrono::steady_clock::now();
}

const Clock& Clock::system() noexcept {
  static const Clock kClock;
  return kClock;
}

Duration Deadline::remaining() const noexcept {
  if (is_never()) return Duration::max();
  return std::max(Duration::zero(), when_ - std::chrono::steady_clock::now());
}

int Deadline::poll_timeout() const noexcept {
  if (is_never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(remaining()).count();
  return static_cast<int>(std::min<std::chrono::milliseconds::rep>(left, INT_MAX));
}

}  // namespace lovage
