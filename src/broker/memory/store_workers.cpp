#include <algorithm>
#include <utility>

#include "broker/memory/store.hpp"

namespace lovage::broker::memory {

Store::Worker* Store::find_worker(WorkerId id) {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

Store::Worker* Store::find_worker(const IncarnationId& incarnation) {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [&](const auto& each) { return each.second.incarnation == incarnation; });
  return found == workers_.end() ? nullptr : &found->second;
}

WorkerId Store::add_worker(const IncarnationId& incarnation, const std::string& node_name, std::shared_ptr<Bell> bell) {
  const std::lock_guard lock(mutex_);
  const WorkerId id(++last_worker_);
  Worker& worker = workers_[id];
  worker.incarnation = incarnation;
  worker.node_name = node_name;
  worker.bell = std::move(bell);
  return id;
}

void Store::add_queue(WorkerId id, const wire::QueueDeclaration& queue) {
  const std::lock_guard lock(mutex_);
  declare(queue);
  Worker* const worker = find_worker(id);
  if (worker == nullptr) return;
  Entry* const entry = &queue_named(queue.name);  // declared: it stays
  auto& queues = worker->queues;
  if (std::find(queues.begin(), queues.end(), entry) == queues.end()) queues.push_back(entry);
}

void Store::cancel_queue(WorkerId id, const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (Worker* const worker = find_worker(id)) {
    std::erase_if(worker->queues, [&](const Entry* queue) { return queue->first == name; });
  }
}

void Store::give_back(Turn& turn, WorkerId id) {
  const auto found = workers_.find(id);
  for (auto& [token, reservation] : found->second.reserved) {
    Queue& queue = reservation.queue->second;
    queue.released();
    if (reservation.continuation) {
      continuations_.push_back({reservation.queue->first, reservation.step, std::move(*reservation.continuation)});
      turn.continuation_came(*reservation.queue);
      drop_if_unused(*reservation.queue);
      continue;
    }
    queue.put(reservation.step, std::move(reservation.message));
    turn.came(*reservation.queue);
  }
  workers_.erase(found);
}

void Store::remove_worker(WorkerId id) {
  Turn turn(*this);
  if (find_worker(id) != nullptr) give_back(turn, id);
}

bool Store::renew(const IncarnationId& incarnation) {
  const std::lock_guard lock(mutex_);
  Worker* const worker = find_worker(incarnation);
  if (worker == nullptr) return false;
  ++worker->counter;
  return true;
}

std::optional<LeaseSnapshot> Store::look_as_sweeper(const IncarnationId& holder, std::chrono::milliseconds lease) {
  const std::lock_guard lock(mutex_);
  const Monotonic now = clock().monotonic();
  if (sweeper_ != holder && now < sweeper_until_) return std::nullopt;
  sweeper_ = holder;
  sweeper_until_ = now + lease;
  LeaseSnapshot snapshot{identity(), {}};
  for (const auto& [id, worker] : workers_) snapshot.counters.emplace(worker.incarnation, worker.counter);
  return snapshot;
}

std::optional<Lease::Swept> Store::sweep(const DeadIncarnation& dead) {
  Turn turn(*this);
  const auto found = std::find_if(workers_.begin(), workers_.end(), [&](const auto& each) {
    return each.second.incarnation == dead.incarnation && each.second.counter == dead.counter;
  });
  if (found == workers_.end()) return std::nullopt;
  auto& [id, worker] = *found;
  for (auto& [token, reservation] : worker.reserved) {
    Marks& marks = reservation.message.marks;  // a continuation's are gone with the message
    marks.suspect = true;
    if (reservation.started) ++marks.strikes;
  }
  Lease::Swept swept{worker.node_name, worker.reserved.size()};
  turn.wake(worker);  // it learns that it is lost
  give_back(turn, id);
  return swept;
}

std::vector<WorkerInfo> Store::workers() {
  const std::lock_guard lock(mutex_);
  std::vector<WorkerInfo> infos;
  for (const auto& [id, worker] : workers_) {
    WorkerInfo info{worker.incarnation, worker.node_name, worker.counter, worker.reserved.size(), {}};
    info.queues.emplace();
    for (const Entry* queue : worker.queues) info.queues->push_back(queue->first);
    std::sort(info.queues->begin(), info.queues->end());
    infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace lovage::broker::memory
