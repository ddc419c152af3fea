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
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[2])
return 1
)lua";

// KEYS  1 incarnations  2 a result key that nobody uses  3 to 5 the keys of a chord that nobody uses: parts, size, more
// ARGV  1 broker's database  2 results' database  3 a text that nobody else writes
// Does to these keys what the settle script does to a result and to a chord, through the same commands, those included
// that take a write back. Behind chords.hpp. Returns 1, 0 when what was written cannot be found where it belongs; fails
// as a settlement would (a user without the right to SELECT, to a key, to the channel, to a command). HDEL comes first
// for a full memory, as there. The result is gone after a second, the chord at once.
inline constexpr std::string_view kProbeResults = R"lua(
local elsewhere = ARGV[1] ~= ARGV[2]
local chord = {j = KEYS[3], s = KEYS[4], t = KEYS[5]}
local undo = {}
local function note(...) undo[#undo + 1] = {...} end
local function part(id) return {score = 0, id = id, text = '[1, "' .. id .. '", "SUCCESS", null]', result = KEYS[2]} end
local function probe_chord()
  count_parts(chord, {part('a')}, 0, '1', note)
  start_chord(chord, 1, note)
  count_parts(chord, {part('a'), part('b')}, 1, '1', note)
  extend_chord(chord, 1, '1', note)
  claim_chord(chord, note)
  start_chord(chord, 1, note)
  for n = #undo, 1, -1 do redis.call(unpack(undo[n])) end
  redis.call('EXPIRE', KEYS[2], 1)
  redis.call('UNLINK', chord.j, chord.s, chord.t)
end
redis.call('HDEL', KEYS[1], '')
if elsewhere then redis.call('SELECT', ARGV[2]) end
local ok, err = pcall(function()
  redis.call('EXISTS', KEYS[2])
  redis.call('TYPE', KEYS[2])
  redis.call('SET', KEYS[2], ARGV[3], 'EX', 1)
  redis.call('PUBLISH', KEYS[2], ARGV[3])
  probe_chord()
  redis.call('DEL', chord.s)
end)
if not ok then
  for _, command in ipairs({'UNLINK', 'DEL'}) do redis.pcall(command, KEYS[2], chord.j, chord.s, chord.t) end
end
if elsewhere then redis.call('SELECT', ARGV[1]) end
if not ok then return redis.error_reply(type(err) == 'table' and err.err or tostring(err)) end
if elsewhere and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if elsewhere then redis.call('SELECT', ARGV[2]) end
local found = redis.pcall('MGET', KEYS[2])
if elsewhere then redis.call('SELECT', ARGV[1]) end
if found.err then return found end
return found[1] == ARGV[3] and 1 or 0
)lua";

}  // namespace lovage::broker::redis::lua
