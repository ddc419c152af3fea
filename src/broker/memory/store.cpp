#include "broker/memory/store.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lovage::broker::memory {

Store::Store(std::string name, const StoreOptions& options)
    : name_(std::move(name)), options_(options), results_(options.result_expires) {}

std::string Store::identity() const {
  return fmt::format("memory:{}", static_cast<const void*>(this));
}

void Store::clock_moved() {
  Turn turn(*this);
  for (auto& [id, worker] : workers_) turn.wake(worker);
}

Store::Turn::~Turn() {
  lock_.unlock();
  for (const auto& bell : bells_) bell->ring();
}

void Store::Turn::came(const Entry& queue) {
  for (auto& [id, worker] : store_.workers_) {
    if (!worker.listening) continue;
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
