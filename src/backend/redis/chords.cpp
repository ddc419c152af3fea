// RedisBackend: chords and groups, under the keys that Python workers use too.
#include <charconv>
#include <utility>

#include "backend/redis/redis_backend.hpp"
#include "broker/redis/keys.hpp"

namespace lovage::backend::redis {
namespace {

using broker::redis::chord_keys;
using client::RedisReply;

Result<void> done(const Result<RedisReply>& reply) {
  if (!reply) return tl::unexpected(reply.error());
  return {};
}

}  // namespace

Result<RedisReply> RedisBackend::command(const std::vector<std::string_view>& words, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  return (*connection)->command(words, deadline);
}

Result<RedisReply> RedisBackend::call(const broker::redis::ScriptCall& script, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  return run(**connection, script, deadline);
}

Result<void> RedisBackend::start_chord(const ChordStart& start, Deadline deadline) {
  const auto keys = chord_keys(prefix_, start.group_id);
  return done(
      call({&broker::redis::start_chord_script(), {keys.parts, keys.size, keys.more}, {std::to_string(start.size)}},
           deadline));
}

Result<void> RedisBackend::extend_chord(const std::string& group_id, Deadline deadline) {
  const auto keys = chord_keys(prefix_, group_id);
  return done(call({&broker::redis::extend_chord_script(),
                    {keys.parts, keys.size, keys.more},
                    {std::to_string(options_.expires.count())}},
                   deadline));
}

Result<bool> RedisBackend::count_parts(const ChordCount& count, Deadline deadline) {
  const auto keys = chord_keys(prefix_, count.group_id);
  broker::redis::ScriptCall script{&broker::redis::count_parts_script(),
                                   {keys.parts, keys.size, keys.more},
                                   {std::to_string(options_.expires.count()), std::to_string(count.added)}};
  for (const auto& part : count.parts) {
    script.keys.push_back(key(part.task_id));
    script.args.insert(script.args.end(),
                       {broker::redis::part_score(part, options_.ordered_chords), part.task_id, part.text});
  }
  const auto reply = call(script, deadline);
  if (!reply) return tl::unexpected(reply.error());
  return reply->integer == 1;
}

// The next ones begin at a rank.
Result<ChordParts> RedisBackend::chord_parts(const std::string& group_id, const std::string& from, std::size_t most,
                                             Deadline deadline) {
  ChordParts parts;
  if (most == 0) return parts;
  std::size_t first = 0;
  std::from_chars(from.data(), from.data() + from.size(), first);
  const std::string begin = std::to_string(first);
  const std::string last = std::to_string(first + most - 1);
  const std::string key = chord_keys(prefix_, group_id).parts;
  auto reply = command({"ZRANGE", key, begin, last}, deadline);
  // A list: Python workers with result_chord_ordered = false began it.
  if (!reply && reply.error().message.find("WRONGTYPE") != std::string::npos)
    reply = command({"LRANGE", key, begin, last}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  for (auto& item : reply->items) parts.texts.push_back(std::move(item.text));
  if (parts.texts.size() == most) parts.next = std::to_string(first + most);
  return parts;
}

// The keys go last: asked once more, all of it happens again.
Result<void> RedisBackend::end_chord(const ChordEnd& end, Deadline deadline) {
  const auto keys = chord_keys(prefix_, end.group_id);
  std::string bytes;
  std::size_t commands = 0;
  const auto add = [&](std::initializer_list<std::string_view> words) {
    client::append_command(bytes, words);
    ++commands;
  };
  const std::string expires = std::to_string(options_.expires.count());
  if (options_.expires.count() > 0) {
    add({"EXPIRE", keys.group, expires});
    for (const auto& id : end.task_ids) add({"EXPIRE", key(id), expires});
  }
  add({"UNLINK", keys.parts, keys.size, keys.more});
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto replies = (*connection)->pipeline(bytes, commands, deadline);
  if (!replies) return tl::unexpected(replies.error());
  for (const auto& reply : *replies) {
    if (reply.is_error()) return tl::unexpected(client::failure_of(reply));
  }
  return {};
}

Result<void> RedisBackend::save_group(const std::string& group_id, const std::string& text, Deadline deadline) {
  const auto keys = chord_keys(prefix_, group_id);
  return done(call(
      {&broker::redis::save_group_script(), {keys.group, keys.size}, {text, std::to_string(options_.expires.count())}},
      deadline));
}

Result<std::optional<std::string>> RedisBackend::restore_group(const std::string& group_id, Deadline deadline) {
  auto reply = command({"GET", chord_keys(prefix_, group_id).group}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->is_nil()) return std::nullopt;
  return std::move(reply->text);
}

Result<void> RedisBackend::forget_group(const std::string& group_id, Deadline deadline) {
  return done(command({"DEL", chord_keys(prefix_, group_id).group}, deadline));
}

}  // namespace lovage::backend::redis
