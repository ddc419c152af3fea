#include <lovage/states.hpp>

#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

// Every so many new results pay for the removal of twice as many that have expired, so the table cannot outgrow what is
// valid.
constexpr std::int64_t kPutsUntilExpiry = 32;

}  // namespace

Result<void> Store::put_result(const StoreResult& result) {
  auto added = write_result(
      "INSERT INTO results(task_id, state, meta, expires) VALUES(?, ?, ?, ?)"
      " ON CONFLICT(task_id) DO NOTHING",
      result);
  if (!added) return tl::unexpected(added.error());
  if (*added == 0) {  // there is one already: rare
    auto stored = this->result(result.task_id);
    if (!stored) return tl::unexpected(stored.error());
    if (*stored && !states::may_replace((*stored)->state, result.state)) return {};
    // A new row each time, at the end: rows ascend in time.
    auto replaced =
        write_result("INSERT OR REPLACE INTO results(task_id, state, meta, expires) VALUES(?, ?, ?, ?)", result);
    if (!replaced) return tl::unexpected(replaced.error());
  }
  if (++puts_ % kPutsUntilExpiry != 0) return {};
  if (auto expired = expire_results(2 * kPutsUntilExpiry); !expired) return tl::unexpected(expired.error());
  return {};
}

Result<std::int64_t> Store::write_result(const char* sql, const StoreResult& result) {
  auto insert = db_->query(sql);
  insert.bind_text(1, result.task_id).bind_text(2, result.state).bind_blob(3, result.meta);
  if (const auto expires = expiry()) insert.bind(4, *expires);
  return insert.run();
}

std::optional<std::int64_t> Store::expiry() const {
  if (options_.result_expires.count() == 0) return std::nullopt;
  return (now() + options_.result_expires).time_since_epoch().count();
}

Result<std::optional<Store::StoredResult>> Store::result(const std::string& task_id) {
  auto row = db_->query("SELECT state, meta FROM results WHERE task_id = ? AND (expires IS NULL OR expires > ?)");
  auto found = row.bind_text(1, task_id).bind(2, now().time_since_epoch().count()).step();
  if (!found) return tl::unexpected(found.error());
  if (!*found) return std::nullopt;
  return StoredResult{std::string(row.text(0)), std::string(row.text(1))};
}

Result<void> Store::forget(const std::string& task_id) {
  auto done = db_->query("DELETE FROM results WHERE task_id = ?").bind_text(1, task_id).run();
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<std::int64_t> Store::expire_results(std::int64_t limit) {
  return db_
      ->query(
          "DELETE FROM results WHERE id IN (SELECT id FROM results WHERE expires IS NOT NULL AND expires <= ?"
          " ORDER BY expires LIMIT ?)")
      .bind(1, now().time_since_epoch().count())
      .bind(2, limit)
      .run();
}

}  // namespace lovage::broker::sqlite
