#include "base/backoff.hpp"

#include <algorithm>
#include <random>

namespace lovage {

std::chrono::milliseconds Backoff::ceiling(unsigned attempt) const noexcept {
  auto delay = base;
  for (unsigned i = 0; i < attempt && delay < cap; ++i) delay *= 2;
  return std::min(delay, cap);
}

std::chrono::milliseconds Backoff::jittered(unsigned attempt, std::uint64_t random) const noexcept {
  const auto most = static_cast<std::uint64_t>(ceiling(attempt).count());
  return std::chrono::milliseconds(static_cast<std::int64_t>(random % (most + 1)));
}

std::uint64_t random_u64() noexcept {
  static thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

}  // namespace lovage
