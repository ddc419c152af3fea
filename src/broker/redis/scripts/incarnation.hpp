// Scripts of an incarnation's life: register, renew, give back and unregister; inboxes; the sweeper's lock.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// KEYS  1 incarnations  2 about:<id>  3 lists      ARGV  1 id  2 "1": the first time  3 node name  then the lists'
// names Returns 1; 0 when it is not the first time (more lists) and the incarnation is gone. Safe to repeat before the
// first answer: the counter is kept.
inline constexpr std::string_view kRegister = R"lua(
if ARGV[2] == '1' then
  redis.call('HSETNX', KEYS[1], ARGV[1], 1)
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'node_name', ARGV[3])
for i = 4, #ARGV do
  redis.call('HSET', KEYS[2], 'list:' .. ARGV[i], '')
  redis.call('SADD', KEYS[3], ARGV[i])
end
return 1
)lua";

// KEYS  1 incarnations      ARGV  1 id
// Returns the new counter, 0 when the incarnation is not registered. HDEL comes first because Redis refuses a
// growing first write when its memory is full, and a full memory must not cost a living worker its lease.
inline constexpr std::string_view kRenew = R"lua(
local counter = redis.call('HGET', KEYS[1], ARGV[1])
if not counter then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', tonumber(counter) + 1))
return tonumber(counter) + 1
)lua";

// KEYS  1 sweeper      ARGV  1 id  2 expiry in ms
// Returns 1 when the lock is this incarnation's (taken or kept). DEL first, for the same reason. A lock that would last
// far longer than anybody takes one for is left over from before the server's clock was put back.
inline constexpr std::string_view kSweeperLock = R"lua(
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) <= 10 * tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
)lua";

// KEYS  1 incarnations  2 reserved:<id>  3 held-marks:<id>  4 settled:<id>  5 about:<id>  6 marks  7 mark-ages
//       8 orphans  9 continuations   then for each list: the list, its inbox
// ARGV  1 id  2 the counter seen, or "" (the incarnation itself goes)  3 "1": mark as suspects   then the lists' names
// Returns {1, messages and continuations given back, incarnations left}; {0} when it is not registered or its counter
// moved on;
//       {-1, name} when a reservation's list is missing in KEYS; nothing was done in the last two cases.
//
// Gives everything back to the heads of the queues, in the order in which it was reserved, and unregisters: one
// step, so no message is in two places and no script of the dead incarnation runs after it. Continuations go to a
// list of their own, which Python workers do not read: "<list's name>\n<text>" each. A recorded start that
// was never settled is a strike. What is in an inbox may run already (see take.hpp): it is as suspect as what was
// reserved. Types are checked first; HDEL is the first write (see kRenew); should a push fail all the same, the pushes
// are taken back and the incarnation stays registered.
inline constexpr std::string_view kGiveBack = R"lua(
local incarnations, reserved, held_marks = KEYS[1], KEYS[2], KEYS[3]
local marks, ages, orphans, continuations = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local id, as_suspects = ARGV[1], ARGV[3] == '1'
local counter = redis.call('HGET', incarnations, id)
if not counter or (ARGV[2] ~= '' and ARGV[2] ~= counter) then return {0} end

local list_of, inbox_of, names = {}, {}, {}
for i = 4, #ARGV do
  local at = 10 + 2 * (i - 4)
  names[#names + 1] = ARGV[i]
  list_of[ARGV[i]], inbox_of[ARGV[i]] = KEYS[at], KEYS[at + 1]
  redis.call('LLEN', KEYS[at])
  redis.call('LLEN', KEYS[at + 1])
end
redis.call('HLEN', held_marks)
redis.call('HLEN', marks)
redis.call('ZCARD', ages)
redis.call('ZCARD', orphans)
redis.call('LLEN', continuations)
local held = {}
for _, field in ipairs(redis.call('HKEYS', reserved)) do
  local colon = string.find(field, ':', 1, true)
  local name = string.sub(field, colon + 1)
  if not list_of[name] then return {-1, name} end
  held[#held + 1] = {tonumber(string.sub(field, 1, colon - 1)), field, name}
end
table.sort(held, function(a, b) return a[1] > b[1] end)

local now = now_ms()
local pushed = {}
local function push(list, bytes)
  redis.call('RPUSH', list, bytes)
  pushed[#pushed + 1] = list
end
local waiting = {}
local function give_back()
  for _, name in ipairs(names) do
    for _, bytes in ipairs(redis.call('LRANGE', inbox_of[name], 0, -1)) do
      push(list_of[name], bytes)
      waiting[#waiting + 1] = bytes
    end
  end
  for _, entry in ipairs(held) do
    local bytes = redis.call('HGET', reserved, entry[2])
    if string.byte(bytes) ~= 1 then push(list_of[entry[3]], bytes) end
  end
  for j = #held, 1, -1 do
    local bytes = redis.call('HGET', reserved, held[j][2])
    if string.byte(bytes) == 1 then push(continuations, held[j][3] .. '\n' .. string.sub(bytes, 2)) end
  end
end
redis.call('HDEL', incarnations, id)
local ok, err = pcall(give_back)
if not ok then
  for i = #pushed, 1, -1 do redis.call('RPOP', pushed[i]) end
  redis.call('HSET', incarnations, id, counter)
  return redis.error_reply(type(err) == 'table' and err.err or tostring(err))
end
for _, entry in ipairs(held) do
  local text = redis.call('HGET', held_marks, entry[2]) or '0:0:0:0'
  local suspect, strikes, waited, started = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
  if as_suspects then
    suspect = 1
    strikes = tonumber(strikes) + tonumber(started)
  end
  local bytes = redis.call('HGET', reserved, entry[2])
  if string.byte(bytes) ~= 1 then put_mark(marks, ages, bytes, suspect .. ':' .. strikes .. ':' .. waited, now) end
end
for _, bytes in ipairs(waiting) do
  if as_suspects then put_mark(marks, ages, bytes, '1:0:0', now) end
end
for _, name in ipairs(names) do
  redis.call('DEL', inbox_of[name])
  redis.call('ZADD', orphans, now, id .. ':' .. name)
end
redis.call('DEL', reserved, held_marks, KEYS[4], KEYS[5])
return {1, #pushed, redis.call('HLEN', incarnations)}
)lua";

// KEYS  1 incarnations  2 reserved:<id>  3 continuations
// ARGV  1 id  2 first token  3 most continuations  4 byte budget (one always fits)   then the names of the lists that
//       this worker serves
// Returns {0} when the incarnation is not registered, else {1, more, {list's name, text, ...}}: reserved under the
// tokens
//       first, first+1, ... `more`: 1 when others wait that this worker could have.
//
// What workers died with that had work to do after a settlement. Each is reserved before it leaves the list, so nothing
// has to be put back. HDEL comes first, see kRenew.
inline constexpr std::string_view kAdopt = R"lua(
local reserved, continuations = KEYS[2], KEYS[3]
local first, most, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {0} end
redis.call('HDEL', reserved, '')
local function list_of(entry)
  for i = 5, #ARGV do
    if string.sub(entry, 1, #ARGV[i] + 1) == ARGV[i] .. '\n' then return ARGV[i] end
  end
end
local adopted, bytes, more, at = {}, 0, 0, 0
local entry = redis.call('LINDEX', continuations, at)
while entry do
  local list = list_of(entry)
  if not list then
    at = at + 1
  else
    local text, count = string.sub(entry, #list + 2), #adopted / 2
    if count >= most or (count > 0 and bytes + #text > budget) then
      more = 1
      break
    end
    local field = string.format('%.0f', first + count) .. ':' .. list
    redis.call('HSET', reserved, field, '\1' .. text)
    local gone = redis.pcall('LREM', continuations, 1, entry)
    if gone ~= 1 then
      redis.call('HDEL', reserved, field)
      return gone
    end
    bytes = bytes + #text
    adopted[#adopted + 1] = list
    adopted[#adopted + 1] = text
  end
  entry = redis.call('LINDEX', continuations, at)
end
return {1, more, adopted}
)lua";

// KEYS  for each: a list, an inbox of it      Returns the number of messages given back to the lists' heads.
// For queues that are cancelled and for inboxes of incarnations that are gone, which a wait that was still blocked
// at the server may have filled.
inline constexpr std::string_view kEmptyInboxes = R"lua(
local moved = 0
for i = 1, #KEYS, 2 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'none' or kind == 'list' then
    local bytes = redis.call('LPOP', KEYS[i + 1])
    while bytes do
      local pushed = redis.pcall('RPUSH', KEYS[i], bytes)
      if type(pushed) == 'table' and pushed.err then
        redis.call('LPUSH', KEYS[i + 1], bytes)
        return pushed
      end
      moved = moved + 1
      bytes = redis.call('LPOP', KEYS[i + 1])
    end
  end
end
return moved
)lua";

// KEYS  1 marks  2 mark-ages      ARGV  1 oldest age kept, in ms
// Forgets marks whose messages somebody else must have taken: up to 1,000 a call. Returns how many.
inline constexpr std::string_view kPruneMarks = R"lua(
local before = now_ms() - tonumber(ARGV[1])
local old = redis.call('ZRANGE', KEYS[2], '-inf', before, 'BYSCORE', 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('HDEL', KEYS[1], unpack(old))
  redis.call('ZREM', KEYS[2], unpack(old))
end
return #old
)lua";

// KEYS  1 a list  2 its schedule      ARGV  1 "due": only what is due
// Returns how many of up to 1,000 scheduled messages went to the list.
// For when no worker is left to look at the schedule, and for the way back to Python. As in the reserve script, what
// has an eta goes to the head, the earliest first; what was put off goes to the tail.
inline constexpr std::string_view kHandBack = R"lua(
redis.call('LLEN', KEYS[1])
local until_ms = ARGV[1] == 'due' and now_ms() or '+inf'
local members = redis.call('ZRANGE', KEYS[2], '-inf', until_ms, 'BYSCORE', 'LIMIT', 0, 1000)
local function move(member, head)
  if (string.sub(member, 1, 1) == 'h') ~= head then return end
  local score = redis.call('ZSCORE', KEYS[2], member)
  redis.call('ZREM', KEYS[2], member)
  local bytes = string.sub(member, string.find(member, '\n', 1, true) + 1)
  local pushed = redis.pcall(head and 'RPUSH' or 'LPUSH', KEYS[1], bytes)
  if type(pushed) == 'table' and pushed.err then
    redis.call('ZADD', KEYS[2], score, member)
    error(pushed.err)
  end
end
for j = #members, 1, -1 do move(members[j], true) end
for j = 1, #members do move(members[j], false) end
return #members
)lua";

}  // namespace lovage::broker::redis::lua
