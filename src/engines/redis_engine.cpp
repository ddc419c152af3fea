#include "engines/redis_engine.hpp"

#include <array>

#include <lovage/error.hpp>

#include "backend/redis/redis_backend.hpp"
#include "broker/redis/redis_broker.hpp"
#include "engines/engines.hpp"
#include "engines/transport_options.hpp"

namespace lovage::engines {
namespace {

client::RedisOptions options_of(const std::string& url, const RedisTransport& transport, const Config& config) {
  auto options = client::redis_options_from_url(url);
  if (!options) throw ConfigError(options.error().message);
  options->connect_timeout = config.broker_connection_timeout;
  if (auto prefix = transport.text("global_keyprefix"); !prefix.empty()) options->global_keyprefix = std::move(prefix);
  if (auto name = transport.text("master_name"); !name.empty()) options->master_name = std::move(name);
  return *options;
}

backend::redis::RedisBackendOptions backend_options(const Config& config) {
  const RedisTransport transport(config.result_backend_transport_options, "result_backend_transport_options");
  return {.redis = options_of(backend_url_of(config), transport, config),
          .expires = config.result_expires,
          .ordered_chords = transport.flag("result_chord_ordered", true)};
}

// Nothing unless the setting says how long a Python worker may hold a message: a guess would run live tasks twice.
std::optional<broker::redis::UnackedOptions> unacked_options(const RedisTransport& transport) {
  broker::redis::UnackedOptions options;
  using Key = std::pair<std::string_view, std::string*>;
  const std::array keys{Key{"unacked_key", &options.key}, Key{"unacked_index_key", &options.index_key},
                        Key{"unacked_mutex_key", &options.mutex_key}};
  for (const auto& [name, key] : keys) {
    if (auto text = transport.text(name); !text.empty()) *key = std::move(text);
  }
  options.mutex_expire = transport.seconds("unacked_mutex_expire").value_or(options.mutex_expire);
  const auto timeout = transport.seconds("visibility_timeout");
  if (!timeout) return std::nullopt;
  options.visibility_timeout = *timeout;
  return options;
}

bool is_redis_url(const std::string& url) {
  const std::string scheme = url.substr(0, url.find("://"));
  return scheme == "redis" || scheme == "rediss" || scheme == "redis+socket" || scheme == "socket" ||
         scheme == "sentinel";
}

}  // namespace

std::shared_ptr<broker::Broker> redis_broker(const Config& config) {
  broker::redis::RedisBrokerOptions options;
  const RedisTransport transport(config.broker_transport_options, "broker_transport_options");
  options.redis = options_of(broker_url_of(config), transport, config);
  options.layout = transport.layout();
  options.unacked = unacked_options(transport);
  options.allow_eviction = transport.flag("allow_eviction", false);
  // URLs cannot tell whether both are one server (localhost and 127.0.0.1 are); the worker asks the servers.
  if (is_redis_url(backend_url_of(config))) {
    const auto results = backend_options(config);
    options.results =
        broker::redis::ResultStore{results.redis.db, broker::redis::result_prefix(results.redis.global_keyprefix),
                                   results.expires, results.ordered_chords};
  }
  return std::make_shared<broker::redis::RedisBroker>(std::move(options));
}

std::shared_ptr<backend::Backend> redis_backend(const Config& config) {
  return std::make_shared<backend::redis::RedisBackend>(backend_options(config));
}

}  // namespace lovage::engines
