#include "worker/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/backoff.hpp"
#include "base/logging.hpp"

namespace lovage::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostPerBatch = 256;
constexpr std::chrono::seconds kCallBudget{5};

// An uncertain write is made again: storing twice changes nothing, and a successor is sent at least once.
bool try_again(Errc code) {
  return is_retryable(code) || code == Errc::uncertain;
}

}  // namespace

Outbox::Outbox(broker::Broker& broker, backend::Backend* backend, Post post)
    : broker_(broker), backend_(backend), post_(std::move(post)), thread_([this] { run(); }) {}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Outbox::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  wake_.notify_one();
}

void Outbox::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !items_.empty(); });
    if (stopping_) return;
    const auto count = static_cast<std::ptrdiff_t>(std::min(items_.size(), kMostPerBatch));
    std::vector<Item> batch(std::make_move_iterator(items_.begin()), std::make_move_iterator(items_.begin() + count));
    items_.erase(items_.begin(), items_.begin() + count);
    lock.unlock();
    if (!carry_out(batch)) return;
    lock.lock();
  }
}

bool Outbox::carry_out(std::vector<Item>& batch) {
  std::vector<broker::StoreResult> results;
  std::vector<wire::QueueDeclaration> declares;
  std::vector<wire::TaskMessage> sends;
  for (auto& item : batch) {
    std::move(item.results.begin(), item.results.end(), std::back_inserter(results));
    std::move(item.declares.begin(), item.declares.end(), std::back_inserter(declares));
    std::move(item.sends.begin(), item.sends.end(), std::back_inserter(sends));
  }
  const auto store = [this](const auto& left) { return backend_->store(left, Deadline::after(kCallBudget)); };
  if (backend_ != nullptr && !until_done(std::move(results), store, "store a result")) return false;
  const auto declare = [this](const auto& left) {
    return std::vector(left.size(), broker_.declare(left, Deadline::after(kCallBudget)));
  };
  if (!until_done(std::move(declares), declare, "declare a queue")) return false;
  const auto publish = [this](const auto& left) { return broker_.publish(left, Deadline::after(kCallBudget)); };
  if (!until_done(std::move(sends), publish, "send a task")) return false;
  for (auto& item : batch)
    if (item.done) post_(std::move(item.done));
  return true;
}

template <class T, class Attempt>
bool Outbox::until_done(std::vector<T> left, Attempt attempt, const char* what) {
  constexpr Backoff kBackoff{.base = milliseconds(100), .cap = milliseconds(5'000)};
  for (unsigned tries = 0; !left.empty(); ++tries) {
    const auto outcomes = attempt(left);
    std::vector<T> again;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (outcomes[i]) continue;
      const Failure& failure = outcomes[i].error();
      if (try_again(failure.code)) {
        if (again.empty() && tries % 10 == 0)
          log::warning(fmt::format("Cannot {}: {}: trying again", what, failure.message));
        again.push_back(std::move(left[i]));
      } else {
        log::critical(fmt::format("Cannot {}: {}: given up", what, failure.message));
      }
    }
    left = std::move(again);
    if (!left.empty() && stopped_after(kBackoff.jittered(tries, random_u64()))) return false;
  }
  return true;
}

bool Outbox::stopped_after(milliseconds pause) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, pause, [this] { return stopping_; });
}

}  // namespace lovage::worker
