// Chords and groups: how many parts a chord has, and the parts in the order of the header.
#include <charconv>
#include <limits>

#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

constexpr std::int64_t kBehindAllOthers = std::numeric_limits<std::int64_t>::max();

constexpr std::int64_t kChordLastsIn = std::chrono::microseconds(kChordLasts).count();

// By what the parts of a chord are in order.
struct PartKey {
  std::int64_t number = std::numeric_limits<std::int64_t>::min();
  std::int64_t id = 0;
};

PartKey key_from(const std::string& text) {
  PartKey key;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, key.number);
  if (number.ptr != end) std::from_chars(number.ptr + 1, end, key.id);
  return key;
}

std::int64_t now_in(const Store& store) {
  return store.now().time_since_epoch().count();
}

}  // namespace

struct Store::Chord {
  std::int64_t id = 0;
  std::optional<std::int64_t> size;
  std::int64_t extensions = 0;
  std::int64_t parts = 0;
  bool continued = false;
  bool expired = false;
};

// Nothing when it is not known, or has expired: what is left of it then goes.
Result<std::optional<Store::Chord>> Store::find_chord(const std::string& group_id) {
  Chord chord;
  {
    auto row = db_->query(
        "SELECT id, size, extensions, parts, continued, expires IS NOT NULL AND expires <= ?2 FROM chords"
        " WHERE group_id = ?1");
    auto found = row.bind_text(1, group_id).bind(2, now_in(*this)).step();
    if (!found) return tl::unexpected(found.error());
    if (!*found) return std::nullopt;
    chord = {row.integer(0), std::nullopt, row.integer(2), row.integer(3), row.integer(4) != 0, row.integer(5) != 0};
    if (!row.is_null(1)) chord.size = row.integer(1);
  }
  if (!chord.expired) return chord;
  if (auto removed = remove_chord(chord.id); !removed) return tl::unexpected(removed.error());
  return std::nullopt;
}

Result<Store::Chord> Store::find_or_add_chord(const std::string& group_id) {
  auto known = find_chord(group_id);
  if (!known) return tl::unexpected(known.error());
  if (*known) return **known;
  auto row = db_->query("INSERT INTO chords(group_id) VALUES(?) RETURNING id");
  auto added = row.bind_text(1, group_id).step();
  if (!added) return tl::unexpected(added.error());
  return Chord{.id = row.integer(0), .size = {}};
}

Result<void> Store::remove_chord(std::int64_t id) {
  auto removed = db_->query("DELETE FROM chord_parts WHERE chord = ?").bind(1, id).run();
  if (removed) removed = db_->query("DELETE FROM chords WHERE id = ?").bind(1, id).run();
  if (!removed) return tl::unexpected(removed.error());
  return {};
}

Result<void> Store::start_chord(const ChordStart& start) {
  auto chord = find_or_add_chord(start.group_id);
  if (!chord) return tl::unexpected(chord.error());
  auto done = db_->query("UPDATE chords SET size = ?2, expires = NULL WHERE id = ?1")
                  .bind(1, chord->id)
                  .bind(2, static_cast<std::int64_t>(start.size))
                  .run();
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<void> Store::extend_chord(const std::string& group_id) {
  auto chord = find_or_add_chord(group_id);
  if (!chord) return tl::unexpected(chord.error());
  auto update = db_->query("UPDATE chords SET extensions = extensions + 1, expires = ?2 WHERE id = ?1");
  update.bind(1, chord->id);
  if (const auto expires = chord->size ? std::nullopt : expiry()) update.bind(2, *expires);
  if (auto done = update.run(); !done) return tl::unexpected(done.error());
  return {};
}

Result<Store::Counted> Store::count_parts(const ChordCount& count) {
  auto chord = find_or_add_chord(count.group_id);
  if (!chord) return tl::unexpected(chord.error());
  std::int64_t fresh = 0;
  for (const auto& part : count.parts) {
    auto added = db_->query("INSERT OR IGNORE INTO chord_parts(chord, task_id, number, text) VALUES(?, ?, ?, ?)")
                     .bind(1, chord->id)
                     .bind_text(2, part.task_id)
                     .bind(3, part.index.value_or(kBehindAllOthers))
                     .bind_blob(4, part.text)
                     .run();
    if (!added) return tl::unexpected(added.error());
    fresh += *added;
    const auto expires = expiry();
    if (!chord->size || !expires) continue;
    auto kept = db_->query("UPDATE results SET expires = ?2 WHERE task_id = ?1 AND expires IS NOT NULL")
                    .bind_text(1, part.task_id)
                    .bind(2, *expires + kChordLastsIn)
                    .run();
    if (!kept) return tl::unexpected(kept.error());
  }
  chord->parts += fresh;
  // Whoever counts a part a second time has added its tasks the first time.
  if (fresh > 0) chord->extensions += static_cast<std::int64_t>(count.added);
  auto update = db_->query("UPDATE chords SET parts = ?2, extensions = ?3, expires = ?4 WHERE id = ?1");
  update.bind(1, chord->id).bind(2, chord->parts).bind(3, chord->extensions);
  if (const auto expires = chord->size ? std::nullopt : expiry()) update.bind(4, *expires);
  if (auto done = update.run(); !done) return tl::unexpected(done.error());
  return Counted{chord->size && chord->parts >= *chord->size + chord->extensions, chord->continued};
}

// The next ones begin behind a number and an id, so that no page reads the ones before it again.
Result<ChordParts> Store::chord_parts(const std::string& group_id, const std::string& from, std::size_t most) {
  ChordParts parts;
  if (most == 0) return parts;
  const PartKey behind = key_from(from);
  auto rows = db_->query(
      "SELECT text, number, id FROM chord_parts"
      " WHERE chord = (SELECT id FROM chords WHERE group_id = ? AND (expires IS NULL OR expires > ?))"
      " AND (number, id) > (?, ?) ORDER BY number, id LIMIT ?");
  rows.bind_text(1, group_id).bind(2, now_in(*this));
  rows.bind(3, behind.number).bind(4, behind.id).bind(5, static_cast<std::int64_t>(most));
  PartKey last;
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    parts.texts.emplace_back(rows.text(0));
    last = {rows.integer(1), rows.integer(2)};
  }
  if (parts.texts.size() == most) parts.next = std::to_string(last.number) + ":" + std::to_string(last.id);
  return parts;
}

Result<void> Store::end_chord(const ChordEnd& end) {
  if (const auto expires = expiry()) {
    for (const auto& task_id : end.task_ids) {
      auto done = db_->query("UPDATE results SET expires = ?2 WHERE task_id = ?1")
                      .bind_text(1, task_id)
                      .bind(2, *expires)
                      .run();
      if (!done) return tl::unexpected(done.error());
    }
    auto done = db_->query("UPDATE saved_groups SET expires = ?2 WHERE id = ?1")
                    .bind_text(1, end.group_id)
                    .bind(2, *expires)
                    .run();
    if (!done) return tl::unexpected(done.error());
  }
  auto chord = find_chord(end.group_id);
  if (!chord) return tl::unexpected(chord.error());
  return *chord ? remove_chord((*chord)->id) : Result<void>();
}

// The group of a chord that lives expires counted from the chord's end.
Result<void> Store::save_group(const std::string& group_id, const std::string& text) {
  auto chord = find_chord(group_id);
  if (!chord) return tl::unexpected(chord.error());
  auto insert = db_->query("INSERT OR REPLACE INTO saved_groups(id, text, expires) VALUES(?, ?, ?)");
  insert.bind_text(1, group_id).bind_blob(2, text);
  const bool lives = *chord && (*chord)->size;
  if (const auto expires = expiry()) insert.bind(3, *expires + (lives ? kChordLastsIn : 0));
  if (auto done = insert.run(); !done) return tl::unexpected(done.error());
  return {};
}

Result<std::optional<std::string>> Store::restore_group(const std::string& group_id) {
  auto row = db_->query("SELECT text FROM saved_groups WHERE id = ? AND (expires IS NULL OR expires > ?)");
  auto found = row.bind_text(1, group_id).bind(2, now_in(*this)).step();
  if (!found) return tl::unexpected(found.error());
  if (!*found) return std::nullopt;
  return std::string(row.text(0));
}

Result<void> Store::forget_group(const std::string& group_id) {
  auto done = db_->query("DELETE FROM saved_groups WHERE id = ?").bind_text(1, group_id).run();
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<std::int64_t> Store::expire_chords(std::int64_t limit) {
  std::vector<std::int64_t> expired;
  {
    auto rows = db_->query("SELECT id FROM chords WHERE expires IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?");
    rows.bind(1, now_in(*this)).bind(2, limit);
    for (;;) {
      auto more = rows.step();
      if (!more) return tl::unexpected(more.error());
      if (!*more) break;
      expired.push_back(rows.integer(0));
    }
  }
  for (const std::int64_t id : expired) {
    if (auto removed = remove_chord(id); !removed) return tl::unexpected(removed.error());
  }
  return static_cast<std::int64_t>(expired.size());
}

Result<std::int64_t> Store::expire_groups(std::int64_t limit) {
  return db_
      ->query(
          "DELETE FROM saved_groups WHERE id IN (SELECT id FROM saved_groups"
          " WHERE expires IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?)")
      .bind(1, now_in(*this))
      .bind(2, limit)
      .run();
}

}  // namespace lovage::broker::sqlite
