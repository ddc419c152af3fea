#include "broker/sqlite/sqlite_consumer.hpp"

#include <algorithm>
#include <utility>

#include "base/uuid.hpp"
#include "broker/sqlite/consumer_thread.hpp"
#include "broker/sqlite/sqlite_lease.hpp"

namespace lovage::broker::sqlite {
namespace {

// The half on the loop: hands orders to the thread and its reports to the events.
class SqliteConsumer final : public Consumer {
 public:
  SqliteConsumer(std::shared_ptr<StoreAccess> access, net::Loop& loop, const IncarnationId& incarnation,
                 ConsumerOptions options, std::shared_ptr<std::atomic<bool>> registered)
      : incarnation_(incarnation),
        reports_(std::make_shared<Reports>()),
        thread_(std::move(access), {incarnation, options.node_name, options.lease}, std::move(registered),
                [&loop, reports = reports_](Report report) {
                  loop.post([reports, moved = std::move(report)]() mutable { reports->deliver(std::move(moved)); });
                }) {
    for (const auto& queue : options.queues) names_.push_back(queue.name);
    thread_.order([&](Orders& orders) {
      orders.declare = options.queues;
      orders.queues = names_;
    });
  }
  SqliteConsumer(const SqliteConsumer&) = delete;
  SqliteConsumer& operator=(const SqliteConsumer&) = delete;
  ~SqliteConsumer() override { reports_->events = nullptr; }

  [[nodiscard]] const IncarnationId& incarnation() const noexcept override { return incarnation_; }

  void start(ConsumerEvents& events) override {
    reports_->events = &events;
    thread_.start();
  }

  void set_credit(std::size_t messages, std::size_t bytes) override {
    const Credit credit{messages, bytes, reports_->seen_messages, reports_->seen_bytes};
    thread_.order([&](Orders& orders) { orders.credit = credit; });
  }

  void settle(Settlement settlement) override {
    thread_.order([&](Orders& orders) { orders.work.emplace_back(std::move(settlement)); });
  }
  void store_state(Token token, StoreResult result) override {
    thread_.order([&](Orders& orders) { orders.work.emplace_back(StateUpdate{token, std::move(result)}); });
  }
  void record_start(Token token) override {
    thread_.order([&](Orders& orders) { orders.work.emplace_back(StartRecord{token}); });
  }

  void stop_reserving(UniqueFunction<void()> done) override {
    thread_.order([&](Orders& orders) {
      orders.reserving = false;
      orders.when_stopped.push_back(std::move(done));
    });
  }
  void close(UniqueFunction<void()> done) override {
    thread_.order([&](Orders& orders) {
      orders.reserving = false;
      orders.closing = true;
      orders.when_closed.push_back(std::move(done));
    });
  }

  void add_queue(wire::QueueDeclaration queue) override {
    if (std::find(names_.begin(), names_.end(), queue.name) == names_.end()) names_.push_back(queue.name);
    thread_.order([&](Orders& orders) {
      orders.queues = names_;
      orders.declare.push_back(std::move(queue));
    });
  }
  void cancel_queue(const std::string& queue) override {
    std::erase(names_, queue);
    thread_.order([&](Orders& orders) { orders.queues = names_; });
  }

 private:
  // Shared with the posted reports, which may run after the consumer is gone. Loop thread only.
  struct Reports {
    ConsumerEvents* events = nullptr;
    std::size_t seen_messages = 0;  // deliveries that the worker knows of: credit is beyond them
    std::size_t seen_bytes = 0;

    void deliver(Report report) {
      const auto each = [&](const auto& call) {
        if (events != nullptr) call(*events);
      };
      if (report.connected) each([](ConsumerEvents& to) { to.on_connected(); });
      if (report.failure) {
        each([&](ConsumerEvents& to) { to.on_disconnected(*report.failure, report.retry_in); });
      }
      for (const auto& settled : report.settled) {
        each([&](ConsumerEvents& to) { to.on_settled(settled.first, settled.second); });
      }
      for (const auto& started : report.started) {
        each([&](ConsumerEvents& to) { to.on_start_recorded(started.first, started.second); });
      }
      if (!report.deliveries.empty()) {
        for (const auto& delivery : report.deliveries) {
          if (delivery.is_continuation) continue;  // beside the credit
          ++seen_messages;
          seen_bytes += delivery.bytes.size();
        }
        each([&](ConsumerEvents& to) { to.on_deliveries(std::move(report.deliveries)); });
      }
      if (report.lost) each([](ConsumerEvents& to) { to.on_lost(); });
      for (const auto& done : report.done) {
        if (events != nullptr) done();
      }
    }
  };

  const IncarnationId incarnation_;
  std::vector<std::string> names_;
  std::shared_ptr<Reports> reports_;
  ConsumerThread thread_;  // last: it stops before the rest goes
};

}  // namespace

SqliteConsumerParts make_sqlite_consumer(std::shared_ptr<StoreAccess> access, net::Loop& loop,
                                         ConsumerOptions options) {
  const IncarnationId incarnation(new_uuid());
  auto registered = std::make_shared<std::atomic<bool>>(false);
  auto lease = std::make_unique<SqliteLease>(access, incarnation, options.lease, registered);
  auto consumer =
      std::make_unique<SqliteConsumer>(std::move(access), loop, incarnation, std::move(options), std::move(registered));
  return {std::move(consumer), std::move(lease)};
}

}  // namespace lovage::broker::sqlite
