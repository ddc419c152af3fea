// Delays between attempts: exponential, capped, with full jitter. A pure function of its inputs.
#pragma once

#include <chrono>
#include <cstdint>

namespace lovage {

struct Backoff {
  std::chrono::milliseconds base{100};
  std::chrono::milliseconds cap{10'000};

  // The longest delay before attempt number `attempt` (0 is the first retry): base * 2^attempt, capped.
  [[nodiscard]] std::chrono::milliseconds ceiling(unsigned attempt) const noexcept;
  // A delay between 0 and the ceiling; `random` is any uniform 64-bit number.
  [[nodiscard]] std::chrono::milliseconds jittered(unsigned attempt, std::uint64_t random) const noexcept;
};

// A uniform random number for jitter: fast, per thread, not for secrets.
std::uint64_t random_u64() noexcept;

}  // namespace lovage
