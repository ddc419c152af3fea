// The chords and the saved groups of a store in memory, and when they expire. No lock: the store has one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.hpp"
#include "broker/chord.hpp"

namespace lovage::broker::memory {

class ChordTable {
 public:
  // `expires` after a group was saved, or something was last said of a chord whose size is not known; 0: never.
  explicit ChordTable(std::chrono::seconds expires) noexcept : expires_(expires) {}

  void start(const ChordStart& start, Timestamp now);
  void extend(const std::string& group_id, Timestamp now);
  struct Counted {
    bool is_live = false;   // its size is known
    bool complete = false;  // all parts are there
  };
  Counted count(const ChordCount& count, Timestamp now);
  // Of a chord that is complete: true for one caller alone, who leaves the continuation.
  bool claim(const std::string& group_id);
  ChordParts parts(const std::string& group_id, const std::string& from, std::size_t most, Timestamp now);
  void end(const std::string& group_id, Timestamp now);

  // The group of a chord that lives expires counted from the chord's end.
  void save_group(const std::string& group_id, std::string text, Timestamp now);
  [[nodiscard]] std::optional<std::string> restore_group(const std::string& group_id, Timestamp now) const;
  void forget_group(const std::string& group_id) { groups_.erase(group_id); }

  // Removes what has expired.
  void expire(Timestamp now);
  [[nodiscard]] std::size_t size() const noexcept { return chords_.size() + groups_.size(); }

 private:
  struct Chord {
    std::optional<std::uint64_t> size;
    std::uint64_t extensions = 0;
    bool claimed = false;
    std::vector<ChordPart> parts;
    bool in_order = true;
    std::unordered_set<std::string> counted;  // task ids
    std::optional<Timestamp> expires;
  };
  struct Group {
    std::string text;
    std::optional<Timestamp> expires;
  };
  Chord* find(const std::string& group_id, Timestamp now);
  Chord& find_or_add(const std::string& group_id, Timestamp now);
  [[nodiscard]] std::optional<Timestamp> expiry(Timestamp now) const;

  std::chrono::seconds expires_;
  std::unordered_map<std::string, Chord> chords_;
  std::unordered_map<std::string, Group> groups_;
};

}  // namespace lovage::broker::memory
