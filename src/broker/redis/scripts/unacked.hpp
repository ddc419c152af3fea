// Scripts on kombu's keys of unacknowledged messages.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// KEYS  1 unacked  2 unacked_index  then the lists that the message goes to
// ARGV  1 delivery tag  2 its score  3 its record, "" when there is none  4 the message
// Returns 1, or 0 when the tag was acknowledged, restored or delivered again since it was read.
//
// The same tag is used again when a message that was put back is delivered again, so the score is part of the fence.
// The first write is a removal (see kRenew); should a push fail all the same, everything is put back.
inline constexpr std::string_view kPutBackUnacked = R"lua(
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local record = redis.call('HGET', KEYS[1], ARGV[1])
if score ~= ARGV[2] or (record or '') ~= ARGV[3] then return 0 end
for i = 3, #KEYS do redis.call('LLEN', KEYS[i]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 3, #KEYS do
  local pushed = redis.pcall('RPUSH', KEYS[i], ARGV[4])
  if type(pushed) == 'table' and pushed.err then
    for j = i - 1, 3, -1 do redis.call('RPOP', KEYS[j]) end
    redis.call('HSET', KEYS[1], ARGV[1], record)
    redis.call('ZADD', KEYS[2], score, ARGV[1])
    return pushed
  end
end
return 1
)lua";

// KEYS  1 a lock      ARGV  1 the token that it was taken with
inline constexpr std::string_view kReleaseMutex = R"lua(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
)lua";

}  // namespace lovage::broker::redis::lua
