// The table "redis:", "sqlite:", "memory:" -> factories: the only place that sees both the interfaces
// and the engines.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "backend/backend.hpp"
#include "broker/broker.hpp"

namespace lovage::engines {

// Throws ConfigError for an unknown scheme (naming the nearest) or a URL that cannot work. Neither
// connects: the first call does.
std::shared_ptr<broker::Broker> make_broker(const Config& config);
// nullptr when results are disabled (result_backend = "disabled://").
std::shared_ptr<backend::Backend> make_backend(const Config& config);

// The URL in force: broker_url, or the embedded default sqlite:///lovage.db.
std::string broker_url_of(const Config& config);
std::string backend_url_of(const Config& config);

// The schemes that messages can travel by.
std::vector<std::string> transports();

}  // namespace lovage::engines
