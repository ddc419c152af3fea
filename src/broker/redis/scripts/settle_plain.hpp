// The end of the settle script (settle.hpp, whose words and locals it goes on with): the settlements that are told in
// few words. Those that count their task's part of a chord, then the plain ones, then the answer.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kSettlePlain = R"lua(
-- Those that only count, chord by chord: one look, one write and one leave for all of its parts. A result is stored as
-- one whose chord lives, without a second look at its time.
local function store_and_count(of_chord, here, note)
  local known, keys, parts = look_at(of_chord.chord, note), {}, {}
  local lasts = known.size and expires ~= '0' and {'EX', expires + CHORD_LASTS} or lifetime
  for _, item in ipairs(here) do keys[#keys + 1] = item.state ~= '' and item.result or nil end
  local state = states_of(keys)
  for _, item in ipairs(here) do
    local before = state[item.result]
    if item.state ~= '' and type(before) == 'table' then
      item.err = before.err
    elseif item.state ~= '' and may_replace(before, item.state) then
      item.err = store(item.result, item.meta, lasts) or nil
      if not item.err then
        state[item.result] = item.state
        item.result = nil
      end
    end
    if not item.err then parts[#parts + 1] = item end
  end
  if #parts == 0 or not count_parts(of_chord.chord, parts, 0, expires, note) then return false end
  claim_chord(of_chord.chord, note)
  return true
end
local function settle_counting(of_chord)
  local first, here, steps = #codes, {}, {}
  for n, item in ipairs(of_chord) do
    codes[first + n] = '0'
    if not taken[item.token] and redis.call('HEXISTS', reserved, item.token) == 1 then
      taken[item.token], item.at = true, first + n
      here[#here + 1] = item
    end
  end
  local err, complete, gone = refused, false, {}
  in_results(not err and here or {}, function()
    local ok, answer = pcall(store_and_count, of_chord, here, function(...) steps[#steps + 1] = {...} end)
    if ok then
      complete = answer
    else
      err = answer
      take_back(steps)
      known_chords = {}
    end
  end)
  for _, item in ipairs(here) do
    if not err and not item.err then gone[#gone + 1] = item end
  end
  local last = complete and gone[#gone]
  if last then
    local reply = redis.pcall('HSET', reserved, last.token, '\1' .. of_chord.continuation)
    if type(reply) == 'table' then
      err, gone, last = reply, {}, nil
      in_results(steps, function() take_back(steps) end)
    end
  end
  local leaving = {}
  for _, item in ipairs(gone) do
    codes[item.at] = item == last and '3' or '1'
    if item ~= last then leaving[#leaving + 1] = item.token end
    if suspects then redis.call('HDEL', held_marks, item.token) end
  end
  if #leaving > 0 then redis.call('HDEL', reserved, unpack(leaving)) end
  for _, item in ipairs(here) do
    if err or item.err then
      codes[item.at] = '2'
      alarm(item.token, err or item.err)
    end
  end
end
for _, of_chord in ipairs(counting) do settle_counting(of_chord) end

-- The plain ones' messages leave all at once, behind their results: one that cannot be stored has never left.
-- A plain settlement's words are its token, its state and its meta, at ARGV[at(n)] and behind.
local function at(n) return 6 + 3 * n end
local function settle_plain()
  local first = #codes
  local here, keys, asked, named, refusal = {}, {}, {}, taken, {}
  for n = 1, plain_count do
    local token, key = ARGV[at(n)], false
    codes[first + n] = '0'
    if ARGV[at(n) + 1] ~= '' then
      key = KEYS[plain_key]
      plain_key = plain_key + 1
    end
    if not named[token] and redis.call('HEXISTS', reserved, token) == 1 then
      named[token] = true
      here[#here + 1] = n
      keys[n] = key
      asked[#asked + 1] = key or nil
    end
  end
  in_results(asked, function()
    local state = states_of(asked)
    for _, n in ipairs(here) do
      local key, next_state = keys[n], ARGV[at(n) + 1]
      if key and type(state[key]) == 'table' then
        refusal[n] = state[key].err
      elseif key and not refused and may_replace(state[key], next_state) then
        refusal[n] = store(key, ARGV[at(n) + 2]) or nil
        if not refusal[n] then state[key] = next_state end
      end
    end
  end)
  local gone = {}
  for _, n in ipairs(here) do
    local token = ARGV[at(n)]
    if refused or refusal[n] then
      codes[first + n] = '2'
      alarm(token, refused or refusal[n])
    else
      codes[first + n] = '1'
      gone[#gone + 1] = token
    end
  end
  if #gone == 0 then return end
  redis.call('HDEL', reserved, unpack(gone))
  if suspects then redis.call('HDEL', held_marks, unpack(gone)) end
end
if plain_count > 0 then settle_plain() end

return answer(table.concat(codes), soonest, errors)
)lua";

}  // namespace lovage::broker::redis::lua
