// The table "redis:", "sqlite:", "memory:" -> factories: the only place that sees both the interfaces
// and the engines.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lovage/config.hpp>

#include "backend/backend.hpp"
#include "broker/broker.hpp"

namespace lovage::engines {

// Throws ConfigError for an unknown scheme (naming the nearest) or a URL that cannot work. Neither
// connects: the first call does. Relative paths of database files start at `folder`; empty: at the working directory
// of the moment.
std::shared_ptr<broker::Broker> make_broker(const Config& config, const std::filesystem::path& folder = {});
// nullptr when results are disabled (result_backend = "disabled://").
std::shared_ptr<backend::Backend> make_backend(const Config& config, const std::filesystem::path& folder = {});

// The path of the database file that a URL names, where there is none yet.
std::optional<std::string> missing_database(const std::string& url, const std::filesystem::path& folder);

// The URL in force: broker_url, or the embedded default sqlite:///lovage.db.
std::string broker_url_of(const Config& config);
std::string backend_url_of(const Config& config);

// A URL for people: passwords hidden, the path of a database file in full.
std::string display_url(const std::string& url, const std::filesystem::path& folder);

// The schemes that messages can travel by.
std::vector<std::string> transports();

}  // namespace lovage::engines
