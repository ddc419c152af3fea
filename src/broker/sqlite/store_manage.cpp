#include <algorithm>
#include <charconv>

#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

// Free pages that may stay for new messages: 4 MiB.
constexpr std::int64_t kFreePagesKept = 1024;

DeadLetterEntry entry_of(const client::SqliteQuery& row) {
  DeadLetterEntry entry;
  entry.key = std::to_string(row.integer(0));
  entry.letter = {std::string(row.text(1)), std::string(row.text(2)), std::string(row.text(3)),
                  std::string(row.text(4))};
  entry.queue = row.text(5);
  entry.step = static_cast<int>(row.integer(6));
  entry.died = Timestamp(std::chrono::microseconds(row.integer(7)));
  entry.bytes = row.text(8);
  return entry;
}

std::optional<std::int64_t> key_number(std::string_view text) noexcept {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<std::vector<std::string>> Store::queue_names() {
  // One seek a queue instead of a look at every message.
  auto rows = db_->query(
      "WITH RECURSIVE used(name) AS (SELECT min(queue) FROM messages WHERE place = 0 UNION ALL"
      "   SELECT (SELECT min(queue) FROM messages WHERE place = 0 AND queue > name) FROM used WHERE name IS NOT NULL),"
      " later(name) AS (SELECT min(queue) FROM messages WHERE place = 2 UNION ALL"
      "   SELECT (SELECT min(queue) FROM messages WHERE place = 2 AND queue > name) FROM later WHERE name IS NOT NULL)"
      " SELECT name FROM queues UNION SELECT name FROM used WHERE name IS NOT NULL"
      " UNION SELECT name FROM later WHERE name IS NOT NULL"
      " UNION SELECT DISTINCT queue FROM messages WHERE place = 1 ORDER BY 1");
  std::vector<std::string> names;
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return names;
    names.emplace_back(rows.text(0));
  }
}

Result<QueueInfo> Store::queue(const std::string& name) {
  auto row = db_->query(
      "SELECT (SELECT count(*) FROM messages WHERE place = 0 AND queue = ?1),"
      " (SELECT count(*) FROM messages WHERE place = 2 AND queue = ?1),"
      " (SELECT count(*) FROM messages WHERE place = 1 AND queue = ?1)");
  auto found = row.bind_text(1, name).step();
  if (!found) return tl::unexpected(found.error());
  return QueueInfo{name, static_cast<std::uint64_t>(row.integer(0)), static_cast<std::uint64_t>(row.integer(1)),
                   static_cast<std::uint64_t>(row.integer(2))};
}

Result<std::int64_t> Store::purge(const std::string& queue, std::int64_t limit) {
  return db_
      ->query(
          "DELETE FROM messages WHERE position IN (SELECT position FROM messages WHERE place = 0 AND queue = ? LIMIT "
          "?)")
      .bind_text(1, queue)
      .bind(2, limit)
      .run();
}

Result<std::vector<DeadLetterEntry>> Store::dead_letters(std::size_t limit) {
  std::vector<DeadLetterEntry> letters;
  auto rows = db_->query(
      "SELECT key, task_id, task, reason, detail, queue, step, died, bytes FROM dead_letters ORDER BY key LIMIT ?");
  rows.bind(1, static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return letters;
    letters.push_back(entry_of(rows));
  }
}

Result<std::uint64_t> Store::count_dead_letters() {
  auto row = db_->query("SELECT count(*) FROM dead_letters");
  if (auto counted = row.step(); !counted) return tl::unexpected(counted.error());
  return static_cast<std::uint64_t>(row.integer(0));
}

Result<std::optional<DeadLetterEntry>> Store::dead_letter(const std::string& key_or_id) {
  // The latest, when one task died more than once.
  auto row = db_->query(
      "SELECT key, task_id, task, reason, detail, queue, step, died, bytes FROM dead_letters"
      " WHERE key = ? OR task_id = ? ORDER BY key DESC LIMIT 1");
  if (const auto key = key_number(key_or_id)) row.bind(1, *key);
  auto found = row.bind_text(2, key_or_id).step();
  if (!found) return tl::unexpected(found.error());
  if (!*found) return std::nullopt;
  return entry_of(row);
}

Result<std::int64_t> Store::remove_dead_letters(const std::optional<std::string>& key) {
  if (!key) return db_->query("DELETE FROM dead_letters").run();
  const auto number = key_number(*key);
  if (!number) return 0;
  return db_->query("DELETE FROM dead_letters WHERE key = ?").bind(1, *number).run();
}

Result<void> Store::vacuum() {
  auto pages = db_->query("PRAGMA freelist_count");
  auto found = pages.step();
  if (!found) return tl::unexpected(found.error());
  if (pages.integer(0) < kFreePagesKept) return {};
  auto vacuum = db_->query("PRAGMA incremental_vacuum(256)");
  for (;;) {
    auto more = vacuum.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
  }
}

}  // namespace lovage::broker::sqlite
