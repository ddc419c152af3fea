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
// for what follows it. What was done is taken back when something else fails; nobody has seen it then. The database of
// the results is selected once and last: a script's SELECT ends with it.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kSettleOne = R"lua(
local reserved, held_marks, settled, result, inbox = unpack(KEYS, 1, 5)
local batch, answered, broker_db, result_db, expires, token, message, meta = unpack(ARGV, 1, 8)
local call = redis.call
if call('EXISTS', held_marks) == 1 then return 0 end
local bytes
if message ~= '' then
  if call('LREM', inbox, -1, message) ~= 1 then return 0 end
else
  bytes = call('HGET', reserved, token)
  if not bytes then return 0 end
  call('HDEL', reserved, token)
end
local sends, pushed, stored = #ARGV - 8, 0, false
local function carry_out()
  for n = 1, sends do
    call('LPUSH', KEYS[5 + n], ARGV[8 + n])
    pushed = n
  end
  local graph = KEYS[6 + sends]
  if graph then call('EXPIRE', graph, GRAPH_LASTS) end
  if answered ~= '' then
    for number in string.gmatch(answered, '%d+') do call('HDEL', settled, number) end
  end
  call('HSET', settled, batch, '1')
  if result_db ~= broker_db then call('SELECT', result_db) end
  if expires == '0' then
    stored = call('SET', result, meta, 'NX')
  else
    stored = call('SET', result, meta, 'NX', 'EX', expires)
  end
  if stored then call('PUBLISH', result, meta) end
end
if pcall(carry_out) and stored then return 1 end
if stored then call('DEL', result) end
if result_db ~= broker_db then call('SELECT', broker_db) end
call('HDEL', settled, batch)
for n = pushed, 1, -1 do call('LPOP', KEYS[5 + n]) end
if bytes then
  call('HSET', reserved, token, bytes)
else
  call('RPUSH', inbox, message)
end
return 0
)lua";

}  // namespace lovage::broker::redis::lua
