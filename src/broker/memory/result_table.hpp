// The results of a store in memory, and when they expire. No lock: the store has one.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "broker/settlement.hpp"

namespace lovage::broker::memory {

class ResultTable {
 public:
  // `expires` after a result was stored; 0: never.
  explicit ResultTable(std::chrono::seconds expires) noexcept : expires_(expires) {}

  // Stores by the rule of states::may_replace; false: what is there stays.
  bool put(StoreResult result, Timestamp now);
  [[nodiscard]] const StoreResult* find(std::string_view task_id, Timestamp now) const;
  void forget(std::string_view task_id);
  // It expires kChordLasts later, until it is stored anew or let go: then it expires counted from that.
  void keep(std::string_view task_id, Timestamp now);
  void let_go(std::string_view task_id, Timestamp now);
  // Removes some results that have expired; how many.
  std::size_t expire(Timestamp now, std::size_t most);
  [[nodiscard]] std::size_t size() const noexcept { return by_time_.size() + kept_.size(); }

 private:
  struct Stored {
    StoreResult result;
    Timestamp at;
    bool kept = false;
  };
  using ByTime = std::list<Stored>;
  [[nodiscard]] bool has_expired(const Stored& stored, Timestamp now) const noexcept;
  ByTime& list_of(const Stored& stored) noexcept { return stored.kept ? kept_ : by_time_; }

  std::chrono::seconds expires_;
  ByTime by_time_;                                                // the oldest first
  ByTime kept_;                                                   // so are these
  std::unordered_map<std::string_view, ByTime::iterator> by_id_;  // the texts are those of the lists
};

}  // namespace lovage::broker::memory
