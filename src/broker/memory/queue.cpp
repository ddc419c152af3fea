#include "broker/memory/queue.hpp"

#include <algorithm>

namespace lovage::broker::memory {
namespace {

std::size_t index_of(int step) noexcept {
  const auto& steps = wire::kDefaultPrioritySteps;
  const auto* const found = std::find(steps.begin(), steps.end(), step);
  return std::min(static_cast<std::size_t>(found - steps.begin()), steps.size() - 1);
}

}  // namespace

bool Queue::is_unused() const noexcept {
  return !declared_ && reserved_ == 0 && schedule_.empty() &&
         std::all_of(lists_.begin(), lists_.end(), [](const auto& list) { return list.empty(); });
}

bool Queue::has_work(Timestamp now) const {
  const auto due = next_due();
  return (due && *due <= now) || std::ranges::any_of(lists_, [](const auto& list) { return !list.empty(); });
}

QueueInfo Queue::counts(const std::string& name) const {
  QueueInfo info{name, 0, schedule_.size(), reserved_};
  for (const auto& list : lists_) info.ready += list.size();
  return info;
}

void Queue::put(int step, Message message) {
  auto& list = lists_[index_of(step)];
  if (list.empty() || list.back().position < message.position) {
    list.push_back(std::move(message));
    return;
  }
  const auto after =
      std::upper_bound(list.begin(), list.end(), message.position,
                       [](std::uint64_t position, const Message& each) { return position < each.position; });
  list.insert(after, std::move(message));
}

const Message* Queue::first(int step) const {
  const auto& list = lists_[index_of(step)];
  return list.empty() ? nullptr : &list.front();
}

Message Queue::take_first(int step) {
  auto& list = lists_[index_of(step)];
  Message message = std::move(list.front());
  list.pop_front();
  ++reserved_;
  return message;
}

void Queue::schedule(Timestamp due, int step, Message message, const std::string& unknown_task) {
  const std::uint64_t position = message.position;
  if (!unknown_task.empty()) unknown_[unknown_task].emplace(step, position, due);
  schedule_.emplace(ScheduleKey(due, position), Scheduled{step, std::move(message), unknown_task});
}

std::optional<Timestamp> Queue::next_due() const {
  if (schedule_.empty()) return std::nullopt;
  return schedule_.begin()->first.first;
}

std::size_t Queue::move_due(Timestamp now, std::size_t most, std::uint64_t& last_position) {
  std::size_t moved = 0;
  for (; moved < most && !schedule_.empty() && schedule_.begin()->first.first <= now; ++moved) {
    Scheduled scheduled = take_scheduled(schedule_.begin());
    scheduled.message.position = ++last_position;
    put(scheduled.step, std::move(scheduled.message));
  }
  return moved;
}

Queue::Scheduled Queue::take_scheduled(Schedule::iterator at) {
  const auto [due, position] = at->first;
  Scheduled scheduled = std::move(at->second);
  schedule_.erase(at);
  if (const auto same_task = unknown_.find(scheduled.unknown_task); same_task != unknown_.end()) {
    same_task->second.erase(UnknownKey(scheduled.step, position, due));
    if (same_task->second.empty()) unknown_.erase(same_task);
  }
  return scheduled;
}

const std::string* Queue::next_unknown(const std::string& task) const {
  const auto next = unknown_.upper_bound(task);
  return next == unknown_.end() ? nullptr : &next->first;
}

const Queue::UnknownKey* Queue::find_unknown(const std::string& task, int step) const {
  const auto same_task = unknown_.find(task);
  if (same_task == unknown_.end()) return nullptr;
  const auto first = same_task->second.lower_bound(UnknownKey(step, 0, Timestamp::min()));
  return first != same_task->second.end() && std::get<int>(*first) == step ? &*first : nullptr;
}

const Message* Queue::first_unknown(const std::string& task, int step) const {
  const UnknownKey* const found = find_unknown(task, step);
  if (found == nullptr) return nullptr;
  const auto& [same_step, position, due] = *found;
  return &schedule_.at({due, position}).message;
}

std::pair<Message, Timestamp> Queue::take_first_unknown(const std::string& task, int step) {
  const auto [same_step, position, due] = *find_unknown(task, step);
  ++reserved_;
  return {take_scheduled(schedule_.find({due, position})).message, due};
}

}  // namespace lovage::broker::memory
