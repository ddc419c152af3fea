#include "worker/credit.hpp"

#include <algorithm>

namespace lovage::worker {

Credit credit_for(const Load& load, const CreditLimits& limits) noexcept {
  const std::size_t multiplied = limits.prefetch_multiplier == 0 ? kMostHeld : load.slots * limits.prefetch_multiplier;
  // The look-ahead is the pool's: it grows only while tasks are so short that nothing waits.
  const std::size_t wanted = limits.fair ? load.slots : std::max({load.slots, load.appetite, multiplied});
  const std::size_t most = std::min(wanted, kMostHeld);
  // An answer that does not come (a slow or lost broker) must not let outcomes pile up.
  if (load.in_pool >= most || load.unsettled >= kMostHeld) return {};
  const auto bytes = static_cast<std::size_t>(limits.prefetch_bytes);
  // The limit is for what waits; with nothing waiting one message comes, whatever its size.
  if (load.bytes_waiting >= bytes && load.not_started > 0) return {};
  return {.messages = most - load.in_pool, .bytes = bytes - std::min(bytes, load.bytes_waiting)};
}

}  // namespace lovage::worker
