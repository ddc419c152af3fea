#include "engines/engines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include <lovage/error.hpp>

#include "backend/memory/memory_backend.hpp"
#include "backend/sqlite/sqlite_backend.hpp"
#include "base/suggest.hpp"
#include "base/url.hpp"
#include "broker/memory/memory_broker.hpp"
#include "broker/sqlite/sqlite_broker.hpp"
#include "engines/redis_engine.hpp"
#include "engines/transport_options.hpp"

namespace lovage::engines {
namespace {

// Settings, and the folder that relative paths in them start at (empty: the working directory, at each use).
struct Source {
  const Config& config;
  const std::filesystem::path& folder;
};
using BrokerFactory = std::shared_ptr<broker::Broker> (*)(const Source& from);
using BackendFactory = std::shared_ptr<backend::Backend> (*)(const Source& from);

struct Engine {
  std::string_view scheme;
  BrokerFactory broker;    // nullptr: no broker
  BackendFactory backend;  // nullptr: no backend
};

Url parsed(const std::string& text) {
  auto url = parse_url(text);
  if (!url) throw ConfigError(url.error().message);
  if (!url->query.empty()) {
    throw ConfigError(fmt::format("'{}': {} URLs take no parameters", redact_url(text), url->scheme));
  }
  return *url;
}

// The database file that a URL names.
std::string sqlite_path(const std::string& text, const std::filesystem::path& folder) {
  const Url url = parsed(text);
  if (!url.host.empty()) {
    throw ConfigError(fmt::format("'{0}' names no file: write sqlite:///{1}{2} for a file in the working directory",
                                  redact_url(text), url.host, url.path));
  }
  // Three slashes name a file in the working directory, four an absolute path.
  const std::string path = url.path.size() > 1 ? url.path.substr(1) : "lovage.db";
  if (path == ":memory:") throw ConfigError("sqlite:///:memory: cannot be shared: use memory://");
  return (folder / path).string();
}

std::shared_ptr<broker::sqlite::StoreAccess> open_sqlite(const std::string& text, const Source& from) {
  const Config& config = from.config;
  if (config.sqlite_durability != "full" && config.sqlite_durability != "normal") {
    throw ConfigError(fmt::format("sqlite_durability is 'full' or 'normal', not '{}'", config.sqlite_durability));
  }
  return broker::sqlite::open_file({sqlite_path(text, from.folder), config.sqlite_durability == "full"},
                                   {.result_expires = config.result_expires});
}

std::shared_ptr<broker::memory::Store> open_memory(const std::string& text, const Config& config) {
  const Url url = parsed(text);
  return broker::memory::open_store(url.host + url.path, {.result_expires = config.result_expires});
}

std::shared_ptr<broker::Broker> sqlite_broker(const Source& from) {
  check_no_options(from.config.broker_transport_options, "broker_transport_options", "sqlite");
  return broker::sqlite::make_sqlite_broker(open_sqlite(broker_url_of(from.config), from));
}
std::shared_ptr<backend::Backend> sqlite_backend(const Source& from) {
  check_no_options(from.config.result_backend_transport_options, "result_backend_transport_options", "sqlite");
  return backend::sqlite::make_sqlite_backend(open_sqlite(backend_url_of(from.config), from));
}
std::shared_ptr<broker::Broker> memory_broker(const Source& from) {
  check_no_options(from.config.broker_transport_options, "broker_transport_options", "memory");
  return broker::memory::make_memory_broker(open_memory(broker_url_of(from.config), from.config));
}
std::shared_ptr<backend::Backend> memory_backend(const Source& from) {
  check_no_options(from.config.result_backend_transport_options, "result_backend_transport_options", "memory");
  return backend::memory::make_memory_backend(open_memory(backend_url_of(from.config), from.config));
}

template <auto make>
auto from_settings(const Source& from) {
  return make(from.config);
}

// One line an engine.
constexpr std::array kEngines{
    Engine{"sqlite", sqlite_broker, sqlite_backend},
    Engine{"memory", memory_broker, memory_backend},
    Engine{"redis", from_settings<redis_broker>, from_settings<redis_backend>},
    Engine{"rediss", from_settings<redis_broker>, from_settings<redis_backend>},
    Engine{"redis+socket", from_settings<redis_broker>, from_settings<redis_backend>},
    Engine{"socket", from_settings<redis_broker>, from_settings<redis_backend>},
    Engine{"sentinel", from_settings<redis_broker>, from_settings<redis_backend>},
    Engine{"disabled", nullptr, nullptr},
    Engine{"amqp", nullptr, nullptr},
    Engine{"amqps", nullptr, nullptr},
};

std::vector<std::string> schemes(bool only_brokers) {
  std::vector<std::string> names;
  for (const Engine& engine : kEngines) {
    if (engine.broker != nullptr || !only_brokers) names.emplace_back(engine.scheme);
  }
  return names;
}

std::string_view scheme_of(std::string_view url) {
  return url.substr(0, url.find("://"));
}

const Engine& engine_of(const std::string& url, std::string_view setting) {
  const std::string_view scheme = scheme_of(url);
  if (scheme.size() == url.size()) {
    throw ConfigError(
        fmt::format("{}: '{}' is no URL: it has no scheme (sqlite://, redis://, ...)", setting, redact_url(url)));
  }
  const auto* engine =
      std::find_if(kEngines.begin(), kEngines.end(), [&](const Engine& each) { return each.scheme == scheme; });
  if (engine == kEngines.end()) {
    throw ConfigError(fmt::format("{}: unknown scheme '{}'{}", setting, scheme, did_you_mean(scheme, schemes(false))));
  }
  if (scheme == "amqp" || scheme == "amqps") {
    throw ConfigError(
        fmt::format("{}: {}:// (RabbitMQ) is not supported yet: use redis:// or sqlite://", setting, scheme));
  }
  return *engine;
}

}  // namespace

std::shared_ptr<broker::Broker> make_broker(const Config& config, const std::filesystem::path& folder) {
  const Engine& engine = engine_of(broker_url_of(config), "broker_url");
  if (engine.broker == nullptr) throw ConfigError(fmt::format("broker_url: '{}' is no broker", engine.scheme));
  return engine.broker({config, folder});
}

std::shared_ptr<backend::Backend> make_backend(const Config& config, const std::filesystem::path& folder) {
  const Engine& engine = engine_of(backend_url_of(config), "result_backend");
  return engine.backend == nullptr ? nullptr : engine.backend({config, folder});
}

std::optional<std::string> missing_database(const std::string& url, const std::filesystem::path& folder) {
  if (scheme_of(url) != "sqlite") return std::nullopt;
  std::string path = sqlite_path(url, folder);
  std::error_code unknown;  // opening it will say more
  if (std::filesystem::exists(path, unknown) || unknown) return std::nullopt;
  return path;
}

std::string broker_url_of(const Config& config) {
  return config.broker_url.empty() ? "sqlite:///lovage.db" : config.broker_url;
}

std::string backend_url_of(const Config& config) {
  return config.result_backend.empty() ? broker_url_of(config) : config.result_backend;
}

std::string display_url(const std::string& url, const std::filesystem::path& folder) {
  const auto read = parse_url(url);
  const bool file = scheme_of(url) == "sqlite" && read && read->host.empty() && read->query.empty();
  return file ? "sqlite:///" + sqlite_path(url, folder) : redact_url(url);
}

std::vector<std::string> transports() {
  return schemes(true);
}

}  // namespace lovage::engines
