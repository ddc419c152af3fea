// Stored graphs of workflows: one hash for each, with its pages and how many hold it.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kGraphLasts = R"lua(
-- One that nobody has used for so long, in s, is lost.
local GRAPH_LASTS = 30 * 86400
)lua";

// use_graph(key, added, ended, note)   whether nobody holds it any more; `note` is told what takes the count back
inline constexpr std::string_view kGraphs = R"lua(
local function use_graph(key, added, ended, note)
  if redis.call('EXPIRE', key, GRAPH_LASTS) == 0 or added == ended then return false end
  local left = redis.call('HINCRBY', key, 'holders', added - ended)
  note('HINCRBY', key, 'holders', ended - added)
  return left <= 0
end
)lua";

// KEYS  1 the graph      ARGV  1 holders that come  2 holders that go
inline constexpr std::string_view kUseGraph = R"lua(
if use_graph(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), function() end) then redis.call('UNLINK', KEYS[1]) end
return 1
)lua";

// KEYS  1 the graph      ARGV  1 holders, or "" with further pages  then for each page: its number, text
inline constexpr std::string_view kStoreGraph = R"lua(
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'holders', ARGV[1]) end
for n = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1]) end
redis.call('EXPIRE', KEYS[1], GRAPH_LASTS)
return 1
)lua";

}  // namespace lovage::broker::redis::lua
