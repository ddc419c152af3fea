#include "support/event_waiter.hpp"

namespace lovage::test {
bool run_until(net::Loop& loop, const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  if (condition()) return true;
  const auto limit = loop.after(patience, [&] { loop.stop(); });
  // Handlers report through plain variables, so the condition is looked at often rather than signalled.
  const auto look = loop.every(std::chrono::milliseconds(1), [&] {
    if (condition()) loop.stop();
  });
  loop.run();
  return condition();
}

}  // namespace lovage::test
