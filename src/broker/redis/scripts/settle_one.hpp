// The settle-one script: the outcome of one message, where latency hangs on it. A worker with little to do settles so,
// by few words and few commands: what the settle script would do (acknowledge, store the task's first result, send what
// follows), or nothing. The message may still be in the inbox into which a wait has brought it.
//
// KEYS  1 reserved:<id>  2 held-marks:<id>  3 settled:<id>  4 the result  5 the inbox, or ""
//       then for each message that is sent: the list; then the graph that goes on being held, where there is one
// ARGV  1 batch number  2 batch numbers whose replies have arrived, parted by spaces
//       3 broker's database  4 results' database  5 result_expires in s (0: never)
//       6 the reservation's field  7 the message in the inbox; "": it is reserved  8 meta   then the messages to send
// Returns 1 when it is settled, and 0 when nothing was done and the settle script has to say: the message is not there
// (fenced, or this is a replay), one that is held bears a mark, a result is there already, a write is refused.
//
// Kill-safe: as the settle script. A message that is there shows that the incarnation is registered: what unregisters
// it takes reservations and inboxes away in the same step. The fence comes first: a removal, which opens a full memory
// for what follows it. What was pushed is taken off again when something else fails; nobody has seen it then.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kSettleOne = R"lua(
local reserved, held_marks, settled, result, inbox = unpack(KEYS, 1, 5)
local batch, answered, broker_db, result_db, expires, token, message, meta = unpack(ARGV, 1, 8)
if redis.call('EXISTS', held_marks) == 1 then return 0 end
if message ~= '' then
  if redis.pcall('LREM', inbox, -1, message) ~= 1 then return 0 end
elseif redis.call('HEXISTS', reserved, token) == 0 or type(redis.pcall('HDEL', reserved, '')) ~= 'number' then
  return 0
end
local sends, pushed, sent, stored, told = #ARGV - 8, 0, true
while sent and pushed < sends do
  sent = type(redis.pcall('LPUSH', KEYS[6 + pushed], ARGV[9 + pushed])) == 'number'
  if sent then pushed = pushed + 1 end
end
local graph = KEYS[6 + sends]
if sent and graph then sent = type(redis.pcall('EXPIRE', graph, GRAPH_LASTS)) == 'number' end
if sent then
  if result_db ~= broker_db then redis.call('SELECT', result_db) end
  if expires == '0' then
    stored = redis.pcall('SET', result, meta, 'NX')
  else
    stored = redis.pcall('SET', result, meta, 'NX', 'EX', expires)
  end
  told = stored and stored.ok and redis.pcall('PUBLISH', result, meta)
  if type(told) == 'table' then redis.call('DEL', result) end
  if result_db ~= broker_db then redis.call('SELECT', broker_db) end
end
if type(told) ~= 'number' then
  for n = pushed, 1, -1 do redis.call('LPOP', KEYS[5 + n]) end
  if message ~= '' then redis.call('RPUSH', inbox, message) end
  return 0
end
if message == '' then redis.call('HDEL', reserved, token) end
for number in string.gmatch(answered, '%d+') do redis.call('HDEL', settled, number) end
redis.pcall('HSET', settled, batch, '1')
return 1
)lua";

}  // namespace lovage::broker::redis::lua
