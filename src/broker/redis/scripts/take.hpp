// The take script: reserves the message that a wait has brought into its inbox. It is sent behind the wait on the same
// connection, so that its reply comes together with the wait's.
//
// KEYS  1 incarnations  2 reserved:<id>  3 held-marks:<id>  4 marks  5 the list  6 its inbox
// ARGV  1 id  2 token  3 the list's name without prefix  4 most messages that the incarnation may hold  5 byte budget
// Returns {1} when the inbox is empty, {2, message} when it was reserved under the token, and {0} when it takes the
// reserve script to say: more than one message waits, one may bear a mark, a limit is reached.
//
// Kill-safe: as the reserve script. The pop is the first write, so that a full memory cannot stop what follows it.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kTake = R"lua(
local incarnations, reserved, held_marks, marks, list, inbox = unpack(KEYS)
local message = redis.call('RPOP', inbox)
if not message then return {1} end
if #message <= tonumber(ARGV[5]) and redis.call('EXISTS', held_marks, marks, list, inbox) == 0 and
  redis.call('HLEN', reserved) < tonumber(ARGV[4]) and redis.call('HEXISTS', incarnations, ARGV[1]) == 1 and
  type(redis.pcall('HSET', reserved, ARGV[2] .. ':' .. ARGV[3], message)) == 'number' then return {2, message} end
redis.call('RPUSH', inbox, message)
return {0}
)lua";

}  // namespace lovage::broker::redis::lua
