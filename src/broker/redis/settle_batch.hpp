// Settlements on their way into one call of the settle script.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/redis/keys.hpp"
#include "broker/redis/script.hpp"
#include "broker/settlement.hpp"

namespace lovage::broker::redis {

// The database, key prefix and life time of results that are stored in the settling step itself.
struct ResultStore {
  int db = 0;
  std::string prefix;  // see result_prefix()
  std::chrono::seconds expires{86'400};
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
  std::string list_name;  // of the reserved message
  Settlement settlement;  // of a state: token and results; of a start: the token
  std::vector<RoutedSend> sends;
  bool asked_again = false;  // for bindings, because a message led nowhere
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t values() const;
};

class SettleBatch {
 public:
  static constexpr std::size_t kMaxItems = 256;
  static constexpr std::size_t kMaxBytes = 1u << 20;
  static constexpr std::size_t kMaxValues = 7'000;

  struct Entry {
    Token token{};
    SettleKind kind = SettleKind::settlement;
  };

  SettleBatch(const Keys& keys, const IncarnationId& incarnation, const ResultStore& results, int broker_db,
              std::uint64_t number);

  // A batch takes at least one item, whatever its size.
  [[nodiscard]] bool has_room_for(const SettleItem& item) const;
  void add(SettleItem item);
  // Once, when the batch is full: `answered` are batches whose replies have arrived.
  std::shared_ptr<const ScriptCall> seal(const std::vector<std::uint64_t>& answered);

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const std::shared_ptr<const ScriptCall>& call() const noexcept { return sealed_; }

 private:
  std::string key_index(const std::string& key);
  void add_disposal(Settlement& settlement, const std::string& list_name);

  const Keys& keys_;
  const IncarnationId incarnation_;
  const ResultStore results_;
  const std::uint64_t number_;
  std::size_t bytes_ = 0;
  std::size_t values_ = 0;
  std::map<std::string, std::string> indices_;  // of lists and schedules
  std::shared_ptr<ScriptCall> open_;
  std::shared_ptr<const ScriptCall> sealed_;
  std::vector<Entry> entries_;
};

}  // namespace lovage::broker::redis
