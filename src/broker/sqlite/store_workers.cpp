#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {

Result<OwnerId> Store::add_worker(const IncarnationId& incarnation, const std::string& node_name) {
  auto row = db_->query("INSERT INTO workers(incarnation, node_name, counter) VALUES(?, ?, 0) RETURNING id");
  auto added = row.bind_text(1, incarnation.get()).bind_text(2, node_name).step();
  if (!added) return tl::unexpected(added.error());
  return OwnerId(row.integer(0));
}

Result<bool> Store::has_worker(OwnerId owner) {
  auto row = db_->query("SELECT 1 FROM workers WHERE id = ?");
  return row.bind(1, owner.get()).step();
}

Result<bool> Store::renew(const IncarnationId& incarnation) {
  auto changed = db_->query("UPDATE workers SET counter = counter + 1 WHERE incarnation = ?")
                     .bind_text(1, incarnation.get())
                     .run();
  if (!changed) return tl::unexpected(changed.error());
  return *changed > 0;
}

Result<void> Store::remove_worker(OwnerId owner) {
  auto returned = db_->query(
                         "UPDATE messages SET place = CASE continuation WHEN 0 THEN 0 ELSE 3 END,"
                         " owner = NULL, token = NULL, started = 0"
                         " WHERE place = 1 AND owner = ?")
                      .bind(1, owner.get())
                      .run();
  if (returned) returned = db_->query("DELETE FROM workers WHERE id = ?").bind(1, owner.get()).run();
  if (!returned) return tl::unexpected(returned.error());
  return {};
}

Result<LeaseSnapshot> Store::lease_snapshot() {
  LeaseSnapshot snapshot;
  auto rows = db_->query("SELECT incarnation, counter FROM workers");
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return snapshot;
    snapshot.counters.emplace(IncarnationId(std::string(rows.text(0))), static_cast<std::uint64_t>(rows.integer(1)));
  }
}

Result<std::optional<Lease::Swept>> Store::sweep(const DeadIncarnation& dead) {
  Lease::Swept swept;
  OwnerId owner;
  {
    auto row = db_->query("SELECT id, node_name FROM workers WHERE incarnation = ? AND counter = ?");
    auto found = row.bind_text(1, dead.incarnation.get()).bind(2, static_cast<std::int64_t>(dead.counter)).step();
    if (!found) return tl::unexpected(found.error());
    if (!*found) return std::nullopt;
    owner = OwnerId(row.integer(0));
    swept.node_name = row.text(1);
  }
  auto marked = db_->query(
                       "UPDATE messages SET suspect = NOT continuation, strikes = strikes + started WHERE place = 1 "
                       "AND owner = ?")
                    .bind(1, owner.get())
                    .run();
  if (!marked) return tl::unexpected(marked.error());
  swept.messages = static_cast<std::size_t>(*marked);
  if (auto removed = remove_worker(owner); !removed) return tl::unexpected(removed.error());
  return swept;
}

Result<bool> Store::is_other_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease) {
  auto row = db_->query("SELECT holder, until FROM sweeper");
  auto found = row.step();
  if (!found) return tl::unexpected(found.error());
  if (!*found || row.text(0) == holder.get()) return false;
  // An end further away than a lease was written before the clock was put back: it does not count.
  const Timestamp until{std::chrono::microseconds(row.integer(1))};
  return now() < until && until <= now() + lease;
}

Result<void> Store::become_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease) {
  auto done = db_->query("INSERT OR REPLACE INTO sweeper VALUES(1, ?, ?)")
                  .bind_text(1, holder.get())
                  .bind(2, (now() + lease).time_since_epoch().count())
                  .run();
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<std::vector<WorkerInfo>> Store::workers() {
  std::vector<WorkerInfo> workers;
  auto rows = db_->query(
      "SELECT incarnation, node_name, counter,"
      " (SELECT count(*) FROM messages WHERE place = 1 AND owner = workers.id) FROM workers ORDER BY id");
  for (;;) {
    auto more = rows.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return workers;
    workers.push_back({IncarnationId(std::string(rows.text(0))), std::string(rows.text(1)),
                       static_cast<std::uint64_t>(rows.integer(2)), static_cast<std::uint64_t>(rows.integer(3))});
  }
}

}  // namespace lovage::broker::sqlite
