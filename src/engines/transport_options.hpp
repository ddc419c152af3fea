// broker_transport_options and result_backend_transport_options of Redis: which are known, and which are honoured.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <lovage/value.hpp>

namespace lovage::engines {

using TransportOptions = std::map<std::string, Value>;

// Throws ConfigError for an option that nobody knows (naming the nearest), and for one of kombu's that Lovage does not
// honour although ignoring it would lose messages or send them elsewhere. `setting` is where they stand.
void check_redis_options(const TransportOptions& options, std::string_view setting);

// Throw ConfigError for another type. Empty or nothing: not given.
std::string text_option(const TransportOptions& options, std::string_view setting, const std::string& name);

}  // namespace lovage::engines
