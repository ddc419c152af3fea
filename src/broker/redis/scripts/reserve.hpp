// The reserve script: takes messages out of the queues, straight into the incarnation's reservations.
//
// KEYS  1 incarnations  2 reserved:<id>  3 held-marks:<id>  4 marks  5 mark-ages
//       then for each list, in the order of service: the list, its inbox, its schedule
// ARGV  1 id  2 first token  3 most messages  4 byte budget (one message always fits)  5 "1": look into inboxes
//       then the lists' names without prefix, in the same order
//       then the names of tasks that this worker is known not to know
// Returns {0} when the incarnation is not registered, else
//       {1, more, next due in ms or -1, {list, count, list, count, ...}, {message, ...},
//        {position, "suspect:strikes:waited", ...}, {error, ...}}
//       `more`: 1 a limit ended it, the queues may hold more; 2 a suspect was taken, is held, or waits until this
//       incarnation holds nothing: suspects are reserved alone. Messages carry the tokens first, first+1, ...
//
// Kill-safe: a script is one step for the server, its AOF and its replicas. A message leaves a list and enters the
// hash in that step, or (a limit, or a failed write) is back at the head that it came from. The caller may lose the
// reply: the hash says what was reserved. The pop is the first write, so that a full memory cannot stop what
// follows it; what else could fail is looked at before it.
//
// Mostly one list of many holds something, and no schedule and no mark: EXISTS says so in one call for all of them.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kReserve = R"lua(
local incarnations, reserved, held_marks, marks, ages = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local first, most, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lists = (#KEYS - 5) / 3
if redis.call('HEXISTS', incarnations, ARGV[1]) == 0 then return {0} end

local function existing(first_key)
  if lists == 0 then return 0 end
  local keys = {}
  for key = first_key, #KEYS, 3 do keys[#keys + 1] = KEYS[key] end
  return redis.call('EXISTS', unpack(keys))
end
local strange = {}
for j = 6 + lists, #ARGV do strange[ARGV[j]] = true end
local marked, alone = false, false
if redis.call('EXISTS', marks, held_marks) > 0 then
  marked = redis.call('HLEN', marks) > 0
  if marked then redis.call('ZCARD', ages) end
  for _, mark in ipairs(redis.call('HVALS', held_marks)) do alone = alone or string.sub(mark, 1, 2) == '1:' end
end

local errors = {}
local function failed(reply)
  if type(reply) == 'table' and reply.err then
    errors[#errors + 1] = reply.err
    return true
  end
  return false
end

-- A message waits because some worker did not know its task: that name.
local function unknown_task(member)
  return string.match(member, '^u([^\t\n]*)\t')
end

-- Head is the right end. The earliest eta ends up rightmost; back-off goes to the tail in its order. What this worker
-- does not know is left in the list for whoever waits there, Python workers too.
local left = {}
local function move_due(i, list, schedule, now, room)
  local due = redis.pcall('ZRANGE', schedule, '-inf', now, 'BYSCORE', 'LIMIT', 0, room)
  if failed(due) or #due == 0 or failed(redis.pcall('LLEN', list)) then return 0 end
  local function move(member, head, command)
    if (string.sub(member, 1, 1) == 'h') ~= head then return end
    left[i] = left[i] or strange[unknown_task(member) or '']
    local score = redis.call('ZSCORE', schedule, member)
    redis.call('ZREM', schedule, member)
    local bytes = string.sub(member, string.find(member, '\n', 1, true) + 1)
    if failed(redis.pcall(command, list, bytes)) then redis.call('ZADD', schedule, score, member) end
  end
  for j = #due, 1, -1 do move(due[j], true, 'RPUSH') end
  for j = 1, #due do move(due[j], false, 'LPUSH') end
  return #due
end
local scheduled, now, room = existing(8) > 0, 0, 100
if scheduled then now = now_ms() end
for i = 0, lists - 1 do
  if scheduled and room > 0 then room = room - move_due(i, KEYS[6 + 3 * i], KEYS[8 + 3 * i], now, room) end
end

local segments, messages, found_marks, origins = {}, {}, {}, {}
local bytes, more = 0, room == 0
local full = most == 0 or alone

-- Takes what fits of what was popped; the rest goes to the head of the list, in its old order.
-- `ahead`: it was taken so many ms before it was due, a wait that its mark has counted in advance.
local function take(i, popped, list, ahead)
  local fits = 0
  for j, message in ipairs(popped) do
    local mark = marked and peek_mark(marks, message)
    local suspect = mark and string.sub(mark, 1, 1) == '1'
    local crowd = #messages > 0
    if suspect and not full and (crowd or redis.call('HLEN', reserved) > 0) then alone = true end
    if full or alone or #messages >= most or (crowd and bytes + #message > budget) then
      full, more = true, true
      break
    end
    fits = j
    bytes = bytes + #message
    messages[#messages + 1] = message
    origins[#messages] = i
    if mark then
      if ahead then
        local suspicion, waited = string.match(mark, '^(%d+:%d+:)(%d+)')
        if waited then mark = suspicion .. string.format('%.0f', math.max(0, tonumber(waited) - ahead)) end
      end
      found_marks[#found_marks + 1] = #messages
      found_marks[#found_marks + 1] = mark
    end
    if suspect then full, more, alone = true, true, true end
  end
  for j = #popped, fits + 1, -1 do redis.call('RPUSH', list, popped[j]) end
  if fits > 0 then
    segments[#segments + 1] = i + 1
    segments[#segments + 1] = fits
  end
end

local brought = ARGV[5] == '1' and existing(7) or 0
for i = 0, lists - 1 do
  if brought == 0 then break end
  local list, inbox = KEYS[6 + 3 * i], KEYS[7 + 3 * i]
  if not failed(redis.pcall('LLEN', list)) then
    local popped = redis.pcall('RPOP', inbox, 1000)
    if popped and not failed(popped) then
      brought = brought - 1
      take(i, popped, list)
    end
  end
end
local waiting = not full and existing(6) or 0
for i = 0, lists - 1 do
  local list = KEYS[6 + 3 * i]
  while waiting > 0 and not full and not left[i] do
    if #messages >= most then
      full, more = true, true
      break
    end
    local wanted = math.min(most - #messages, 32)
    local popped = redis.pcall('RPOP', list, wanted)
    if not popped or failed(popped) then break end
    take(i, popped, list)
    if #popped < wanted then break end
  end
end

-- With room left, this worker tries what others do not know before that is due. Such messages bear a mark.
for i = 0, lists - 1 do
  if full or not marked or not scheduled then break end
  local early = redis.pcall('ZRANGE', KEYS[8 + 3 * i], 0, 99, 'WITHSCORES')
  if failed(early) or failed(redis.pcall('LLEN', KEYS[6 + 3 * i])) then early = {} end
  for j = 1, #early, 2 do
    local member, task = early[j], unknown_task(early[j])
    if task and not strange[task] and not full and #messages < most then
      redis.call('ZREM', KEYS[8 + 3 * i], member)
      local bytes = string.sub(member, string.find(member, '\n', 1, true) + 1)
      take(i, {bytes}, KEYS[6 + 3 * i], math.max(0, tonumber(early[j + 1]) - now))
    end
  end
end

if #messages > 0 then
  local fields = {}
  for j, message in ipairs(messages) do
    fields[2 * j - 1] = string.format('%.0f', first + j - 1) .. ':' .. ARGV[6 + origins[j]]
    fields[2 * j] = message
  end
  if failed(redis.pcall('HSET', reserved, unpack(fields))) then
    for j = #messages, 1, -1 do redis.call('RPUSH', KEYS[6 + 3 * origins[j]], messages[j]) end
    return redis.error_reply(errors[#errors])
  end
  for j = 1, #found_marks, 2 do
    local at = found_marks[j]
    redis.call('HSET', held_marks, fields[2 * at - 1], found_marks[j + 1] .. ':0')
    take_mark(marks, ages, messages[at])
  end
end

local next_due = -1
if scheduled and not more then
  for i = 0, lists - 1 do
    local soonest = redis.pcall('ZRANGE', KEYS[8 + 3 * i], 0, 0, 'WITHSCORES')
    if not soonest.err and soonest[2] then
      local wait = math.max(0, tonumber(soonest[2]) - now)
      if next_due < 0 or wait < next_due then next_due = wait end
    end
  end
end
return {1, alone and 2 or more and 1 or 0, next_due, segments, messages, found_marks, errors}
)lua";

}  // namespace lovage::broker::redis::lua
