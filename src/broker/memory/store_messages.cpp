#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/memory/store.hpp"

namespace lovage::broker::memory {
namespace {

// The bounds of one hold of the lock.
constexpr std::size_t kPublishAtOnce = 256;
constexpr std::size_t kDueAtOnce = 256;
constexpr std::size_t kNamesAtOnce = 100;

}  // namespace

// Says which of the messages that it is offered, in order, one reserve takes.
class Store::Picker {
 public:
  Picker(const Credit& credit, bool holds_others) noexcept
      : credit_(credit), holds_others_(holds_others), enough_(credit.messages == 0) {}

  [[nodiscard]] bool has_enough() const noexcept { return enough_; }
  [[nodiscard]] std::vector<Delivery> take() noexcept { return std::move(deliveries_); }

  [[nodiscard]] bool wants(const Message* message) noexcept {
    if (message == nullptr || enough_) return false;
    // A suspect runs alone: it waits until the worker holds nothing, and nothing is taken past it.
    const bool alone = deliveries_.empty() && !holds_others_;
    const bool first = deliveries_.empty() && !credit_.used;
    const bool fits = first || bytes_ + wire::envelope_size(message->content) <= credit_.bytes;
    if (!fits || (message->marks.suspect && !alone)) enough_ = true;
    return !enough_;
  }
  void add(Delivery delivery) {
    bytes_ += delivery.size();
    enough_ = delivery.suspect || deliveries_.size() + 1 == credit_.messages;
    deliveries_.push_back(std::move(delivery));
  }

 private:
  const Credit& credit_;
  const bool holds_others_;
  bool enough_;
  std::size_t bytes_ = 0;
  std::vector<Delivery> deliveries_;
};

Store::Entry& Store::queue_named(const std::string& name) {
  return *queues_.try_emplace(name).first;
}

void Store::drop_if_unused(Entry& queue) {
  if (queue.second.is_unused()) queues_.erase(queues_.find(queue.first));
}

void Store::declare(const wire::QueueDeclaration& queue) {
  queue_named(queue.name).second.declare();
  exchanges_.declare(queue);
}

void Store::declare(std::span<const wire::QueueDeclaration> queues) {
  const std::lock_guard lock(mutex_);
  for (const auto& queue : queues) declare(queue);
}

Result<std::vector<std::string>> Store::route(const wire::TaskMessage& message) const {
  if (message.exchange.empty()) return std::vector<std::string>{message.routing_key};
  return exchanges_.route(message);
}

void Store::place(Turn& turn, const std::vector<std::string>& queues, const wire::SharedMessage& message) {
  const int step = wire::priority_step(message->priority);
  for (const auto& name : queues) {
    Entry& queue = queue_named(name);
    queue.second.put(step, {++last_position_, message, {}});
    turn.came(queue);
  }
}

std::vector<Result<void>> Store::publish(std::span<const wire::TaskMessage> messages) {
  std::vector<Result<void>> outcomes;
  outcomes.reserve(messages.size());
  std::vector<wire::SharedMessage> chunk;
  while (outcomes.size() < messages.size()) {
    chunk.clear();
    const auto rest = messages.subspan(outcomes.size());
    for (const auto& message : rest.first(std::min(rest.size(), kPublishAtOnce))) chunk.emplace_back(message);
    Turn turn(*this);
    for (const auto& message : chunk) {
      auto queues = route(message);
      if (queues) {
        place(turn, *queues, message);
        outcomes.emplace_back();
      } else {
        outcomes.emplace_back(tl::unexpected(std::move(queues.error())));
      }
    }
  }
  return outcomes;
}

Reserved Store::reserve(WorkerId id, const Credit& credit) {
  Reserved reserved;
  Turn turn(*this);
  Worker* const worker = find_worker(id);
  reserved.lost = worker == nullptr;
  if (worker == nullptr) return reserved;
  worker->listening = false;
  if (credit.adopts && !continuations_.empty()) adopt(*worker, reserved.deliveries);
  if (credit.messages == 0 || worker->lone) return reserved;
  const Timestamp now = clock().now();
  std::size_t room = kDueAtOnce;
  for (Entry* queue : worker->queues) room -= queue->second.move_due(now, room, last_position_);
  Picker picker(credit, !worker->reserved.empty());
  pick(*worker, picker, now);
  auto taken = picker.take();
  std::move(taken.begin(), taken.end(), std::back_inserter(reserved.deliveries));
  if (picker.has_enough()) return reserved;
  worker->listening = true;
  for (const Entry* queue : worker->queues) {
    const auto due = queue->second.next_due();
    if (due && (!reserved.next_due || *due < *reserved.next_due)) reserved.next_due = due;
  }
  return reserved;
}

void Store::adopt(Worker& worker, std::vector<Delivery>& deliveries) {
  std::erase_if(continuations_, [&](Waiting& waiting) {
    const auto queue = std::ranges::find(worker.queues, waiting.queue, [](const Entry* each) { return each->first; });
    if (queue == worker.queues.end()) return false;
    const Token token(worker.next_token++);
    (*queue)->second.adopted();
    deliveries.push_back(
        {.token = token, .queue = waiting.queue, .step = waiting.step, .bytes = waiting.text, .is_continuation = true});
    worker.reserved.emplace(
        token,
        Reservation{.queue = *queue, .step = waiting.step, .message = {}, .continuation = std::move(waiting.text)});
    return true;
  });
}

void Store::pick(Worker& worker, Picker& picker, Timestamp now) {
  const std::size_t first = worker.first_queue++;
  for (const int step : wire::kDefaultPrioritySteps) {
    for (Entry* queue : worker.queues) pick_unknown(worker, *queue, step, now, picker);
    for (std::size_t i = 0; i < worker.queues.size(); ++i) {
      Entry& queue = *worker.queues[(first + i) % worker.queues.size()];
      while (picker.wants(queue.second.first(step))) {
        hand_out(worker, queue, step, queue.second.take_first(step), {}, picker);
      }
    }
  }
}

// What waits because another worker did not know its task.
void Store::pick_unknown(Worker& worker, Entry& queue, int step, Timestamp now, Picker& picker) {
  std::string task;
  for (std::size_t looks = kNamesAtOnce; looks > 0 && !picker.has_enough(); --looks) {
    const std::string* const next = queue.second.next_unknown(task);
    if (next == nullptr) return;
    task = *next;
    if (worker.unknown.contains(task)) continue;
    while (picker.wants(queue.second.first_unknown(task, step))) {
      auto [message, due] = queue.second.take_first_unknown(task, step);
      const auto ahead = std::chrono::ceil<std::chrono::milliseconds>(std::max(due, now) - now);
      hand_out(worker, queue, step, std::move(message), ahead, picker);
    }
  }
}

void Store::hand_out(Worker& worker, Entry& queue, int step, Message message, std::chrono::milliseconds ahead,
                     Picker& picker) {
  const Token token(worker.next_token++);
  Delivery delivery{.token = token,
                    .queue = queue.first,
                    .step = step,
                    .bytes = {},
                    .message = message.content,
                    .suspect = message.marks.suspect,
                    .strikes = message.marks.strikes};
  // What it need not wait any more has been counted in advance.
  delivery.waited_unknown = std::max(message.marks.waited_unknown - ahead, std::chrono::milliseconds(0));
  if (delivery.suspect) worker.lone = token;
  worker.reserved.emplace(token, Reservation{&queue, step, false, std::move(message)});
  picker.add(std::move(delivery));
}

}  // namespace lovage::broker::memory
