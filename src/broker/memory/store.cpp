#include "broker/memory/store.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lovage::broker::memory {

Store::Store(std::string name, const StoreOptions& options)
    : name_(std::move(name)), options_(options), results_(options.result_expires), chords_(options.result_expires) {}

std::string Store::identity() const {
  return fmt::format("memory:{}", static_cast<const void*>(this));
}

void Store::clock_moved() {
  Turn turn(*this);
  for (auto& [id, worker] : workers_) turn.wake(worker);
}

bool Store::wait_until_idle(Deadline deadline) {
  std::unique_lock lock(mutex_);
  ++idle_waiters_;
  const auto idle = [this] { return is_idle(); };
  const bool in_time =
      deadline.is_never() ? (idle_.wait(lock, idle), true) : idle_.wait_until(lock, deadline.when(), idle);
  --idle_waiters_;
  return in_time;
}

bool Store::is_idle() const {
  const Timestamp now = clock().now();
  const auto has_work = [&](const Entry* queue) {
    return queue->second.has_work(now) ||
           std::ranges::find(continuations_, queue->first, &Waiting::queue) != continuations_.end();
  };
  return std::ranges::all_of(workers_, [&](const auto& each) {
    return each.second.reserved.empty() && std::ranges::none_of(each.second.queues, has_work);
  });
}

Store::Turn::~Turn() {
  if (store_.idle_waiters_ > 0 && store_.is_idle()) store_.idle_.notify_all();
  lock_.unlock();
  for (const auto& bell : bells_) bell->ring();
}

void Store::Turn::came(const Entry& queue) {
  for (auto& [id, worker] : store_.workers_) {
    if (!worker.listening) continue;
    if (std::find(worker.queues.begin(), worker.queues.end(), &queue) != worker.queues.end()) wake(worker);
  }
}

// They come beside the credit, so they come to those who do not listen, too.
void Store::Turn::continuation_came(const Entry& queue) {
  for (auto& [id, worker] : store_.workers_) {
    if (std::find(worker.queues.begin(), worker.queues.end(), &queue) != worker.queues.end()) wake(worker);
  }
}

void Store::Turn::wake(Worker& worker) {
  worker.listening = false;  // it will look for itself
  bells_.push_back(worker.bell);
}

std::shared_ptr<Store> open_store(const std::string& name, const StoreOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Store>> stores;
  const std::lock_guard lock(mutex);
  std::erase_if(stores, [](const auto& each) { return each.second.expired(); });
  auto& known = stores[name];
  auto store = known.lock();
  if (!store) {
    store = std::make_shared<Store>(name, options);
    known = store;
  }
  return store;
}

}  // namespace lovage::broker::memory
