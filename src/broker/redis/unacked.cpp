#include "broker/redis/unacked.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/logging.hpp"
#include "base/uuid.hpp"
#include "broker/redis/script.hpp"
#include "wire/json.hpp"

namespace lovage::broker::redis {
namespace {

constexpr std::size_t kPage = 100;
constexpr std::size_t kMostPages = 5;
constexpr std::size_t kMostSaid = 1'000;
// Redis' own limit of a value; the message in it was within its worker's.
constexpr wire::DecodeLimits kRecordLimits{.max_bytes = std::size_t{512} << 20, .max_depth = 100};

// A string, or null as Python's None: empty.
const std::string* text_of(const Value& value) {
  static const std::string kNone;
  return value.is_null() ? &kNone : value.if_string();
}

void mark_redelivered(Value* part) {
  if (part == nullptr) return;
  if (Object* const object = part->if_object()) object->set("redelivered", Value(true));
}

}  // namespace

Result<Restored> restore_record(std::string_view record) {
  auto value = wire::parse_json(record, kRecordLimits);
  if (!value) return tl::unexpected(value.error());
  Array* const parts = value->if_array();
  if (parts == nullptr || parts->size() != 3) return fail(Errc::bad_data, "it is no list of three");
  Object* const message = (*parts)[0].if_object();
  const std::string* const exchange = text_of((*parts)[1]);
  const std::string* const routing_key = text_of((*parts)[2]);
  if (message == nullptr || exchange == nullptr || routing_key == nullptr) {
    return fail(Errc::bad_data, "it is not [message, exchange, routing key]");
  }
  if (exchange->empty() && routing_key->empty()) return fail(Errc::bad_data, "it names no queue");
  Restored restored{*exchange, *routing_key, 0, {}};
  mark_redelivered(message->find("headers"));
  if (Value* const properties = message->find("properties"); properties != nullptr && properties->if_object()) {
    mark_redelivered(properties->if_object()->find("delivery_info"));
    const Value* const priority = properties->find("priority");
    if (const auto* number = priority != nullptr ? priority->if_integer() : nullptr) {
      restored.priority = static_cast<int>(std::clamp<std::int64_t>(*number, 0, 9));
    }
  }
  if (auto written = wire::append_json(restored.message, (*parts)[0], wire::JsonTypes::celery_5_6); !written) {
    return tl::unexpected(written.error());
  }
  return restored;
}

UnackedSweep::UnackedSweep(UnackedOptions options, Keys keys)
    : options_(std::move(options)), keys_(std::move(keys)), bindings_(keys_.layout()) {}

Result<std::size_t> UnackedSweep::sweep(client::RedisSync& connection, Deadline deadline) {
  auto page = overdue(connection, deadline);
  if (!page) return tl::unexpected(page.error());
  if (page->empty()) {
    passed_over_ = 0;
    return 0;
  }
  const std::string mutex = keys_.list(options_.mutex_key);
  const std::string token = new_uuid();
  const std::string expire = std::to_string(options_.mutex_expire.count());
  const auto locked = connection.command({"SET", mutex, token, "NX", "PX", expire}, deadline);
  if (!locked) return tl::unexpected(locked.error());
  if (locked->is_nil()) return 0;
  auto count = put_back_pages(connection, std::move(*page), deadline);
  if (connection.usable()) {
    if (auto released = run(connection, {&release_mutex_script(), {mutex}, {token}}, deadline); !released) {
      return tl::unexpected(released.error());
    }
  }
  return count;
}

// The youngest first, as kombu does: each goes to the head, so the oldest is taken first.
Result<std::vector<UnackedSweep::Entry>> UnackedSweep::overdue(client::RedisSync& connection, Deadline deadline) {
  const auto time = connection.command({"TIME"}, deadline);
  if (!time) return tl::unexpected(time.error());
  if (time->items.size() != 2) return fail(Errc::bad_data, "a TIME reply of another shape");
  const double now = std::strtod(time->items[0].text.c_str(), nullptr);
  const double timeout = std::chrono::duration<double>(options_.visibility_timeout).count();
  const auto found =
      connection.command({"ZREVRANGEBYSCORE", keys_.list(options_.index_key), fmt::format("{:.3f}", now - timeout), "0",
                          "WITHSCORES", "LIMIT", std::to_string(passed_over_), std::to_string(kPage)},
                         deadline);
  if (!found) return tl::unexpected(found.error());
  std::vector<Entry> entries;
  for (std::size_t i = 0; i + 1 < found->items.size(); i += 2) {
    entries.push_back({found->items[i].text, found->items[i + 1].text});
  }
  return entries;
}

Result<std::size_t> UnackedSweep::put_back_pages(client::RedisSync& connection, std::vector<Entry> page,
                                                 Deadline deadline) {
  // The thread that sweeps renews a lease too: what is left is for the next call.
  const Deadline enough = Deadline::after(deadline.remaining() / 4);
  std::size_t count = 0;
  for (std::size_t pages = 1;; ++pages) {
    const auto whole = put_back_page(connection, page, enough, deadline, count);
    if (!whole) return tl::unexpected(whole.error());
    if (!*whole) return count;
    if (page.size() < kPage) passed_over_ = 0;
    if (page.size() < kPage || pages == kMostPages) return count;
    auto next = overdue(connection, deadline);
    if (!next) return tl::unexpected(next.error());
    page = std::move(*next);
  }
}

Result<bool> UnackedSweep::put_back_page(client::RedisSync& connection, const std::vector<Entry>& page, Deadline enough,
                                         Deadline deadline, std::size_t& count) {
  for (const auto& entry : page) {
    if (enough.passed()) return false;
    const auto outcome = put_back(connection, entry, deadline);
    if (!outcome) return tl::unexpected(outcome.error());
    if (*outcome == Outcome::put_back) ++count;
    if (*outcome == Outcome::left) ++passed_over_;
  }
  return true;
}

Result<UnackedSweep::Outcome> UnackedSweep::put_back(client::RedisSync& connection, const Entry& entry,
                                                     Deadline deadline) {
  const std::string hash = keys_.list(options_.key);
  const auto record = connection.command({"HGET", hash, entry.tag}, deadline);
  if (!record) return tl::unexpected(record.error());
  ScriptCall call{
      &put_back_unacked_script(), {hash, keys_.list(options_.index_key)}, {entry.tag, entry.score, record->text, {}}};
  // An entry without a record is of a message that was acknowledged; kombu's sweep drops it too.
  if (!record->is_nil()) {
    auto restored = restore_record(record->text);
    if (!restored) return leave(entry, restored.error().message);
    if (!bindings_.knows(restored->exchange)) {
      const auto rows = connection.command({"SMEMBERS", keys_.binding(restored->exchange)}, deadline);
      if (!rows) return tl::unexpected(rows.error());
      bindings_.learn(restored->exchange, *rows);
    }
    const auto lists = bindings_.lists_for(restored->exchange, restored->routing_key, restored->priority);
    if (!lists) return leave(entry, lists.error().message);
    for (const auto& list : *lists) call.keys.push_back(keys_.list(list));
    call.args[3] = std::move(restored->message);
  }
  const auto reply = run(connection, call, deadline);
  if (!reply && reply.error().code == Errc::refused) return leave(entry, reply.error().message);
  if (!reply) return tl::unexpected(reply.error());
  return reply->integer == 1 && !record->is_nil() ? Outcome::put_back : Outcome::gone;
}

UnackedSweep::Outcome UnackedSweep::leave(const Entry& entry, const std::string& why) {
  if (said_.size() < kMostSaid && said_.insert(entry.tag).second) {
    log::error(fmt::format("The message {} in {} is overdue and cannot be put back: {}. It stays there", entry.tag,
                           options_.key, why));
  }
  return Outcome::left;
}

}  // namespace lovage::broker::redis
