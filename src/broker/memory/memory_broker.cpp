#include "broker/memory/memory_broker.hpp"

#include <utility>

#include "base/uuid.hpp"
#include "broker/dead_letters.hpp"
#include "broker/memory/memory_consumer.hpp"
#include "broker/memory/memory_lease.hpp"

namespace lovage::broker::memory {
namespace {

// Nothing here waits, so no deadline is looked at.
class MemoryBroker final : public Broker {
 public:
  explicit MemoryBroker(std::shared_ptr<Store> store) : store_(std::move(store)) {}

  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline) override {
    return store_->publish(messages);
  }
  Result<void> broadcast(const wire::BroadcastMessage&, Deadline) override {
    return fail(Errc::misconfigured, display_url() + " has no remote control yet: it takes a redis:// broker");
  }
  Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline) override {
    store_->declare(queues);
    return {};
  }
  Result<ServerReport> check(Deadline) override {
    ServerReport report{.warnings = {"memory: everything is lost when this process ends"}};
    warn_of_dead_letters(store_->count_dead_letters(), report.warnings);
    return report;
  }
  ConsumerPair make_consumer(net::Loop& loop, ConsumerOptions options) override {
    return make_memory_consumer(store_, loop, std::move(options));
  }

  Result<std::vector<QueueInfo>> queues(std::span<const std::string> names, Deadline) override {
    return store_->queues(names);
  }
  Result<std::uint64_t> purge(const std::string& queue, Deadline) override { return store_->purge(queue); }
  Result<std::vector<WorkerInfo>> workers(Deadline) override { return store_->workers(); }
  Result<std::vector<DeadLetterEntry>> dead_letters(std::size_t limit, Deadline) override {
    return store_->dead_letters(limit);
  }
  Result<std::optional<DeadLetterEntry>> dead_letter(const std::string& key_or_id, Deadline) override {
    return store_->dead_letter(key_or_id);
  }
  Result<void> retry_dead_letter(const std::string& key, const wire::TaskMessage& message, Deadline) override {
    return store_->retry_dead_letter(key, message);
  }
  Result<void> store_graph(const Graph& graph, Deadline) override {
    store_->store_graph(graph);
    return {};
  }
  Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page, Deadline) override {
    return store_->graph_page(graph_id, page);
  }
  Result<void> use_graph(const GraphUse& use, Deadline) override {
    store_->use_graph(use);
    return {};
  }
  Result<void> bury(std::span<const BuriedMessage> messages, Deadline) override {
    store_->bury(messages);
    return {};
  }
  Result<std::uint64_t> purge_dead_letters(std::optional<std::string> key, Deadline) override {
    return store_->purge_dead_letters(key);
  }

  std::unique_ptr<Lease> make_sweeper(std::chrono::milliseconds lease) override {
    return std::make_unique<MemoryLease>(store_, IncarnationId(new_uuid()), lease,
                                         std::make_shared<const std::atomic<bool>>(true));
  }
  Result<std::uint64_t> release(Scheduled which, Deadline) override {
    return store_->release(which == Scheduled::due ? store_->clock().now() : Timestamp::max());
  }
  Result<void> survey(const SurveyVisit& visit, std::chrono::milliseconds) override {
    store_->survey(visit);
    return {};
  }

  Result<std::string> identity(Deadline) override { return store_->identity(); }
  [[nodiscard]] std::string display_url() const override { return store_->display_url(); }

 private:
  const std::shared_ptr<Store> store_;
};

}  // namespace

std::shared_ptr<Broker> make_memory_broker(std::shared_ptr<Store> store) {
  return std::make_shared<MemoryBroker>(std::move(store));
}

}  // namespace lovage::broker::memory
