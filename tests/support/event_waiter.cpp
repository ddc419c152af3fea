#include "support/event_waiter.hpp"

namespace lovage::test {
bool run_until(net::Loop& loop, const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  if (condition()) return true;
  const auto limit = loop.after(patience, [&] { loop.stop(); });
  // Handlers report through plain variables, so the condition is looked at often rather than signalled.
  bool met = false;
  const auto look = loop.every(std::chrono::milliseconds(1), [&] {
    met = met || condition();
    if (met) loop.stop();
  });
  loop.run();
  return met;
}

}  // namespace lovage::test
