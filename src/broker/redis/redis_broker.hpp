// The Redis broker: kombu's keys for queues and bindings, Lovage's own for what workers hold.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/redis/bindings.hpp"
#include "broker/redis/keys.hpp"
#include "broker/redis/settle_batch.hpp"
#include "broker/redis/unacked.hpp"
#include "client/redis_options.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// An entry of the stream `dead` (management.cpp).
DeadLetterEntry dead_letter_of(const client::RedisReply& item);

struct RedisBrokerOptions {
  client::RedisOptions redis;  // with global_keyprefix, used as it is
  wire::QueueLayout layout = {};
  // Where results are kept in a Redis: settlements can store them in the same step if it is the same server. Compare
  // Broker::identity with Backend::identity first.
  std::optional<ResultStore> results;
  // Whether its workers give back what dead Python workers held: only where the visibility timeout is set.
  std::optional<UnackedOptions> unacked = {};
  // Workers start on a server whose maxmemory-policy throws queues away, with a warning.
  bool allow_eviction = false;
};

class RedisBroker final : public Broker {
 public:
  explicit RedisBroker(RedisBrokerOptions options);
  RedisBroker(const RedisBroker&) = delete;
  RedisBroker& operator=(const RedisBroker&) = delete;
  ~RedisBroker() override;

  std::vector<Result<void>> publish(std::span<const wire::TaskMessage> messages, Deadline deadline) override;
  std::unique_ptr<Publishing> start_publishing(Deadline deadline) override;
  Result<void> broadcast(const wire::BroadcastMessage& message, Deadline deadline) override;
  Result<void> declare(std::span<const wire::QueueDeclaration> queues, Deadline deadline) override;
  Result<ServerReport> check(Deadline deadline) override;
  ConsumerPair make_consumer(net::Loop& loop, ConsumerOptions options) override;

  Result<std::vector<QueueInfo>> queues(std::span<const std::string> names, Deadline deadline) override;
  Result<std::uint64_t> purge(const std::string& queue, Deadline deadline) override;
  Result<std::vector<WorkerInfo>> workers(Deadline deadline) override;
  Result<std::vector<DeadLetterEntry>> dead_letters(std::size_t limit, Deadline deadline) override;
  Result<std::optional<DeadLetterEntry>> dead_letter(const std::string& key_or_id, Deadline deadline) override;
  Result<void> retry_dead_letter(const std::string& key, const wire::TaskMessage& message, Deadline deadline) override;
  Result<void> store_graph(const Graph& graph, Deadline deadline) override;
  Result<std::string> graph_page(const std::string& graph_id, std::uint64_t page, Deadline deadline) override;
  Result<void> use_graph(const GraphUse& use, Deadline deadline) override;
  Result<void> bury(std::span<const BuriedMessage> messages, Deadline deadline) override;
  Result<std::uint64_t> purge_dead_letters(std::optional<std::string> key, Deadline deadline) override;

  std::unique_ptr<Lease> make_sweeper(std::chrono::milliseconds lease) override;
  Result<std::uint64_t> release(Scheduled which, Deadline deadline) override;
  Result<void> survey(const SurveyVisit& visit, std::chrono::milliseconds patience) override;

  Result<std::string> identity(Deadline deadline) override;
  Result<void> probe_results(Deadline deadline) override;
  [[nodiscard]] std::string display_url() const override { return options_.redis.display_url; }

 private:
  // publish.cpp. What has to be asked for or written first is, on a connection of its own.
  class Publication;
  Result<void> read_bindings(const std::string& exchange, Deadline deadline);
  Result<std::vector<std::string>> list_keys(const wire::TaskMessage& message, Deadline deadline);
  Result<void> declare_new(std::span<const wire::TaskMessage> messages, Deadline deadline);

  // queue_counts.cpp
  Result<std::set<std::string>> known_queues(client::RedisSync& connection, Deadline deadline);
  Result<std::vector<QueueInfo>> count_queues(client::RedisSync& connection, std::span<const std::string> names,
                                              Deadline deadline);

  const RedisBrokerOptions options_;
  const Keys keys_;
  client::RedisPool pool_;

  std::mutex mutex_;
  Bindings bindings_;               // guarded by mutex_
  std::set<std::string> declared_;  // guarded by mutex_: queues whose binding this process has written
};

}  // namespace lovage::broker::redis
