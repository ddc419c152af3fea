// Stores one result outside a settlement.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// KEYS  1 result key      ARGV  1 state  2 meta  3 result_expires in s (0: never)
// Returns 1 when it was stored and published, 0 when what is there may not be replaced. Read, check and write are
// one step, so a late STARTED cannot overwrite a SUCCESS that came in between.
inline constexpr std::string_view kStoreResult = R"lua(
if not may_replace(state_of(redis.call('GET', KEYS[1])), ARGV[1]) then return 0 end
if tonumber(ARGV[3]) > 0 then
  redis.call('SETEX', KEYS[1], ARGV[3], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[2])
return 1
)lua";

}  // namespace lovage::broker::redis::lua
