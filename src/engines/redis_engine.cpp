#include "engines/redis_engine.hpp"

#include <lovage/error.hpp>

#include "backend/redis/redis_backend.hpp"
#include "broker/redis/redis_broker.hpp"
#include "engines/engines.hpp"
#include "engines/transport_options.hpp"

namespace lovage::engines {
namespace {

client::RedisOptions options_of(const std::string& url, const TransportOptions& transport, std::string_view setting,
                                const Config& config) {
  check_redis_options(transport, setting);
  auto options = client::redis_options_from_url(url);
  if (!options) throw ConfigError(options.error().message);
  options->connect_timeout = config.broker_connection_timeout;
  if (auto prefix = text_option(transport, setting, "global_keyprefix"); !prefix.empty()) {
    options->global_keyprefix = std::move(prefix);
  }
  if (auto name = text_option(transport, setting, "master_name"); !name.empty()) options->master_name = std::move(name);
  return *options;
}

client::RedisOptions backend_options(const Config& config) {
  return options_of(backend_url_of(config), config.result_backend_transport_options, "result_backend_transport_options",
                    config);
}

bool is_redis_url(const std::string& url) {
  const std::string scheme = url.substr(0, url.find("://"));
  return scheme == "redis" || scheme == "rediss" || scheme == "redis+socket" || scheme == "socket" ||
         scheme == "sentinel";
}

}  // namespace

std::shared_ptr<broker::Broker> redis_broker(const Config& config) {
  broker::redis::RedisBrokerOptions options;
  options.redis =
      options_of(broker_url_of(config), config.broker_transport_options, "broker_transport_options", config);
  // URLs cannot tell whether both are one server (localhost and 127.0.0.1 are); the worker asks the servers.
  if (is_redis_url(backend_url_of(config))) {
    const auto results = backend_options(config);
    options.results = broker::redis::ResultStore{results.db, broker::redis::result_prefix(results.global_keyprefix),
                                                 config.result_expires};
  }
  return std::make_shared<broker::redis::RedisBroker>(std::move(options));
}

std::shared_ptr<backend::Backend> redis_backend(const Config& config) {
  return std::make_shared<backend::redis::RedisBackend>(
      backend::redis::RedisBackendOptions{backend_options(config), config.result_expires});
}

}  // namespace lovage::engines
