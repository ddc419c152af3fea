#include "execution/appetite.hpp"

#include <algorithm>
#include <cmath>

namespace lovage::execution {
namespace {

constexpr double kWindowUs = std::chrono::duration<double, std::micro>(Appetite::kWindow).count();
constexpr double kHandOverUs = 10;  // what a task costs a slot even when it does nothing
constexpr double kWeight = 1.0 / 16;

}  // namespace

void Appetite::saw(std::chrono::microseconds runtime) noexcept {
  const double us = std::max(kHandOverUs, static_cast<double>(runtime.count()));
  if (us >= kWindowUs) {
    average_us_ = std::max(us, average_us_);
    return;
  }
  // A look-ahead is won back within some dozens of short tasks, however long the long one was.
  average_us_ = std::min(average_us_, 2 * kWindowUs);
  average_us_ += (us - average_us_) * kWeight;
}

std::size_t Appetite::ahead() const noexcept {
  if (fair_ || average_us_ >= kWindowUs) return 0;
  const double finished = static_cast<double>(slots_) * kWindowUs / average_us_;
  const double beyond = finished - static_cast<double>(slots_);
  return static_cast<std::size_t>(std::lround(std::clamp(beyond, 0.0, static_cast<double>(kMostAhead))));
}

}  // namespace lovage::execution
