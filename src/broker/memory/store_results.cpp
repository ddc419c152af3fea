#include <utility>

#include <lovage/states.hpp>

#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

void Store::put_result(StoreResult result, Timestamp now) {
  // Those who wait look for themselves whether it is there.
  if (!result_waiters_.empty() && states::is_ready(result.state)) {
    const auto [first, last] = result_waiters_.equal_range(result.task_id);
    for (auto waiter = first; waiter != last; ++waiter) waiter->second->notify_one();
  }
  results_.put(std::move(result), now);
}

void Store::put_results(std::span<const StoreResult> results) {
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock().now();
  for (const auto& result : results) put_result(result, now);
}

std::vector<std::optional<std::string>> Store::results(std::span<const std::string> task_ids) {
  std::vector<std::optional<std::string>> metas;
  metas.reserve(task_ids.size());
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock().now();
  for (const auto& task_id : task_ids) {
    const StoreResult* const stored = results_.find(task_id, now);
    metas.push_back(stored == nullptr ? std::nullopt : std::optional(stored->meta));
  }
  return metas;
}

std::optional<std::string> Store::wait_for_result(const std::string& task_id, Deadline deadline) {
  std::condition_variable came;
  std::unique_lock lock(mutex_);
  const auto waiter = result_waiters_.emplace(task_id, &came);
  std::optional<std::string> meta;
  const auto is_there = [&] {
    const StoreResult* const stored = results_.find(task_id, clock().now());
    if (stored != nullptr && states::is_ready(stored->state)) meta = stored->meta;
    return meta.has_value();
  };
  if (deadline.is_never()) {
    came.wait(lock, is_there);
  } else {
    came.wait_until(lock, deadline.when(), is_there);
  }
  result_waiters_.erase(waiter);
  return meta;
}

void Store::forget(const std::string& task_id) {
  const std::lock_guard lock(mutex_);
  results_.forget(task_id);
}

std::size_t Store::expire_results(std::size_t most) {
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock().now();
  chords_.expire(now);
  graphs_.expire(now);
  return results_.expire(now, most);
}

}  // namespace lovage::broker::memory
