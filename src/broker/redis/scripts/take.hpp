// The take script: reserves what a wait has brought into an inbox. The worker has heard of it from the wait, and runs
// it already; it asks for this where the message is not settled soon, and before it does anything else with messages or
// inboxes. It does not await the answer: what it sends later comes behind.
//
// KEYS  1 incarnations  2 reserved:<id>  3 the inbox
// ARGV  1 id  2 the reservation's field, "token:list"  3 the message
// Returns 1 when the message is reserved under the token, and 0 when it is another's: the incarnation is not registered
// any more, or the message has left the inbox. Whoever settles it then is fenced.
//
// Safe to repeat. Kill-safe: until then the message is in the inbox, which is given back with the incarnation. The
// removal is the first write, so that a full memory cannot stop what follows it.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kTake = R"lua(
local incarnations, reserved, inbox = unpack(KEYS)
local id, field, message = unpack(ARGV)
if redis.call('HEXISTS', incarnations, id) == 0 or redis.call('LREM', inbox, -1, message) == 0 then
  return redis.call('HEXISTS', reserved, field)
end
local stored = redis.pcall('HSET', reserved, field, message)
if type(stored) == 'number' then return 1 end
redis.call('RPUSH', inbox, message)
return stored
)lua";

}  // namespace lovage::broker::redis::lua
