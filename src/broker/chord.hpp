// What a store keeps of a chord: how many header tasks it has, and the parts, what became of those that have ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lovage::broker {

// Said before the last header task is sent. A chord has no expiry while it lives.
struct ChordStart {
  std::string group_id;
  std::uint64_t size = 0;  // header tasks
};

struct ChordPart {
  std::optional<std::int64_t> index;  // its place in the header; nothing: behind all others
  std::string task_id;                // counts once, whatever comes of it
  std::string text;                   // [1, task id, state, result] as JSON: what Python workers write and read too
};

// Parts of one chord that end with a settlement.
struct ChordCount {
  std::string group_id;
  std::vector<ChordPart> parts;
  std::uint64_t added = 0;  // so many header tasks more than it had, first. Celery: add_to_chord
  // Left under the message's token, in the same step, when these are the last: whoever holds it joins the chord.
  std::string continuation;
};

// Some of a chord's parts: their texts, in the order of their indices.
struct ChordParts {
  std::vector<std::string> texts;
  std::string next;  // where those begin that come behind them, in the store's own words; empty: there are no more
};

// While a chord lives, the results of its header tasks last for so long beside result_expires: those of one that never
// ends are not kept for ever.
inline constexpr std::chrono::hours kChordLasts{30 * 24};

// The chord's counts and parts are removed, and the results of its header tasks begin to expire.
struct ChordEnd {
  std::string group_id;
  std::vector<std::string> task_ids;
};

}  // namespace lovage::broker
