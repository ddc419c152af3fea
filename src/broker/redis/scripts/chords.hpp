// Chords, under Celery's keys: what several scripts do with them, and the scripts of the backend.
//
// Each function that writes tells `note` the command that takes the write back.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// A chord is a table of its keys, in the results' database: j its parts, s how many header tasks it has, t how many
// were added later. Who completes a chord in the step that settles the last part takes `s` away: nobody else does then,
// whoever brings a part once more. Without `s` parts are kept, and expire unless they had no expiry already.
//
//   start_chord(chord, size, note)
//   count_parts(chord, parts, added, expires, note)   parts: {score, id, text, result or nil where its time is set};
//                                                     whether all are there. A score of "": the first part of a chord
//                                                     begins a list
//   claim_chord(chord, note)                          after count_parts
inline constexpr std::string_view kChords = R"lua(
-- A result lasts for so long in s, beside its own time, while its chord lives. With no end at all the results of chords
-- whose last part a Python worker takes would stay for ever.
local CHORD_LASTS = 30 * 86400
-- Parts of one score that are looked through for a task's id. All parts without an index have the same one.
local MOST_ALIKE = 1000

-- [1, "<task id>", state, result]: nearly always JSON in Celery's form.
local function part_id(member)
  local id = string.match(member, '^%[ ?1, ?"([^"\\]*)"')
  if id then return id end
  for _, decode in ipairs({cjson.decode, cmsgpack.unpack}) do
    local ok, part = pcall(decode, member)
    if ok and type(part) == 'table' then return part[2] end
  end
end
-- How many parts there are, and whether they are in a list: as Python workers keep them with result_chord_ordered =
-- false, in the order in which they come.
local function parts_in(j)
  local count = redis.pcall('ZCARD', j)
  if type(count) == 'number' then return count, false end
  if not string.find(count.err, 'WRONGTYPE', 1, true) then error(count.err) end
  return redis.call('LLEN', j), true
end
local function is_counted(j, in_list, part)
  local alike
  if in_list then
    alike = redis.call('LRANGE', j, -MOST_ALIKE, -1)
  else
    alike = redis.call('ZRANGE', j, part.score, part.score, 'BYSCORE', 'LIMIT', 0, MOST_ALIKE)
  end
  for _, member in ipairs(alike) do
    if part_id(member) == part.id then return true end
  end
  return false
end
-- Header tasks that were sent together mostly end together, and none of them is counted yet: their range tells.
local function are_new(j, known, parts)
  if known.parts == 0 then return true end
  if known.in_list then return false end
  local low, high = parts[1].score, parts[1].score
  for _, part in ipairs(parts) do
    if tonumber(part.score) < tonumber(low) then low = part.score end
    if tonumber(part.score) > tonumber(high) then high = part.score end
  end
  return redis.call('ZCOUNT', j, low, high) == 0
end
local function not_counted(j, known, parts)
  local all_new, seen, fresh = are_new(j, known, parts), {}, {}
  for _, part in ipairs(parts) do
    if not seen[part.id] and (all_new or not is_counted(j, known.in_list, part)) then fresh[#fresh + 1] = part end
    seen[part.id] = true
  end
  return fresh
end
local function add_parts(j, known, parts, note)
  for from = 1, #parts, 1000 do
    local texts, scored = {}, {}
    for n = from, math.min(from + 999, #parts) do
      texts[#texts + 1] = parts[n].text
      scored[#scored + 1] = parts[n].score
      scored[#scored + 1] = parts[n].text
    end
    local added = #texts
    if known.in_list then
      redis.call('RPUSH', j, unpack(texts))
      for _, text in ipairs(texts) do note('LREM', j, -1, text) end
    else
      added = redis.call('ZADD', j, 'NX', unpack(scored))
      -- Of some that were there under another score nobody knows which: a part too many that stays counts once anyway.
      if added == #texts then note('ZREM', j, unpack(texts)) end
    end
    known.parts = known.parts + added
  end
end
local function without_expiry(key, note)
  local ttl = redis.call('PTTL', key)
  if ttl < 0 then return end
  redis.call('PERSIST', key)
  note('PEXPIRE', key, math.max(ttl, 1))
end

-- What this call knows of chords, by their parts' key.
local known_chords = {}
local function look_at(chord, note)
  local known = known_chords[chord.j]
  if known then return known end
  local size, more = redis.call('GET', chord.s), redis.call('GET', chord.t) or 0
  if not tonumber(size or 0) or not tonumber(more) then error('WRONGTYPE text where the size of a chord belongs') end
  known = {size = size, needed = size and size + more}
  known.parts, known.in_list = parts_in(chord.j)
  known.lasts = size or known.parts > 0 and redis.call('PTTL', chord.j) == -1
  if size then
    for _, key in ipairs({chord.j, chord.s, chord.t}) do without_expiry(key, note) end
  end
  known_chords[chord.j] = known
  return known
end
local function extend_chord(chord, added, expires, note)
  local known = look_at(chord, note)
  local more = redis.call('INCRBY', chord.t, added)
  if more == added then
    note('DEL', chord.t)
    if not known.lasts and expires ~= '0' then redis.call('EXPIRE', chord.t, expires) end
  else
    note('DECRBY', chord.t, added)
  end
  if known.size then known.needed = known.needed + added end
end
local function count_parts(chord, parts, added, expires, note)
  local known = look_at(chord, note)
  local before = known.parts
  for _, part in ipairs(parts) do
    if part.score == '' then
      part.score = '+inf'
      known.in_list = known.in_list or known.parts == 0
    end
    if part.result and known.size and expires ~= '0' and
      redis.call('EXPIRE', part.result, expires + CHORD_LASTS) == 1 then
      note('EXPIRE', part.result, expires)
    end
  end
  add_parts(chord.j, known, not_counted(chord.j, known, parts), note)
  if known.parts > before and not known.lasts and expires ~= '0' then redis.call('EXPIRE', chord.j, expires) end
  -- Whoever counts a part a second time has added its tasks the first time.
  if added > 0 and known.parts > before then extend_chord(chord, added, expires, note) end
  return known.size and known.parts >= known.needed
end
local function claim_chord(chord, note)
  local known = known_chords[chord.j]
  redis.call('UNLINK', chord.s)
  note('SET', chord.s, known.size)
  known.size = nil
end
local function start_chord(chord, size, note)
  local old, ttl = redis.call('GET', chord.s), redis.call('PTTL', chord.s)
  redis.call('SET', chord.s, size)
  if old then
    note('SET', chord.s, old, unpack(ttl >= 0 and {'PX', math.max(ttl, 1)} or {}))
  else
    note('DEL', chord.s)
  end
  without_expiry(chord.j, note)
  without_expiry(chord.t, note)
  known_chords[chord.j] = nil
end
)lua";

// KEYS  1 parts  2 size  3 more      ARGV  1 the size
inline constexpr std::string_view kStartChord = R"lua(
start_chord({j = KEYS[1], s = KEYS[2], t = KEYS[3]}, ARGV[1], function() end)
return 1
)lua";

// KEYS  1 parts  2 size  3 more      ARGV  1 result_expires in s (0: never)
inline constexpr std::string_view kExtendChord = R"lua(
extend_chord({j = KEYS[1], s = KEYS[2], t = KEYS[3]}, 1, ARGV[1], function() end)
return 1
)lua";

// KEYS  1 parts  2 size  3 more  then for each part: its task's result
// ARGV  1 result_expires in s (0: never)  2 header tasks that are added  then for each part: score, task id, text
// Returns 1 when all parts are there. Leaves the size: whoever is told so is told again.
inline constexpr std::string_view kCountParts = R"lua(
local parts = {}
for n = 1, #KEYS - 3 do
  parts[n] = {score = ARGV[3 * n], id = ARGV[3 * n + 1], text = ARGV[3 * n + 2], result = KEYS[3 + n]}
end
local chord = {j = KEYS[1], s = KEYS[2], t = KEYS[3]}
return count_parts(chord, parts, tonumber(ARGV[2]), ARGV[1], function() end) and 1 or 0
)lua";

// KEYS  1 the group  2 size of the chord of the same id      ARGV  1 text  2 result_expires in s (0: never)
// Published as Celery does. The group of a chord that lives expires counted from its end.
inline constexpr std::string_view kSaveGroup = R"lua(
local expires = tonumber(ARGV[2])
if expires > 0 and redis.call('EXISTS', KEYS[2]) == 1 then expires = expires + CHORD_LASTS end
redis.call('SET', KEYS[1], ARGV[1], unpack(expires > 0 and {'EX', expires} or {}))
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
)lua";

}  // namespace lovage::broker::redis::lua
