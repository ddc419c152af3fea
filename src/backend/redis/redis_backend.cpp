#include "backend/redis/redis_backend.hpp"

#include <algorithm>
#include <utility>

#include "backend/redis/result_waiter.hpp"
#include "broker/redis/keys.hpp"
#include "broker/redis/script.hpp"
#include "broker/redis/server_info.hpp"

namespace lovage::backend::redis {
namespace {

using client::RedisReply;
namespace shared = broker::redis;

constexpr std::size_t kKeysAtOnce = 1'000;
constexpr std::size_t kStoresAtOnce = 256;

std::optional<std::string> meta_of(RedisReply& reply) {
  if (reply.is_nil()) return std::nullopt;
  return std::move(reply.text);
}

}  // namespace

RedisBackend::RedisBackend(RedisBackendOptions options)
    : options_(std::move(options)),
      prefix_(shared::result_prefix(options_.redis.global_keyprefix)),
      pool_(options_.redis),
      waiter_(std::make_unique<ResultWaiter>(pool_)) {}

RedisBackend::~RedisBackend() = default;

std::string RedisBackend::key(const std::string& task_id) const {
  return shared::result_key(prefix_, task_id);
}

Result<std::optional<std::string>> RedisBackend::get(const std::string& task_id, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  auto reply = (*connection)->command({"GET", key(task_id)}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  return meta_of(*reply);
}

Result<std::vector<std::optional<std::string>>> RedisBackend::get_many(std::span<const std::string> task_ids,
                                                                       Deadline deadline) {
  std::vector<std::optional<std::string>> metas;
  if (task_ids.empty()) return metas;
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  while (metas.size() < task_ids.size()) {
    const auto chunk = task_ids.subspan(metas.size(), std::min(kKeysAtOnce, task_ids.size() - metas.size()));
    std::vector<std::string> keys;
    for (const auto& id : chunk) keys.push_back(key(id));
    std::vector<std::string_view> words{"MGET"};
    words.insert(words.end(), keys.begin(), keys.end());
    auto reply = (*connection)->command(words, deadline);
    if (!reply) return tl::unexpected(reply.error());
    if (reply->items.size() != chunk.size()) return fail(Errc::bad_data, "an MGET reply of another length");
    for (auto& item : reply->items) metas.push_back(meta_of(item));
  }
  return metas;
}

Result<std::optional<std::string>> RedisBackend::wait(const std::string& task_id, Deadline deadline) {
  return waiter_->wait(key(task_id), deadline);
}

std::vector<Result<void>> RedisBackend::store(std::span<const StoreResult> results, Deadline deadline) {
  std::vector<Result<void>> outcomes;
  auto connection = pool_.take(deadline);
  if (!connection) {
    outcomes.assign(results.size(), tl::unexpected(connection.error()));
    return outcomes;
  }
  while (outcomes.size() < results.size()) {
    const auto rest = results.subspan(outcomes.size());
    auto chunk = store_chunk(**connection, rest.first(std::min(kStoresAtOnce, rest.size())), deadline);
    const bool broken = !(*connection)->usable();
    outcomes.insert(outcomes.end(), chunk.begin(), chunk.end());
    if (broken) outcomes.resize(results.size(), fail(Errc::unavailable, "the connection broke before this result"));
  }
  return outcomes;
}

std::vector<Result<void>> RedisBackend::store_chunk(client::RedisSync& connection, std::span<const StoreResult> results,
                                                    Deadline deadline) {
  const std::string expires = std::to_string(options_.expires.count());
  std::vector<shared::ScriptCall> calls;
  std::string bytes;
  std::string one;
  for (const auto& result : results) {
    calls.push_back({&shared::store_result_script(), {key(result.task_id)}, {result.state, result.meta, expires}});
    client::append_command(bytes, shared::words_of(calls.back(), shared::Send::by_sha, one));
  }
  auto replies = connection.pipeline(bytes, results.size(), deadline);
  if (!replies) return {results.size(), tl::unexpected(replies.error())};
  std::vector<Result<void>> outcomes;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Result<RedisReply> reply = std::move((*replies)[i]);
    if (shared::is_noscript(*reply)) {
      reply = connection.command(shared::words_of(calls[i], shared::Send::whole, one), deadline);
    } else if (reply->is_error()) {
      reply = tl::unexpected(client::failure_of(*reply));
    }
    outcomes.push_back(reply.map([](const RedisReply&) {}));
  }
  return outcomes;
}

Result<void> RedisBackend::forget(const std::string& task_id, Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto reply = (*connection)->command({"DEL", key(task_id)}, deadline);
  if (!reply) return tl::unexpected(reply.error());
  return {};
}

Result<void> RedisBackend::check(Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  const auto judged = shared::check_server(**connection, deadline);
  if (!judged) return tl::unexpected(judged.error());
  return {};
}

Result<std::string> RedisBackend::identity(Deadline deadline) {
  auto connection = pool_.take(deadline);
  if (!connection) return tl::unexpected(connection.error());
  return shared::server_identity(**connection, deadline);
}

}  // namespace lovage::backend::redis
