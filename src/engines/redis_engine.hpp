// Redis brokers and backends from settings.
#pragma once

#include <memory>

#include <lovage/config.hpp>

#include "backend/backend.hpp"
#include "broker/broker.hpp"

namespace lovage::engines {

// Throw ConfigError for a URL or transport option that cannot work. A broker can store results in its settling step
// where the result backend is the same server (any database of it): compare their identities first.
std::shared_ptr<broker::Broker> redis_broker(const Config& config);
std::shared_ptr<backend::Backend> redis_backend(const Config& config);

}  // namespace lovage::engines
