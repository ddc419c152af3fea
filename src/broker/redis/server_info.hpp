// What the server says of itself: INFO, read line by line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "broker/broker.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// "run_id" in the text of INFO; empty when it is not there.
std::string info_field(std::string_view info, std::string_view name);

// Names the server process that holds the data: its run id.
Result<std::string> server_identity(client::RedisSync& connection, Deadline deadline);

// Fails for servers that cannot work (older than 6.2, Cluster); tells of settings that lose messages.
Result<ServerReport> check_server(client::RedisSync& connection, Deadline deadline);
// The same from INFO's text and the setting "save".
Result<ServerReport> judge_server(std::string_view info, std::string_view save);

}  // namespace lovage::broker::redis
