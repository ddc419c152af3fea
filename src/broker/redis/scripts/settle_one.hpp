// The settle-one script: the outcome of one message, where latency hangs on it. A worker with little to do settles so,
// by few words and few commands: what the settle script would do with one plain settlement (acknowledge, nothing to
// send, the task's first result), or nothing.
//
// KEYS  1 reserved:<id>  2 held-marks:<id>  3 settled:<id>  4 the result
// ARGV  1 batch number  2 batch numbers whose replies have arrived, parted by spaces
//       3 broker's database  4 results' database  5 result_expires in s (0: never)  6 token  7 state  8 meta
// Returns 1 when it is settled, and 0 when nothing was done and the settle script has to say: the message is not there
// (fenced, or this is a replay), one that is held bears a mark, a result is there already, a write is refused.
//
// Kill-safe: as the settle script. A token that is there shows that the incarnation is registered: what unregisters it
// takes the reservations away in the same step. The HDEL of nothing shows whether the message's own will be refused,
// and opens a full memory for what follows it.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kSettleOne = R"lua(
local reserved, held_marks, settled, result = unpack(KEYS)
local batch, answered, broker_db, result_db, expires, token, _, meta = unpack(ARGV)
if redis.call('HEXISTS', reserved, token) == 0 or redis.call('EXISTS', held_marks) == 1 or
  type(redis.pcall('HDEL', reserved, '')) ~= 'number' then return 0 end
local stored, told
if result_db ~= broker_db then redis.call('SELECT', result_db) end
if expires == '0' then
  stored = redis.pcall('SET', result, meta, 'NX')
else
  stored = redis.pcall('SET', result, meta, 'NX', 'EX', expires)
end
if stored and stored.ok then told = redis.pcall('PUBLISH', result, meta) end
if type(told) == 'table' then redis.call('DEL', result) end
if result_db ~= broker_db then redis.call('SELECT', broker_db) end
if type(told) ~= 'number' then return 0 end
redis.call('HDEL', reserved, token)
for number in string.gmatch(answered, '%d+') do redis.call('HDEL', settled, number) end
redis.pcall('HSET', settled, batch, '1')
return 1
)lua";

}  // namespace lovage::broker::redis::lua
