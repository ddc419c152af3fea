#include "broker/memory/memory_consumer.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "base/uuid.hpp"
#include "broker/memory/memory_lease.hpp"

namespace lovage::broker::memory {
namespace {

using namespace std::chrono_literals;

// How long a timer waits at most for what is due by a clock that may be put forward.
constexpr auto kLongestWait = 60s;

class MemoryConsumer final : public Consumer {
 public:
  MemoryConsumer(std::shared_ptr<Store> store, net::Loop& loop, IncarnationId incarnation, ConsumerOptions options,
                 std::shared_ptr<std::atomic<bool>> registered)
      : store_(std::move(store)),
        loop_(loop),
        incarnation_(std::move(incarnation)),
        options_(std::move(options)),
        registered_(std::move(registered)),
        bell_(std::make_shared<Bell>(loop, [this] { ask_for_turn(); })) {}
  MemoryConsumer(const MemoryConsumer&) = delete;
  MemoryConsumer& operator=(const MemoryConsumer&) = delete;
  ~MemoryConsumer() override { bell_->silence(); }

  [[nodiscard]] const IncarnationId& incarnation() const noexcept override { return incarnation_; }

  void start(ConsumerEvents& events) override {
    events_ = &events;
    id_ = store_->add_worker(incarnation_, options_.node_name, bell_);
    for (const auto& queue : options_.queues) store_->add_queue(id_, queue);
    registered_->store(true);
    ask_for_turn();
  }

  void set_credit(std::size_t messages, std::size_t bytes) override {
    credit_ = {messages, bytes, false, true};
    if (messages > 0) ask_for_turn();
  }

  void settle(Settlement settlement) override { add(std::move(settlement)); }
  void store_state(Token token, StoreResult result) override { add(StateUpdate{token, std::move(result)}); }
  void record_start(Token token) override { add(StartRecord{token}); }

  void stop_reserving(UniqueFunction<void()> done) override {
    reserving_ = false;
    when_stopped_.push_back(std::move(done));
    ask_for_turn();
  }
  void close(UniqueFunction<void()> done) override {
    reserving_ = false;
    closing_ = true;
    when_closed_.push_back(std::move(done));
    ask_for_turn();
  }

  void add_queue(wire::QueueDeclaration queue) override {
    if (events_ == nullptr) return options_.queues.push_back(std::move(queue));
    store_->add_queue(id_, queue);
    ask_for_turn();
  }
  void cancel_queue(const std::string& queue) override {
    if (events_ != nullptr) return store_->cancel_queue(id_, queue);
    std::erase_if(options_.queues, [&](const auto& each) { return each.name == queue; });
  }

 private:
  template <class T>
  void add(T&& work) {
    work_.emplace_back(std::forward<T>(work));
    ask_for_turn();
  }

  void ask_for_turn() {
    if (events_ == nullptr || std::exchange(asked_, true)) return;
    loop_.at_end_of_turn([this, bell = bell_] {
      if (!bell->is_silent()) turn();
    });
  }

  // What it tells may end this consumer, so the bell, which then is silent, is asked after each step.
  void turn() {
    asked_ = false;
    const auto bell = bell_;
    if (!std::exchange(connected_, true)) events_->on_connected();
    if (!bell->is_silent()) work(*bell);
    if (!bell->is_silent()) reserve(*bell);
    if (!bell->is_silent()) answer(*bell);
  }

  void work(const Bell& bell) {
    if (work_.empty()) return;
    // Two lists in turn, so that neither grows anew each time.
    std::vector<Work> works = std::exchange(work_, std::move(done_work_));
    const auto statuses = store_->carry_out(id_, works);
    for (std::size_t i = 0; i < works.size() && !bell.is_silent(); ++i) {
      if (const auto* settlement = std::get_if<Settlement>(&works[i])) {
        events_->on_settled(settlement->token, statuses[i]);
      } else if (const auto* start = std::get_if<StartRecord>(&works[i])) {
        events_->on_start_recorded(start->token, statuses[i]);
      }
    }
    works.clear();
    if (!bell.is_silent()) done_work_ = std::move(works);
  }

  void reserve(const Bell& bell) {
    due_.reset();
    Reserved reserved = store_->reserve(id_, reserving_ ? credit_ : Credit{});
    if (reserved.next_due) wait_for(*reserved.next_due);
    if (!reserved.deliveries.empty()) {
      for (const auto& delivery : reserved.deliveries) {
        if (!delivery.is_continuation) pay_for(delivery);
      }
      events_->on_deliveries(std::move(reserved.deliveries));
    }
    if (bell.is_silent() || !reserved.lost || closed_ || std::exchange(told_lost_, true)) return;
    events_->on_lost();
  }

  void pay_for(const Delivery& delivery) {
    credit_.bytes -= std::min(credit_.bytes, delivery.size());
    --credit_.messages;
    credit_.used = true;
  }

  void wait_for(Timestamp due) {
    // Bounded before it becomes nanoseconds: an eta may be thousands of years away.
    const auto ahead = std::clamp<std::chrono::microseconds>(due - store_->clock().now(), 0s, kLongestWait);
    due_ = loop_.after(ahead, [this] { ask_for_turn(); });
  }

  void answer(const Bell& bell) {
    std::vector<UniqueFunction<void()>> done;
    if (!reserving_) done = std::exchange(when_stopped_, {});
    // What was settled meanwhile comes first: it has asked for another turn.
    if (closing_ && work_.empty()) {
      if (!std::exchange(closed_, true)) store_->remove_worker(id_);
      std::move(when_closed_.begin(), when_closed_.end(), std::back_inserter(done));
      when_closed_.clear();
    }
    for (const auto& each : done) {
      if (!bell.is_silent()) each();
    }
  }

  const std::shared_ptr<Store> store_;
  net::Loop& loop_;
  const IncarnationId incarnation_;
  ConsumerOptions options_;
  const std::shared_ptr<std::atomic<bool>> registered_;
  const std::shared_ptr<Bell> bell_;
  ConsumerEvents* events_ = nullptr;  // set when started
  WorkerId id_;
  bool asked_ = false;  // for a turn
  bool connected_ = false;
  std::vector<Work> work_;
  std::vector<Work> done_work_;
  Credit credit_{.adopts = true};
  net::Registration due_;
  bool told_lost_ = false;
  bool reserving_ = true;
  bool closing_ = false;
  bool closed_ = false;
  std::vector<UniqueFunction<void()>> when_stopped_;
  std::vector<UniqueFunction<void()>> when_closed_;
};

}  // namespace

ConsumerPair make_memory_consumer(const std::shared_ptr<Store>& store, net::Loop& loop, ConsumerOptions options) {
  const IncarnationId incarnation(new_uuid());
  auto registered = std::make_shared<std::atomic<bool>>(false);
  auto lease = std::make_unique<MemoryLease>(store, incarnation, options.lease, registered);
  auto consumer = std::make_unique<MemoryConsumer>(store, loop, incarnation, std::move(options), std::move(registered));
  return {std::move(consumer), std::move(lease)};
}

}  // namespace lovage::broker::memory
