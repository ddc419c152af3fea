// Deadlines, near and absurdly far.
#include <gtest/gtest.h>

#include <climits>
#include <limits>

#include "base/clock.hpp"

namespace lovage {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, ComesAfterItsBudget) {
  EXPECT_FALSE(Deadline::after(1h).passed());
  EXPECT_LE(Deadline::after(1h).remaining(), 1h);
  EXPECT_GT(Deadline::after(1h).remaining(), 59min);
  EXPECT_TRUE(Deadline::after(0s).passed());
  EXPECT_TRUE(Deadline::after(-1s).passed());
  EXPECT_EQ(Deadline::after(-1s).remaining(), Duration::zero());
}

template <class D>
void expect_never(D budget) {
  const Deadline deadline = Deadline::after(budget);
  EXPECT_TRUE(deadline.is_never());
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.remaining(), Duration::max());
  EXPECT_EQ(deadline.poll_timeout(), -1);
}

TEST(Deadline, NeverComesBeyondTheEndOfTheClock) {
  expect_never(std::chrono::years(293));
  expect_never(std::chrono::years(std::numeric_limits<int>::max()));
  expect_never(std::chrono::milliseconds::max());
  expect_never(std::chrono::hours::max());
  expect_never(Duration::max());
  expect_never(std::chrono::duration<double>(1e300));
  EXPECT_FALSE(Deadline::after(std::chrono::years(200)).is_never());
  EXPECT_EQ(Deadline::after(std::chrono::years(200)).poll_timeout(), INT_MAX);
}

TEST(Deadline, IsOverForTheLongestNegativeBudget) {
  EXPECT_TRUE(Deadline::after(std::chrono::hours::min()).passed());
  EXPECT_TRUE(Deadline::after(Duration::min()).passed());
}

}  // namespace
}  // namespace lovage
