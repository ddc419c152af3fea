// Scripts on the stream of dead letters. Its ids are the letters' keys: given by the server, ascending in time.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// KEYS  1 dead  then the lists that the message goes to      ARGV  1 the letter's id  2 the message
// Returns 1, or 0 when there is no such letter. One step: the letter goes only if the message is in its queues.
inline constexpr std::string_view kRetryDeadLetter = R"lua(
for i = 2, #KEYS do redis.call('LLEN', KEYS[i]) end
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #entry == 0 then return 0 end
for i = 2, #KEYS do
  local pushed = redis.pcall('LPUSH', KEYS[i], ARGV[2])
  if type(pushed) == 'table' and pushed.err then
    for j = 2, i - 1 do redis.call('LPOP', KEYS[j]) end
    return pushed
  end
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
)lua";

// KEYS  1 dead      Empties the stream; returns how many letters there were.
inline constexpr std::string_view kPurgeDeadLetters = R"lua(
local count = redis.call('XLEN', KEYS[1])
redis.call('DEL', KEYS[1])
return count
)lua";

}  // namespace lovage::broker::redis::lua
