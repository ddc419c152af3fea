// What is settled, on its way into a call of a script.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "broker/settlement.hpp"

namespace lovage::broker::redis {

// The database, key prefix and life time of results that are stored in the settling step itself.
struct ResultStore {
  int db = 0;
  std::string prefix;  // see result_prefix()
  std::chrono::seconds expires{86'400};
  bool ordered_chords = true;  // false: chords begin as lists. Celery: result_chord_ordered
};

// What one entry of a batch is about, for the answer.
enum class SettleKind { settlement, state, start };

// A message of a settlement with the lists that it goes to.
struct RoutedSend {
  std::vector<std::string> lists;
  std::string bytes;
};

// One entry, ready to be encoded.
struct SettleItem {
  SettleKind kind = SettleKind::settlement;
  std::string_view list_name;  // of the reserved message; the consumer's
  Settlement settlement;       // of a state: token and results; of a start: the token
  std::vector<RoutedSend> sends;
  std::string asked_again = {};  // the exchange whose bindings were read once more, because a message led nowhere
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t values() const;
};

}  // namespace lovage::broker::redis
