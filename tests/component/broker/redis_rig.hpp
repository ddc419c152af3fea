// A Redis server of the test's own, seen directly or through a gate that misbehaves.
#pragma once

#include <stdexcept>
#include <string>

#include "backend/redis/redis_backend.hpp"
#include "broker/redis/redis_broker.hpp"
#include "contract/contract.hpp"
#include "support/event_waiter.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_gate.hpp"

namespace lovage::test {

inline constexpr int kBrokerDb = 1;
inline constexpr int kResultDb = 3;

class RedisStore final : public contract::Store {
 public:
  explicit RedisStore(std::string broker_url, std::string result_url)
      : broker_url_(std::move(broker_url)), result_url_(std::move(result_url)) {}

  std::shared_ptr<broker::Broker> broker() override {
    broker::redis::RedisBrokerOptions options;
    options.redis = options_of(broker_url_);
    options.results = broker::redis::ResultStore{kResultDb, "", std::chrono::hours(1)};
    return std::make_shared<broker::redis::RedisBroker>(std::move(options));
  }
  std::shared_ptr<backend::Backend> backend() override {
    return std::make_shared<backend::redis::RedisBackend>(
        backend::redis::RedisBackendOptions{options_of(result_url_), std::chrono::hours(1)});
  }

 private:
  static client::RedisOptions options_of(const std::string& url) {
    auto options = client::redis_options_from_url(url);
    if (!options) throw std::runtime_error(options.error().message);
    return *options;
  }
  const std::string broker_url_;
  const std::string result_url_;
};

class RedisRig : public testing::Test {
 protected:
  explicit RedisRig(std::vector<std::string> arguments = {}) : server(with(std::move(arguments))) {}

  client::RedisReply redis(std::initializer_list<std::string_view> words) { return server.command(words, kBrokerDb); }
  broker::QueueInfo info(const std::string& queue = "q") {
    auto infos = direct.broker()->queues(std::vector<std::string>{queue}, contract::patience());
    if (!infos) throw std::runtime_error(infos.error().message);
    return infos->front();
  }
  std::optional<std::string> result(const std::string& id) {
    auto meta = direct.backend()->get(id, contract::patience());
    if (!meta) throw std::runtime_error(meta.error().message);
    return *meta;
  }
  // Asks until the server says so; false: not in time.
  template <class Condition>
  bool until(Condition condition) {
    const auto deadline = contract::patience();
    while (!deadline.passed()) {
      if (condition()) return true;
    }
    return false;
  }
  std::string key_of(std::string_view own, const IncarnationId& id) {
    return "lovage:1:" + std::string(own) + ":" + id.get();
  }

  RedisServer server;
  TcpGate gate{server.port()};
  RedisStore direct{server.url(kBrokerDb), server.url(kResultDb)};
  RedisStore gated{server.url_at(gate.port(), kBrokerDb), server.url_at(gate.port(), kResultDb)};

 private:
  static RedisServer::Options with(std::vector<std::string> arguments) {
    RedisServer::Options options;
    options.arguments = std::move(arguments);
    return options;
  }
};

}  // namespace lovage::test
