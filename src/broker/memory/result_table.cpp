#include "broker/memory/result_table.hpp"

#include <iterator>
#include <utility>

#include <lovage/states.hpp>

namespace lovage::broker::memory {
namespace {

// Each new result pays for the removal of two that have expired, so the table cannot outgrow what is valid.
constexpr std::size_t kExpirePerPut = 2;

}  // namespace

bool ResultTable::has_expired(const Stored& stored, Timestamp now) const noexcept {
  return expires_.count() > 0 && !stored.kept && stored.at + expires_ <= now;
}

bool ResultTable::put(StoreResult result, Timestamp now) {
  expire(now, kExpirePerPut);
  by_time_.push_back({std::move(result), now});
  const auto newest = std::prev(by_time_.end());
  const auto [known, is_new] = by_id_.try_emplace(newest->result.task_id, newest);
  if (is_new) return true;
  Stored& stored = *known->second;
  const bool replaces = has_expired(stored, now) || states::may_replace(stored.result.state, newest->result.state);
  if (replaces) {
    // Not the id: the index refers to its text.
    stored.result.state = std::move(newest->result.state);
    stored.result.meta = std::move(newest->result.meta);
    stored.at = now;
    by_time_.splice(newest, list_of(stored), known->second);
    stored.kept = false;
  }
  by_time_.pop_back();
  return replaces;
}

const StoreResult* ResultTable::find(std::string_view task_id, Timestamp now) const {
  const auto known = by_id_.find(task_id);
  if (known == by_id_.end() || has_expired(*known->second, now)) return nullptr;
  return &known->second->result;
}

void ResultTable::forget(std::string_view task_id) {
  const auto known = by_id_.find(task_id);
  if (known == by_id_.end()) return;
  const auto stored = known->second;
  by_id_.erase(known);
  list_of(*stored).erase(stored);
}

void ResultTable::keep(std::string_view task_id) {
  const auto known = by_id_.find(task_id);
  if (known == by_id_.end() || known->second->kept) return;
  known->second->kept = true;
  kept_.splice(kept_.end(), by_time_, known->second);
}

void ResultTable::let_go(std::string_view task_id, Timestamp now) {
  const auto known = by_id_.find(task_id);
  if (known == by_id_.end() || has_expired(*known->second, now)) return;
  by_time_.splice(by_time_.end(), list_of(*known->second), known->second);
  known->second->kept = false;
  known->second->at = now;
}

std::size_t ResultTable::expire(Timestamp now, std::size_t most) {
  std::size_t removed = 0;
  for (; removed < most && !by_time_.empty() && has_expired(by_time_.front(), now); ++removed) {
    by_id_.erase(by_time_.front().result.task_id);
    by_time_.pop_front();
  }
  return removed;
}

}  // namespace lovage::broker::memory
