// Dead letters stay until somebody retries or purges them: dropping the oldest by itself would lose messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lovage::broker {

// So many that somebody should look at them.
inline constexpr std::uint64_t kManyDeadLetters = 10'000;

// For Broker::check().
inline void warn_of_dead_letters(std::uint64_t count, std::vector<std::string>& warnings) {
  if (count <= kManyDeadLetters) return;
  warnings.push_back(
      "there are " + std::to_string(count) +
      " dead letters: see lovage dlq list; lovage dlq retry sends them again, lovage dlq purge drops them");
}

}  // namespace lovage::broker
