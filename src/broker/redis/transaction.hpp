// Commands that the server carries out in one step.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "client/redis_sync.hpp"

namespace lovage::broker::redis {

// MULTI and EXEC around `count` commands: their replies, none of them an error. A server whose memory is full queues no
// commands: there they are asked one by one, and do not see one moment.
Result<std::vector<client::RedisReply>> in_one_step(client::RedisSync& connection, const std::string& commands,
                                                    std::size_t count, Deadline deadline);

}  // namespace lovage::broker::redis
