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
  if (expires_.count() == 0) return false;
  return stored.at + expires_ + (stored.kept ? kChordLasts : std::chrono::hours(0)) <= now;
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

void ResultTable::keep(std::string_view task_id, Timestamp now) {
  const auto known = by_id_.find(task_id);
  if (known == by_id_.end() || known->second->kept || has_expired(*known->second, now)) return;
  known->second->kept = true;
  known->second->at = now;
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
  for (auto* const list : {&by_time_, &kept_}) {
    for (; removed < most && !list->empty() && has_expired(list->front(), now); ++removed) {
      by_id_.erase(list->front().result.task_id);
      list->pop_front();
    }
  }
  return removed;
}

}  // namespace lovage::broker::memory
