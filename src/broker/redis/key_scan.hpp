// Looking for keys by their names, chunk by chunk.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// Calls `visit` for every key that matches; for some twice, as SCAN may. Each request is answered within `patience`
// and before the deadline.
Result<void> scan_keys(client::RedisSync& connection, const std::string& pattern, Deadline deadline,
                       const std::function<Result<void>(const std::string& key)>& visit,
                       std::chrono::milliseconds patience = std::chrono::minutes(1));

// A literal text as a glob pattern.
std::string glob_of(std::string_view text);

}  // namespace lovage::broker::redis
