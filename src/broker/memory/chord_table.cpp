#include "broker/memory/chord_table.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace lovage::broker::memory {
namespace {

bool is_over(const std::optional<Timestamp>& expires, Timestamp now) noexcept {
  return expires && *expires <= now;
}

std::int64_t number_of(const ChordPart& part) noexcept {
  return part.index.value_or(std::numeric_limits<std::int64_t>::max());
}

bool is_before(const ChordPart& one, const ChordPart& other) noexcept {
  return number_of(one) < number_of(other);
}

}  // namespace

std::optional<Timestamp> ChordTable::expiry(Timestamp now) const {
  return expires_.count() > 0 ? std::optional(now + expires_) : std::nullopt;
}

ChordTable::Chord* ChordTable::find(const std::string& group_id, Timestamp now) {
  const auto known = chords_.find(group_id);
  if (known == chords_.end()) return nullptr;
  if (!is_over(known->second.expires, now)) return &known->second;
  chords_.erase(known);
  return nullptr;
}

// One that is new expires until its size is known.
ChordTable::Chord& ChordTable::find_or_add(const std::string& group_id, Timestamp now) {
  Chord* chord = find(group_id, now);
  if (chord == nullptr) chord = &chords_[group_id];
  if (!chord->size) chord->expires = expiry(now);
  return *chord;
}

void ChordTable::start(const ChordStart& start, Timestamp now) {
  Chord& chord = find_or_add(start.group_id, now);
  chord.size = start.size;
  chord.expires.reset();
}

void ChordTable::extend(const std::string& group_id, Timestamp now) {
  ++find_or_add(group_id, now).extensions;
}

ChordTable::Counted ChordTable::count(const ChordCount& count, Timestamp now) {
  Chord& chord = find_or_add(count.group_id, now);
  const std::size_t known = chord.parts.size();
  for (const auto& part : count.parts) {
    if (!chord.counted.insert(part.task_id).second) continue;
    chord.in_order = chord.in_order && (chord.parts.empty() || !is_before(part, chord.parts.back()));
    chord.parts.push_back(part);
  }
  // Whoever counts a part a second time has added its tasks the first time.
  if (chord.parts.size() > known) chord.extensions += count.added;
  return {chord.size.has_value(), chord.size && chord.parts.size() >= *chord.size + chord.extensions};
}

bool ChordTable::claim(const std::string& group_id) {
  const auto known = chords_.find(group_id);
  return known != chords_.end() && !std::exchange(known->second.claimed, true);
}

// The next ones begin at a position.
ChordParts ChordTable::parts(const std::string& group_id, const std::string& from, std::size_t most, Timestamp now) {
  ChordParts parts;
  Chord* const chord = find(group_id, now);
  if (chord == nullptr || most == 0) return parts;
  // Once, when all are there; parts of one index stay as they came.
  if (!std::exchange(chord->in_order, true)) std::stable_sort(chord->parts.begin(), chord->parts.end(), is_before);
  std::size_t at = 0;
  std::from_chars(from.data(), from.data() + from.size(), at);
  for (; at < chord->parts.size() && parts.texts.size() < most; ++at) parts.texts.push_back(chord->parts[at].text);
  if (at < chord->parts.size()) parts.next = std::to_string(at);
  return parts;
}

void ChordTable::end(const std::string& group_id, Timestamp now) {
  chords_.erase(group_id);
  const auto group = groups_.find(group_id);
  if (group != groups_.end()) group->second.expires = expiry(now);
}

void ChordTable::save_group(const std::string& group_id, std::string text, Timestamp now) {
  const Chord* const chord = find(group_id, now);
  const bool lives = chord != nullptr && chord->size;
  groups_[group_id] = {std::move(text), expiry(lives ? now + kChordLasts : now)};
}

std::optional<std::string> ChordTable::restore_group(const std::string& group_id, Timestamp now) const {
  const auto known = groups_.find(group_id);
  if (known == groups_.end() || is_over(known->second.expires, now)) return std::nullopt;
  return known->second.text;
}

void ChordTable::expire(Timestamp now) {
  const auto has_expired = [now](const auto& each) { return is_over(each.second.expires, now); };
  std::erase_if(chords_, has_expired);
  std::erase_if(groups_, has_expired);
}

}  // namespace lovage::broker::memory
