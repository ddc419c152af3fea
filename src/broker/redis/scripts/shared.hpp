// Lua that several scripts begin with.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

// Marks of messages that went back to a queue, where the bytes must stay as the producer wrote them. They are
// kept beside it, by the message's SHA-1, as "copies:suspect:strikes:waited_ms"; two equal messages share a row.
// Rows whose message was taken by somebody else (a Python worker) age out, see prune.
//
//   put_mark(marks, ages, bytes, "suspect:strikes:waited_ms", now_ms)
//   peek_mark(marks, bytes)          -> the same text, or nil
//   take_mark(marks, ages, bytes)    removes one copy
inline constexpr std::string_view kMarks = R"lua(
local function split_mark(text)
  local a, b, c, d = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
  return tonumber(a), tonumber(b), tonumber(c), tonumber(d)
end
local function put_mark(marks, ages, bytes, text, now_ms)
  if text == '' or text == '0:0:0' then return end
  local name = redis.sha1hex(bytes)
  local copies, suspect, strikes, waited = split_mark('1:' .. text)
  local old = redis.call('HGET', marks, name)
  if old then
    local c, su, st, w = split_mark(old)
    copies, suspect, strikes, waited = c + 1, math.max(suspect, su), math.max(strikes, st), math.max(waited, w)
  end
  redis.call('HSET', marks, name, string.format('%d:%d:%d:%.0f', copies, suspect, strikes, waited))
  redis.call('ZADD', ages, now_ms, name)
end
local function peek_mark(marks, bytes)
  local text = redis.call('HGET', marks, redis.sha1hex(bytes))
  return text and string.match(text, '^%d+:(.*)$')
end
local function take_mark(marks, ages, bytes)
  local name = redis.sha1hex(bytes)
  local copies, suspect, strikes, waited = split_mark(redis.call('HGET', marks, name))
  if copies > 1 then
    redis.call('HSET', marks, name, string.format('%d:%d:%d:%.0f', copies - 1, suspect, strikes, waited))
  else
    redis.call('HDEL', marks, name)
    redis.call('ZREM', ages, name)
  end
end
)lua";

inline constexpr std::string_view kNow = R"lua(
local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
)lua";

// may_replace(stored meta or false, next state): the rule of states::may_replace. The state is read from the
// front of Celery's JSON; texts of other writers (and msgpack) are decoded, never edited.
inline constexpr std::string_view kStates = R"lua(
local READY = {SUCCESS = true, FAILURE = true, REVOKED = true}
local function state_of(meta)
  if not meta then return nil end
  local state = string.match(meta, '^{"status": ?"([^"\\]*)"')
  if state then return state end
  for _, decode in ipairs({cjson.decode, cmsgpack.unpack}) do
    local ok, value = pcall(decode, meta)
    if ok and type(value) == 'table' and type(value.status) == 'string' then return value.status end
  end
  return nil
end
local function may_replace(stored, next_state)
  if stored == 'SUCCESS' then return false end
  return not READY[stored or ''] or READY[next_state] == true
end
)lua";

}  // namespace lovage::broker::redis::lua
