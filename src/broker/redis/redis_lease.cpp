#include "broker/redis/redis_lease.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/logging.hpp"
#include "broker/redis/server_info.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::chrono::milliseconds kSuspectAfter{2'000};
constexpr std::chrono::milliseconds kOrphansAreLookedAt = std::chrono::hours(1);
constexpr std::chrono::milliseconds kMarksAreKept = std::chrono::hours(48);

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

RedisLease::RedisLease(client::RedisOptions redis, Keys keys, IncarnationId incarnation,
                       std::chrono::milliseconds lease, std::shared_ptr<Heartbeat> heartbeat,
                       std::optional<UnackedOptions> unacked, const Clock& clock)
    : redis_(std::move(redis)),
      keys_(std::move(keys)),
      incarnation_(std::move(incarnation)),
      lease_(lease),
      heartbeat_(std::move(heartbeat)),
      clock_(clock),
      observer_(clock, lease) {
  if (unacked) unacked_.emplace(std::move(*unacked), keys_);
}

Result<client::RedisSync*> RedisLease::connection(Deadline deadline) {
  if (connection_ && connection_->usable()) return connection_.get();
  observer_.start_again();
  auto made = client::RedisSync::connect(redis_, deadline);
  if (!made) return tl::unexpected(made.error());
  connection_ = std::move(*made);
  return connection_.get();
}

void RedisLease::drop_connection() {
  connection_.reset();
  observer_.start_again();
}

Result<client::RedisReply> RedisLease::call(const ScriptCall& script, Deadline deadline) {
  auto to = connection(deadline);
  if (!to) return tl::unexpected(to.error());
  auto reply = run(**to, script, deadline);
  if (!reply && reply.error().code != Errc::refused) drop_connection();
  return reply;
}

Result<client::RedisReply> RedisLease::command(std::initializer_list<std::string_view> words, Deadline deadline) {
  auto to = connection(deadline);
  if (!to) return tl::unexpected(to.error());
  auto reply = (*to)->command(words, deadline);
  if (!reply && reply.error().code != Errc::refused) drop_connection();
  return reply;
}

Result<Lease::Renewal> RedisLease::renew(Deadline deadline) {
  const ScriptCall script{&renew_script(), {keys_.incarnations()}, {incarnation_.get()}};
  auto counter = call(script, Deadline::after(kSuspectAfter).or_earlier(deadline));
  // The connection may have been swallowed on its way. Renewing twice is as good as once.
  if (!counter && !connection_ && !deadline.passed()) counter = call(script, deadline);
  if (!counter) return tl::unexpected(counter.error());
  if (counter->integer == 0) {
    heartbeat_->lost = true;
    return Renewal::lost;
  }
  heartbeat_->beat();
  return Renewal::renewed;
}

Result<std::vector<Lease::Swept>> RedisLease::sweep(Deadline deadline) {
  const auto dead = observe(deadline);
  if (!dead) return tl::unexpected(dead.error());
  const std::string expiry = std::to_string((lease_ * 2 / 3).count());
  const auto mine = call({&sweeper_lock_script(), {keys_.sweeper()}, {incarnation_.get(), expiry}}, deadline);
  if (!mine) return tl::unexpected(mine.error());
  std::vector<Swept> swept;
  if (mine->integer == 0) return swept;
  for (const auto& incarnation : *dead) {
    auto given_back = give_back(incarnation, deadline);
    if (!given_back) return tl::unexpected(given_back.error());
    if (*given_back) swept.push_back(std::move(**given_back));
  }
  if (auto looked = look_at_orphans(deadline); !looked) return tl::unexpected(looked.error());
  const std::string age = std::to_string(kMarksAreKept.count());
  const auto pruned = call({&prune_marks_script(), {keys_.marks(), keys_.mark_ages()}, {age}}, deadline);
  if (!pruned) return tl::unexpected(pruned.error());
  if (auto looked = look_at_unacked(deadline); !looked) return tl::unexpected(looked.error());
  return swept;
}

Result<std::vector<DeadIncarnation>> RedisLease::observe(Deadline deadline) {
  const auto ready = connection(deadline);
  if (!ready) return tl::unexpected(ready.error());
  const Monotonic asked = clock_.monotonic();
  const auto info = command({"INFO", "server"}, deadline);
  if (!info) return tl::unexpected(info.error());
  const auto counters = command({"HGETALL", keys_.incarnations()}, deadline);
  if (!counters) return tl::unexpected(counters.error());
  LeaseSnapshot snapshot{info_field(info->text, "run_id"), {}};
  for (std::size_t i = 0; i + 1 < counters->items.size(); i += 2) {
    snapshot.counters.emplace(IncarnationId(counters->items[i].text), number_in(counters->items[i + 1].text));
  }
  return observer_.answered(asked, snapshot);
}

// Nothing when the incarnation moved on or went meanwhile.
Result<std::optional<Lease::Swept>> RedisLease::give_back(const DeadIncarnation& dead, Deadline deadline) {
  const auto& id = dead.incarnation;
  const auto about = command({"HGETALL", keys_.about(id)}, deadline);
  if (!about) return tl::unexpected(about.error());
  const auto fields = command({"HKEYS", keys_.reserved(id)}, deadline);
  if (!fields) return tl::unexpected(fields.error());

  Swept swept;
  std::set<std::string> lists;
  for (std::size_t i = 0; i + 1 < about->items.size(); i += 2) {
    const auto& field = about->items[i].text;
    if (field == "node_name") swept.node_name = about->items[i + 1].text;
    if (field.starts_with(kListField)) lists.insert(field.substr(kListField.size()));
  }
  for (const auto& field : fields->items) {
    Reservation reservation;
    if (parse_reservation_field(field.text, reservation)) lists.insert(reservation.list_name);
  }
  ScriptCall script{&give_back_script(),
                    {keys_.incarnations(), keys_.reserved(id), keys_.held_marks(id), keys_.settled(id), keys_.about(id),
                     keys_.marks(), keys_.mark_ages(), keys_.orphans(), keys_.continuations()},
                    {id.get(), std::to_string(dead.counter), "1"}};
  for (const auto& list : lists) {
    script.keys.insert(script.keys.end(), {keys_.list(list), keys_.inbox(id, list)});
    script.args.push_back(list);
  }
  const auto reply = call(script, deadline);
  if (!reply) return tl::unexpected(reply.error());
  // Another list came into its reservations since: it lives.
  if (reply->items.empty() || reply->items[0].integer != 1) return std::nullopt;
  swept.messages = static_cast<std::size_t>(reply->items[1].integer);
  return swept;
}

// Inboxes of unregistered incarnations: a wait that was blocked at the server may have filled one since.
Result<void> RedisLease::look_at_orphans(Deadline deadline) {
  const auto orphans = command({"ZRANGE", keys_.orphans(), "0", "-1", "WITHSCORES"}, deadline);
  if (!orphans) return tl::unexpected(orphans.error());
  if (orphans->items.empty()) return {};
  const auto time = command({"TIME"}, deadline);
  if (!time) return tl::unexpected(time.error());
  const std::uint64_t now_ms = number_in(time->items.at(0).text) * 1000;
  ScriptCall script{&empty_inboxes_script(), {}, {}};
  std::vector<std::string> expired;
  for (std::size_t i = 0; i + 1 < orphans->items.size(); i += 2) {
    const std::string& member = orphans->items[i].text;
    const auto colon = member.find(':');
    if (colon != std::string::npos) {
      const std::string list = member.substr(colon + 1);
      const std::string inbox = keys_.inbox(IncarnationId(member.substr(0, colon)), list);
      script.keys.insert(script.keys.end(), {keys_.list(list), inbox});
    }
    const auto since = number_in(orphans->items[i + 1].text);
    if (now_ms > since + static_cast<std::uint64_t>(kOrphansAreLookedAt.count())) expired.push_back(member);
  }
  if (auto emptied = call(script, deadline); !emptied) return tl::unexpected(emptied.error());
  for (const auto& member : expired) {
    if (auto gone = command({"ZREM", keys_.orphans(), member}, deadline); !gone) return tl::unexpected(gone.error());
  }
  return {};
}

// What dead Python workers held, where it is known how long a live one may hold it.
Result<void> RedisLease::look_at_unacked(Deadline deadline) {
  if (!unacked_) return {};
  const auto to = connection(deadline);
  if (!to) return tl::unexpected(to.error());
  const auto count = unacked_->sweep(**to, deadline);
  if (!count && count.error().code != Errc::refused) {
    drop_connection();
    return tl::unexpected(count.error());
  }
  if (!count && !std::exchange(unacked_refused_, true)) {
    log::error(
        fmt::format("Unacknowledged messages of Python workers cannot be looked after: {}", count.error().message));
  }
  if (count && *count > 0) {
    log::warning(fmt::format("gave {} message{} back that Python workers held for longer than the visibility timeout",
                             *count, *count == 1 ? "" : "s"));
  }
  return {};
}

}  // namespace lovage::broker::redis
