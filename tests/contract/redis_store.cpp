#include "backend/redis/redis_backend.hpp"
#include "broker/redis/redis_broker.hpp"
#include "contract/contract.hpp"
#include "support/redis_server.hpp"

namespace lovage::contract {
namespace {

constexpr int kBrokerDb = 2;
constexpr int kResultDb = 5;

// Queues and results in two databases of one server, under two prefixes: the hardest arrangement that settles in
// one step.
class RedisStore final : public Store {
 public:
  RedisStore() { server().command({"FLUSHALL"}); }

  std::shared_ptr<broker::Broker> broker() override {
    broker::redis::RedisBrokerOptions options;
    options.redis = options_for(kBrokerDb, "pre:");
    options.results = broker::redis::ResultStore{kResultDb, broker::redis::result_prefix("res"), kResultExpires};
    return std::make_shared<broker::redis::RedisBroker>(std::move(options));
  }
  std::shared_ptr<backend::Backend> backend() override {
    backend::redis::RedisBackendOptions options;
    options.redis = options_for(kResultDb, "res");
    options.expires = kResultExpires;
    return std::make_shared<backend::redis::RedisBackend>(std::move(options));
  }
  // What has an expiry has so much less time left.
  void pass(std::chrono::seconds time) override {
    for (const auto& key : server().command({"KEYS", "*"}, kResultDb).items) {
      const std::int64_t left = server().command({"PTTL", key.text}, kResultDb).integer;
      if (left < 0) continue;
      const std::int64_t still = left - std::chrono::milliseconds(time).count();
      server().command({"PEXPIRE", key.text, std::to_string(still)}, kResultDb);  // which removes what is over
    }
  }

 private:
  static test::RedisServer& server() {
    static test::RedisServer instance;  // one for all tests; each begins with an empty one
    return instance;
  }
  static client::RedisOptions options_for(int db, const std::string& prefix) {
    auto options = client::redis_options_from_url(server().url(db));
    if (!options) throw std::runtime_error(options.error().message);
    options->global_keyprefix = prefix;
    return *options;
  }
};

}  // namespace

std::unique_ptr<Store> make_redis_store() {
  return std::make_unique<RedisStore>();
}

}  // namespace lovage::contract
