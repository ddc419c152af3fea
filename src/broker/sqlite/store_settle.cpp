#include <fmt/format.h>

#include <utility>

#include "base/logging.hpp"
#include "broker/sqlite/store.hpp"

namespace lovage::broker::sqlite {
namespace {

std::int64_t due_of(const Due& due, Timestamp now) {
  const Timestamp at = due.at ? *due.at : now + due.delay;
  return at.time_since_epoch().count();
}

int place_of(Disposal disposal) noexcept {
  return disposal == Disposal::schedule ? 2 : 0;
}

}  // namespace

Result<SettleStatus> Store::settle(OwnerId owner, const Settlement& asked) {
  // What can be refused is found out before any other write. A queue that is known without its message does no harm.
  std::optional<Settlement> changed;
  Routed routed;
  auto has_ways = route_all(asked, changed, routed);
  if (!has_ways) return tl::unexpected(has_ways.error());
  if (!*has_ways) return SettleStatus::failed;
  const Settlement& settlement = changed ? *changed : asked;
  auto held = fence(owner, settlement);
  if (!held) return tl::unexpected(held.error());
  if (*held) return write_effects(owner, settlement, routed);
  // Nothing has been changed: not held, or a continuation that was to go to a queue.
  held = holds(owner, settlement.token);
  if (!held) return tl::unexpected(held.error());
  return *held ? SettleStatus::failed : SettleStatus::fenced;
}

// The first write. Whoever counts keeps its message until it is known whether that was the last part.
Result<bool> Store::fence(OwnerId owner, const Settlement& settlement) {
  if (settlement.counts) return holds(owner, settlement.token);
  auto disposed = write_disposal(owner, settlement);
  if (!disposed) return tl::unexpected(disposed.error());
  return *disposed > 0;
}

// What the task leaves to others.
Result<void> Store::write_outputs(const Settlement& settlement, const Routed& routed) {
  for (const auto& start : settlement.chords) {
    if (auto started = start_chord(start); !started) return tl::unexpected(started.error());
  }
  for (const auto& result : settlement.results) {
    if (auto put = put_result(result); !put) return tl::unexpected(put.error());
  }
  for (std::size_t i = 0; i < settlement.sends.size(); ++i) {
    if (auto sent = publish(settlement.sends[i], routed[i]); !sent) return tl::unexpected(sent.error());
  }
  for (const auto& buried : settlement.buried) {
    if (auto done = bury(buried); !done) return tl::unexpected(done.error());
  }
  return {};
}

Result<SettleStatus> Store::write_effects(OwnerId owner, const Settlement& settlement, const Routed& routed) {
  if (auto written = write_outputs(settlement, routed); !written) return tl::unexpected(written.error());
  auto status = settlement.disposal == Disposal::carry_on ? SettleStatus::carries_on : SettleStatus::settled;
  if (settlement.counts) {
    auto counted = write_counts(owner, settlement);
    if (!counted) return counted;
    status = *counted;
  }
  if (settlement.ended_chord) {
    if (auto ended = end_chord(*settlement.ended_chord); !ended) return tl::unexpected(ended.error());
  }
  if (settlement.graph) {
    if (auto used = use_graph(*settlement.graph); !used) return tl::unexpected(used.error());
  }
  return status;
}

Result<SettleStatus> Store::write_counts(OwnerId owner, const Settlement& settlement) {
  auto counted = count_parts(*settlement.counts);
  if (!counted) return tl::unexpected(counted.error());
  const bool last = counted->complete && !counted->continued;
  if (last && settlement.disposal == Disposal::dead_letter) {
    if (auto written = write_dead_letter(owner, settlement); !written) return tl::unexpected(written.error());
  }
  auto done = last ? write_continuation(owner, settlement.token, settlement.counts->continuation)
                   : write_disposal(owner, settlement);
  if (done && last) {
    done = db_->query("UPDATE chords SET continued = 1 WHERE group_id = ?")
               .bind_text(1, settlement.counts->group_id)
               .run();
  }
  if (!done) return tl::unexpected(done.error());
  return last ? SettleStatus::carries_on : SettleStatus::settled;
}

// The queues of all sends. `changed` is the settlement without those that have none, and with what follows from that:
// the transaction may be rolled back and made again from the old one. False: one is not to become a dead letter.
Result<bool> Store::route_all(const Settlement& asked, std::optional<Settlement>& changed, Routed& routed) {
  const auto settlement = [&]() -> const Settlement& { return changed ? *changed : asked; };
  std::size_t declared = 0;
  for (;;) {
    for (; declared < settlement().declares.size(); ++declared) {
      if (auto done = declare(settlement().declares[declared]); !done) return tl::unexpected(done.error());
    }
    if (routed.size() == settlement().sends.size()) return true;
    auto queues = route(settlement().sends[routed.size()]);
    if (!queues && queues.error().code != Errc::not_found) return tl::unexpected(queues.error());
    if (queues) {
      routed.push_back(std::move(*queues));
      continue;
    }
    if (!changed) changed = asked;
    const std::string id = changed->sends[routed.size()].id;
    if (bury_send(*changed, routed.size())) continue;
    log::error(fmt::format("Cannot settle: task {}: {}", id, queues.error().message));
    return false;
  }
}

Result<void> Store::bury(const BuriedMessage& buried) {
  const DeadLetter& letter = buried.letter;
  auto done = db_->query(
                     "INSERT INTO dead_letters(task_id, task, reason, detail, queue, step, died, bytes)"
                     " VALUES(?, ?, ?, ?, ?, 0, ?, ?)")
                  .bind_text(1, letter.task_id)
                  .bind_text(2, letter.task)
                  .bind_text(3, letter.reason)
                  .bind_text(4, letter.detail)
                  .bind_text(5, buried.message.routing_key)
                  .bind(6, now().time_since_epoch().count())
                  .bind_blob(7, wire::encode_envelope(buried.message))
                  .run();
  if (!done) return tl::unexpected(done.error());
  return {};
}

Result<std::int64_t> Store::write_disposal(OwnerId owner, const Settlement& settlement) {
  switch (settlement.disposal) {
    case Disposal::dead_letter:
      if (auto written = write_dead_letter(owner, settlement); !written || *written == 0) return written;
      [[fallthrough]];
    case Disposal::acknowledge:
      return write_acknowledgement(owner, settlement.token);
    case Disposal::carry_on:
      return write_continuation(owner, settlement.token, settlement.continuation);
    case Disposal::return_head:
    case Disposal::return_tail:
    case Disposal::schedule:
      return write_return(owner, settlement);
  }
  return 0;
}

Result<std::int64_t> Store::write_acknowledgement(OwnerId owner, Token token) {
  return db_->query("DELETE FROM messages WHERE place = 1 AND owner = ? AND token = ?")
      .bind(1, owner.get())
      .bind(2, static_cast<std::int64_t>(token.get()))
      .run();
}

Result<std::int64_t> Store::write_continuation(OwnerId owner, Token token, const std::string& text) {
  return db_
      ->query(
          "UPDATE messages SET continuation = 1, bytes = ?, started = 0, suspect = 0, strikes = 0, waited = 0"
          " WHERE place = 1 AND owner = ? AND token = ?")
      .bind_blob(1, text)
      .bind(2, owner.get())
      .bind(3, static_cast<std::int64_t>(token.get()))
      .run();
}

Result<std::int64_t> Store::write_return(OwnerId owner, const Settlement& settlement) {
  auto update = db_->query(
      "UPDATE messages SET place = ?3, owner = NULL, token = NULL, due = ?4, started = 0, bytes = coalesce(?5, bytes),"
      " suspect = coalesce(?6, suspect), strikes = coalesce(?7, strikes), waited = coalesce(?8, waited),"
      " unknown = ?10, position = CASE ?9 WHEN 0 THEN position ELSE (SELECT max(position) + 1 FROM messages) END"
      " WHERE place = 1 AND owner = ?1 AND token = ?2 AND NOT continuation");
  update.bind(1, owner.get()).bind(2, static_cast<std::int64_t>(settlement.token.get()));
  update.bind(3, place_of(settlement.disposal));
  if (settlement.disposal == Disposal::schedule) update.bind(4, due_of(settlement.due, now()));
  const std::string replacement = settlement.replacement ? wire::encode_envelope(settlement.replacement) : "";
  if (settlement.replacement) update.bind_blob(5, replacement);
  if (const auto& marks = settlement.marks) {
    update.bind(6, marks->suspect ? 1 : 0).bind(7, marks->strikes).bind(8, marks->waited_unknown.count());
  }
  update.bind(9, settlement.disposal == Disposal::return_tail ? 1 : 0);
  if (!settlement.unknown_task.empty()) update.bind_text(10, settlement.unknown_task);
  return update.run();
}

Result<std::int64_t> Store::write_dead_letter(OwnerId owner, const Settlement& settlement) {
  const DeadLetter& letter = settlement.dead_letter;
  return db_
      ->query(
          "INSERT INTO dead_letters(task_id, task, reason, detail, queue, step, died, bytes)"
          " SELECT ?3, ?4, ?5, ?6, queue, step, ?7, bytes FROM messages WHERE place = 1 AND owner = ?1 AND token = ?2")
      .bind(1, owner.get())
      .bind(2, static_cast<std::int64_t>(settlement.token.get()))
      .bind_text(3, letter.task_id)
      .bind_text(4, letter.task)
      .bind_text(5, letter.reason)
      .bind_text(6, letter.detail)
      .bind(7, now().time_since_epoch().count())
      .run();
}

Result<bool> Store::holds(OwnerId owner, Token token) {
  auto row = db_->query("SELECT 1 FROM messages WHERE place = 1 AND owner = ? AND token = ?");
  return row.bind(1, owner.get()).bind(2, static_cast<std::int64_t>(token.get())).step();
}

Result<SettleStatus> Store::store_state(OwnerId owner, Token token, const StoreResult& result) {
  auto held = holds(owner, token);
  if (!held) return tl::unexpected(held.error());
  if (!*held) return SettleStatus::fenced;
  if (auto put = put_result(result); !put) return tl::unexpected(put.error());
  return SettleStatus::settled;
}

Result<SettleStatus> Store::record_start(OwnerId owner, Token token) {
  auto changed = db_->query("UPDATE messages SET started = 1 WHERE place = 1 AND owner = ? AND token = ?")
                     .bind(1, owner.get())
                     .bind(2, static_cast<std::int64_t>(token.get()))
                     .run();
  if (!changed) return tl::unexpected(changed.error());
  return *changed == 0 ? SettleStatus::fenced : SettleStatus::settled;
}

}  // namespace lovage::broker::sqlite
