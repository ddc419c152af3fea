#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/memory/store.hpp"

namespace lovage::broker::memory {
namespace {

std::optional<std::uint64_t> key_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::vector<QueueInfo> Store::queues(std::span<const std::string> names) {
  std::vector<QueueInfo> infos;
  const std::lock_guard lock(mutex_);
  for (const auto& name : names) {
    const auto known = queues_.find(name);
    infos.push_back(known == queues_.end() ? QueueInfo{name} : known->second.counts(name));
  }
  if (!names.empty()) return infos;
  for (const auto& [name, queue] : queues_) infos.push_back(queue.counts(name));
  return infos;
}

std::uint64_t Store::purge(const std::string& name) {
  Queue::Lists purged;  // goes after the lock
  {
    const std::lock_guard lock(mutex_);
    const auto known = queues_.find(name);
    if (known == queues_.end()) return 0;
    purged = known->second.take_ready();
    drop_if_unused(*known);
  }
  std::uint64_t count = 0;
  for (const auto& list : purged) count += list.size();
  return count;
}

std::uint64_t Store::count_dead_letters() {
  const std::lock_guard lock(mutex_);
  return dead_letters_.size();
}

std::vector<DeadLetterEntry> Store::dead_letters(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  std::vector<DeadLetterEntry> letters;
  for (const auto& [key, letter] : dead_letters_) {
    if (letters.size() == limit) break;
    letters.push_back(letter);
  }
  return letters;
}

std::optional<DeadLetterEntry> Store::dead_letter(const std::string& key_or_id) {
  const std::lock_guard lock(mutex_);
  // The latest, when one task died more than once.
  const auto found = std::find_if(dead_letters_.rbegin(), dead_letters_.rend(), [&](const auto& each) {
    return each.second.key == key_or_id || each.second.letter.task_id == key_or_id;
  });
  if (found == dead_letters_.rend()) return std::nullopt;
  return found->second;
}

Result<void> Store::retry_dead_letter(const std::string& key, const wire::TaskMessage& message) {
  Turn turn(*this);
  auto queues = route(message);
  if (!queues) return tl::unexpected(queues.error());
  const auto number = key_number(key);
  if (!number || dead_letters_.erase(*number) == 0) return fail(Errc::not_found, "no dead letter '" + key + "'");
  place(turn, *queues, message);
  return {};
}

std::uint64_t Store::purge_dead_letters(const std::optional<std::string>& key) {
  const std::lock_guard lock(mutex_);
  if (!key) return std::exchange(dead_letters_, {}).size();
  const auto number = key_number(*key);
  return number ? dead_letters_.erase(*number) : 0;
}

std::uint64_t Store::release(Timestamp due) {
  Turn turn(*this);
  std::uint64_t sum = 0;
  for (auto& entry : queues_) {
    const std::size_t moved = entry.second.move_due(due, std::numeric_limits<std::size_t>::max(), last_position_);
    if (moved > 0) turn.came(entry);
    sum += moved;
  }
  return sum;
}

}  // namespace lovage::broker::memory
