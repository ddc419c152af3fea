// RedisBroker: purging, schedules, workers and dead letters, for people.
#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>
#include <utility>

#include "broker/redis/redis_broker.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/transaction.hpp"
#include "wire/names.hpp"

namespace lovage::broker::redis {
namespace {

using client::RedisReply;

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "1795364272826-0"
bool is_letter_key(std::string_view text) {
  const auto dash = text.find('-');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return dash != std::string_view::npos && digits(text.substr(0, dash)) && digits(text.substr(dash + 1));
}

}  // namespace

DeadLetterEntry dead_letter_of(const RedisReply& item) {
  DeadLetterEntry entry;
  if (item.items.size() != 2) return entry;
  entry.key = item.items[0].text;
  entry.died = Timestamp(std::chrono::milliseconds(number_in(entry.key)));
  const auto& fields = item.items[1].items;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string& name = fields[i].text;
    const std::string& value = fields[i + 1].text;
    if (name == "queue") entry.queue = value;
    if (name == "step") entry.step = static_cast<int>(number_in(value));
    if (name == "id") entry.letter.task_id = value;
    if (name == "task") entry.letter.task = value;
    if (name == "reason") entry.letter.reason = value;
    if (name == "detail") entry.letter.detail = value;
    if (name == "message") entry.bytes = value;
  }
  return entry;
}

// As kombu does: what waits in its lists goes, what is reserved or scheduled stays.
Result<std::uint64_t> RedisBroker::purge(const std::string& queue, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  std::string bytes;
  for (const int step : keys_.layout().steps) {
    const std::string list = keys_.list(keys_.list_name(queue, step));
    client::append_command(bytes, {"LLEN", list});
    client::append_command(bytes, {"DEL", list});
  }
  const auto replies = in_one_step(**connection, bytes, 2 * keys_.layout().steps.size(), deadline);
  if (!replies) return tl::unexpected(replies.error());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < replies->size(); i += 2) sum += static_cast<std::uint64_t>((*replies)[i].integer);
  return sum;
}

Result<std::uint64_t> RedisBroker::release(Scheduled which, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto lists = (*connection)->command({"SMEMBERS", keys_.lists()}, deadline);
  if (!lists) return tl::unexpected(lists.error());
  std::uint64_t sum = 0;
  for (const auto& list : lists->items) {
    const ScriptCall call{&hand_back_script(),
                          {keys_.list(list.text), keys_.schedule(list.text)},
                          {which == Scheduled::due ? "due" : "all"}};
    for (std::int64_t moved = 1; moved > 0;) {
      const auto reply = run(**connection, call, deadline);
      if (!reply) return tl::unexpected(reply.error());
      moved = reply->integer;
      sum += static_cast<std::uint64_t>(moved);
    }
  }
  return sum;
}

Result<std::vector<WorkerInfo>> RedisBroker::workers(Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto incarnations = (*connection)->command({"HGETALL", keys_.incarnations()}, deadline);
  if (!incarnations) return tl::unexpected(incarnations.error());
  std::vector<WorkerInfo> infos;
  for (std::size_t i = 0; i + 1 < incarnations->items.size(); i += 2) {
    WorkerInfo info;
    info.incarnation = IncarnationId(incarnations->items[i].text);
    info.counter = number_in(incarnations->items[i + 1].text);
    std::string bytes;
    client::append_command(bytes, {"HGETALL", keys_.about(info.incarnation)});
    client::append_command(bytes, {"HLEN", keys_.reserved(info.incarnation)});
    const auto replies = (*connection)->pipeline(bytes, 2, deadline);
    if (!replies) return tl::unexpected(replies.error());
    std::set<std::string> queues;
    const auto& about = (*replies)[0].items;
    for (std::size_t j = 0; j + 1 < about.size(); j += 2) {
      const auto& field = about[j].text;
      if (field == "node_name") info.node_name = about[j + 1].text;
      if (field.starts_with(kListField)) {
        queues.insert(parse_list_name(field.substr(kListField.size()), keys_.layout()).queue);
      }
    }
    info.queues.emplace(queues.begin(), queues.end());
    info.reserved = static_cast<std::uint64_t>((*replies)[1].integer);
    infos.push_back(std::move(info));
  }
  return infos;
}

Result<std::vector<DeadLetterEntry>> RedisBroker::dead_letters(std::size_t limit, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  std::vector<DeadLetterEntry> entries;
  std::string from = "-";
  while (entries.size() < limit) {
    const std::size_t count = std::min<std::size_t>(limit - entries.size(), 100);
    const auto page =
        (*connection)->command({"XRANGE", keys_.dead(), from, "+", "COUNT", std::to_string(count)}, deadline);
    if (!page) return tl::unexpected(page.error());
    for (const auto& item : page->items) entries.push_back(dead_letter_of(item));
    if (page->items.size() < count) break;
    from = "(" + entries.back().key;
  }
  return entries;
}

Result<std::optional<DeadLetterEntry>> RedisBroker::dead_letter(const std::string& key_or_id, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  if (is_letter_key(key_or_id)) {
    const auto found = (*connection)->command({"XRANGE", keys_.dead(), key_or_id, key_or_id}, deadline);
    if (!found) return tl::unexpected(found.error());
    if (!found->items.empty()) return dead_letter_of(found->items.front());
  }
  std::string from = "-";
  for (;;) {
    const auto page = (*connection)->command({"XRANGE", keys_.dead(), from, "+", "COUNT", "100"}, deadline);
    if (!page) return tl::unexpected(page.error());
    for (const auto& item : page->items) {
      auto entry = dead_letter_of(item);
      from = "(" + entry.key;
      if (entry.letter.task_id == key_or_id) return entry;
    }
    if (page->items.empty()) return std::nullopt;
  }
}

Result<void> RedisBroker::retry_dead_letter(const std::string& key, const wire::TaskMessage& message,
                                            Deadline deadline) {
  if (!is_letter_key(key)) return fail(Errc::not_found, "no dead letter has the key " + key);
  auto lists = list_keys(message, deadline);
  if (!lists) return tl::unexpected(lists.error());
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  ScriptCall call{&retry_dead_letter_script(), {keys_.dead()}, {key, wire::encode_envelope(message)}};
  call.keys.insert(call.keys.end(), std::make_move_iterator(lists->begin()), std::make_move_iterator(lists->end()));
  const auto reply = run(**connection, call, deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->integer == 0) return fail(Errc::not_found, "no dead letter has the key " + key);
  return {};
}

Result<void> RedisBroker::bury(std::span<const BuriedMessage> messages, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  std::string bytes;
  client::append_command(bytes, {"MULTI"});
  for (const auto& [message, letter] : messages) {
    client::append_command(bytes, {"XADD", keys_.dead(), "*", "queue", message.routing_key, "step", "0", "id",
                                   letter.task_id, "task", letter.task, "reason", letter.reason, "detail",
                                   letter.detail, "message", wire::encode_envelope(message)});
  }
  client::append_command(bytes, {"EXEC"});
  const auto replies = (*connection)->pipeline(bytes, 2 + messages.size(), deadline);
  if (!replies) return tl::unexpected(replies.error());
  const RedisReply& done = replies->back();
  if (done.is_error()) return tl::unexpected(client::failure_of(done));
  for (const auto& item : done.items) {
    if (item.is_error()) return tl::unexpected(client::failure_of(item));
  }
  return {};
}

Result<std::uint64_t> RedisBroker::purge_dead_letters(std::optional<std::string> key, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  if (key && !is_letter_key(*key)) return 0;
  const auto reply = key ? (*connection)->command({"XDEL", keys_.dead(), *key}, deadline)
                         : run(**connection, {&purge_dead_letters_script(), {keys_.dead()}, {}}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  return static_cast<std::uint64_t>(reply->integer);
}

}  // namespace lovage::broker::redis
