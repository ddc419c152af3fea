// Results in Redis, under Celery's keys: "celery-task-meta-<id>", stored and published in one step.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.hpp"
#include "broker/redis/script.hpp"
#include "client/redis_options.hpp"
#include "client/redis_sync.hpp"

namespace lovage::backend::redis {

class ResultWaiter;

struct RedisBackendOptions {
  client::RedisOptions redis;  // its global_keyprefix gets "_" unless it ends in one of ": _ - .", as Celery does
  std::chrono::seconds expires{86'400};  // result_expires; 0: never
  bool ordered_chords = true;            // see broker::redis::ResultStore
};

class RedisBackend final : public Backend {
 public:
  explicit RedisBackend(RedisBackendOptions options);
  RedisBackend(const RedisBackend&) = delete;
  RedisBackend& operator=(const RedisBackend&) = delete;
  ~RedisBackend() override;

  Result<std::optional<std::string>> get(const std::string& task_id, Deadline deadline) override;
  Result<std::vector<std::optional<std::string>>> get_many(std::span<const std::string> task_ids,
                                                           Deadline deadline) override;
  Result<std::optional<std::string>> wait(const std::string& task_id, Deadline deadline) override;
  std::vector<Result<void>> store(std::span<const StoreResult> results, Deadline deadline) override;
  Result<void> forget(const std::string& task_id, Deadline deadline) override;
  // chords.cpp
  Result<void> start_chord(const ChordStart& start, Deadline deadline) override;
  Result<void> extend_chord(const std::string& group_id, Deadline deadline) override;
  Result<bool> count_parts(const ChordCount& count, Deadline deadline) override;
  Result<ChordParts> chord_parts(const std::string& group_id, const std::string& from, std::size_t most,
                                 Deadline deadline) override;
  Result<void> end_chord(const ChordEnd& end, Deadline deadline) override;
  Result<void> save_group(const std::string& group_id, const std::string& text, Deadline deadline) override;
  Result<std::optional<std::string>> restore_group(const std::string& group_id, Deadline deadline) override;
  Result<void> forget_group(const std::string& group_id, Deadline deadline) override;

  Result<void> check(Deadline deadline) override;
  Result<std::string> identity(Deadline deadline) override;
  [[nodiscard]] std::string display_url() const override { return options_.redis.display_url; }

 private:
  [[nodiscard]] std::string key(const std::string& task_id) const;
  Result<client::RedisReply> command(const std::vector<std::string_view>& words, Deadline deadline);
  Result<client::RedisReply> call(const broker::redis::ScriptCall& script, Deadline deadline);
  std::vector<Result<void>> store_chunk(client::RedisSync& connection, std::span<const StoreResult> results,
                                        Deadline deadline);

  const RedisBackendOptions options_;
  const std::string prefix_;
  client::RedisPool pool_;
  std::unique_ptr<ResultWaiter> waiter_;
};

}  // namespace lovage::backend::redis
