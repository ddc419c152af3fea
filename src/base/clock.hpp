// Time: the clocks the program reads and the deadlines it passes down. Tests put their own clock in.
#pragma once

#include <chrono>

namespace lovage {

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;  // wall clock, UTC
using Monotonic = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

// Thread-safe. The default reads the system's clocks.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Timestamp now() const;
  [[nodiscard]] virtual Monotonic monotonic() const;

  static const Clock& system() noexcept;
};

// `span` from now; now when it is negative, the end of time when it lies beyond that (292 years of nanoseconds).
template <class Rep, class Period>
Monotonic from_now(std::chrono::duration<Rep, Period> span) {
  const Monotonic now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> wanted = span;
  if (wanted < wanted.zero()) return now;
  // Compared as doubles, which hold the years of any unit.
  const std::chrono::duration<double> room = Monotonic::max() - now;
  return wanted < room ? now + std::chrono::duration_cast<Duration>(span) : Monotonic::max();
}

// The moment by which a blocking call has to return, on the monotonic clock. One deadline travels
// down a whole call chain, so timeouts never add up.
class Deadline {
 public:
  template <class Rep, class Period>
  static Deadline after(std::chrono::duration<Rep, Period> budget) {
    return Deadline(from_now(budget));
  }
  static Deadline at(Monotonic when) { return Deadline(when); }
  static Deadline never() { return Deadline(Monotonic::max()); }

  [[nodiscard]] bool is_never() const noexcept { return when_ == Monotonic::max(); }
  [[nodiscard]] bool passed() const noexcept { return !is_never() && std::chrono::steady_clock::now() >= when_; }
  [[nodiscard]] Monotonic when() const noexcept { return when_; }
  // What is left, never negative; Duration::max() when there is no deadline.
  [[nodiscard]] Duration remaining() const noexcept;
  // The same for poll(2): rounded up, -1 for never, at most INT_MAX.
  [[nodiscard]] int poll_timeout() const noexcept;
  [[nodiscard]] Deadline or_earlier(Deadline other) const noexcept { return when_ < other.when_ ? *this : other; }

 private:
  explicit Deadline(Monotonic when) : when_(when) {}
  Monotonic when_;
};

}  // namespace lovage
