// The settle script: the outcomes of up to 256 messages, each fenced by its token.
//
// KEYS  1 incarnations  2 reserved:<id>  3 held-marks:<id>  4 settled:<id>  5 marks  6 mark-ages  7 dead  8 alarms
//       then, in any order: queue lists, schedules, graphs, result keys and keys of chords (these two in the results'
//       database)
//       then the result keys of the plain settlements, in their order
// ARGV  1 id  2 batch number  3 batch numbers whose replies have arrived, parted by spaces
//       4 broker's database  5 results' database  6 result_expires in s (0: never)
//       7 number of plain settlements  8 index of their first result key
//       then for each plain settlement (acknowledge, nothing to send, at most one result):
//         token, state, meta      state "": no result, and no key
//       number of chords whose parts are counted by settlements that are plain otherwise, for each of them:
//         j, s, t: key indices, continuation, number of settlements, for each of these:
//           token, state, meta, result's key index, score, task id, text
//       then for each other settlement: token, kind, number of results, number of sends, number of buried messages,
//         number of words on its workflow,
//         results: (key index, state, meta) ...      sends: (key index, message) ...
//         buried, dead letters beside the message itself: (queue, step, task id, task, reason, detail, message) ...
//         and by kind   a acknowledge, k keep (a state alone), s record a start: nothing
//                       h head, t tail: list's key index, replacement or "", marks or ""
//                       d schedule: schedule's key index, replacement, marks, due ("@ms" wall or "+ms"), unique prefix
//                       x dead letter: queue, step, task id, task, reason, detail
//                       c carry on: the continuation
//         on its workflow, if anything (see chords.hpp and graphs.hpp):
//           number of chords to start, (j, s, t: key indices, size) ...
//           "" or what is counted: j, s, t, continuation, number of tasks that are added, number of parts,
//             (score, task id, text, result's key index) ...
//           "" or what ends: j, s, t, group's key index
//           nothing or the graph: key index, holders that come, holders that go
// Returns {0} when the incarnation is not registered, else {1, codes, soonest due in ms or -1, {error, ...}} with
//       one code for each settlement, those that only count after the others and the plain ones last: 1 settled,
//       0 fenced, 2 failed, 3 carries on. An error, and nothing done, while the server takes no writes at all.
//
// Kill-safe: one step for the server. Whoever comes second finds no token and does nothing. Key types are checked
// before anything is written. The first write is an HDEL, the fence, after which Redis lets the rest through even
// when its memory is full. Should a write fail all the same, what the settlement pushed is taken back, the message
// returns under its token (a plain one has never left it), and `alarms` says so. A lost reply is asked for again with
// the same batch number: settled:<id> remembers the codes of the batches that ran, so that a replay is told what
// happened, not "fenced".
//
// A continuation takes the message's place under its token, as a byte 1 and its text. The message of a settlement that
// counts leaves only when it is known whether that was the last part. A chord that ends is removed in the last write of
// all that may fail.
//
// Lua hashes every byte of every string that it is handed, so the plain settlements, nearly all there are, are told
// in few words, and their messages are not read. They come in settle_plain.hpp, behind this.
#pragma once

#include <string_view>

namespace lovage::broker::redis::lua {

inline constexpr std::string_view kSettle = R"lua(
local incarnations, reserved, held_marks, settled = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local marks, ages, dead, alarms = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local id, batch, broker_db, result_db, expires = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]
local lifetime = expires ~= '0' and {'EX', expires} or {}
if redis.call('HEXISTS', incarnations, id) == 0 then return {0} end
local before = redis.call('HGET', settled, batch)
if before then return {1, before, -1, {}} end
local suspects = redis.call('HLEN', held_marks) > 0
local function answer(codes, soonest, errors)
  for number in string.gmatch(ARGV[3], '%d+') do redis.call('HDEL', settled, number) end
  redis.pcall('HSET', settled, batch, codes)
  return {1, codes, soonest, errors}
end

-- The HDEL of nothing shows whether a message's own will be refused, and opens a full memory for what follows it. What
-- the server refuses to everybody, for the moment, is no message's fault: all of them are asked for again.
local probe = redis.pcall('HDEL', reserved, '')
local refused = type(probe) == 'table' and probe.err
for _, code in ipairs({'READONLY ', 'NOREPLICAS ', 'MISCONF '}) do
  local from = refused and string.find(refused, code, 1, true)
  if from then return redis.error_reply(string.sub(refused, from)) end
end

local checked = {}
local function refuses(key, command)
  if checked[key] == nil then
    local reply = redis.pcall(command, key)
    checked[key] = type(reply) == 'table' and reply.err or false
  end
  return checked[key]
end

-- First everything is read and checked.
local KIND_ARGS = {a = 0, k = 0, s = 0, h = 3, t = 3, d = 5, x = 6, c = 1}
local tokens, kinds, bytes, codes, errors = {}, {}, {}, {}, {}
local result_at, send_at, buried_at, kind_at = {}, {}, {}, {}
local wanted, wanted_at = {}, {}
local chorded, starts, counts, ends, graphs = {}, {}, {}, {}, {}
local function check(n)
  for p = send_at[n], buried_at[n] - 1, 2 do
    local err = refuses(KEYS[tonumber(ARGV[p])], 'LLEN')
    if err then return err end
  end
  local kind, p = kinds[n], kind_at[n]
  local err = false
  local goes_back = kind == 'h' or kind == 't' or kind == 'd'
  if goes_back and string.byte(bytes[n]) == 1 then return 'a continuation goes to no queue' end
  if kind == 'h' or kind == 't' then err = refuses(KEYS[tonumber(ARGV[p])], 'LLEN') end
  if kind == 'd' then err = refuses(KEYS[tonumber(ARGV[p])], 'ZCARD') end
  if kind == 'x' or buried_at[n] < p then err = err or refuses(dead, 'XLEN') end
  if graphs[n] then err = err or refuses(graphs[n].key, 'HLEN') end
  if goes_back then
    err = err or refuses(marks, 'HLEN') or refuses(ages, 'ZCARD')
  end
  return err
end
local function read_workflow(n, p, last)
  local function key(at) return KEYS[tonumber(ARGV[at])] end
  local function chord(at) return {j = key(at), s = key(at + 1), t = key(at + 2)} end
  starts[n] = {}
  for i = 1, tonumber(ARGV[p]) do
    starts[n][i] = chord(p + 4 * i - 3)
    starts[n][i].size = ARGV[p + 4 * i]
  end
  p = p + 1 + 4 * #starts[n]
  if ARGV[p] == '' then
    p = p + 1
  else
    counts[n] = {chord = chord(p), continuation = ARGV[p + 3], added = tonumber(ARGV[p + 4]), parts = {}}
    for i = 1, tonumber(ARGV[p + 5]) do
      local at = p + 2 + 4 * i
      counts[n].parts[i] = {score = ARGV[at], id = ARGV[at + 1], text = ARGV[at + 2], result = key(at + 3)}
    end
    p = p + 6 + 4 * #counts[n].parts
  end
  if ARGV[p] == '' then
    p = p + 1
  else
    ends[n] = {chord = chord(p), group = key(p + 3)}
    p = p + 4
  end
  if #starts[n] > 0 or counts[n] or ends[n] then chorded[#chorded + 1] = n end
  if p < last then graphs[n] = {key = key(p), added = tonumber(ARGV[p + 1]), ended = tonumber(ARGV[p + 2])} end
end
local plain_count, plain_key = tonumber(ARGV[7]), tonumber(ARGV[8])
local p = 9 + 3 * plain_count
local counting = {}
local function read_counting()
  local function key(at) return KEYS[tonumber(ARGV[at])] end
  local of_chord = {chord = {j = key(p), s = key(p + 1), t = key(p + 2)}, continuation = ARGV[p + 3]}
  for n = 1, tonumber(ARGV[p + 4]) do
    local at = p - 2 + 7 * n
    of_chord[n] = {token = ARGV[at], state = ARGV[at + 1], meta = ARGV[at + 2], result = key(at + 3),
      score = ARGV[at + 4], id = ARGV[at + 5], text = ARGV[at + 6]}
  end
  p = p + 5 + 7 * #of_chord
  return of_chord
end
p = p + 1
for c = 1, tonumber(ARGV[p - 1]) do counting[c] = read_counting() end
while p <= #ARGV do
  local n = #tokens + 1
  tokens[n], kinds[n] = ARGV[p], ARGV[p + 1]
  result_at[n] = p + 6
  send_at[n] = p + 6 + 3 * tonumber(ARGV[p + 2])
  buried_at[n] = send_at[n] + 2 * tonumber(ARGV[p + 3])
  kind_at[n] = buried_at[n] + 7 * tonumber(ARGV[p + 4])
  local words = tonumber(ARGV[p + 5])
  p = kind_at[n] + KIND_ARGS[kinds[n]]
  if words > 0 then read_workflow(n, p, p + words) end
  p = p + words
end
local now = 0
if #tokens > 0 then
  bytes = redis.call('HMGET', reserved, unpack(tokens))
  now = now_ms()
end
for n = 1, #tokens do
  codes[n] = bytes[n] and '1' or '0'
  if bytes[n] then
    local err = check(n)
    if err then
      codes[n] = '2'
      errors[#errors + 1] = err
    else
      for r = result_at[n], send_at[n] - 1, 3 do
        wanted[#wanted + 1] = KEYS[tonumber(ARGV[r])]
        wanted_at[#wanted_at + 1] = {n, r}
      end
    end
  end
end

-- Which results may be written. A key of another type reads as nothing here, so those are asked for their type.
local function in_results(keys, work)
  if #keys == 0 then return end
  if result_db ~= broker_db then redis.call('SELECT', result_db) end
  local ok, err = pcall(work)
  if result_db ~= broker_db then redis.call('SELECT', broker_db) end
  if not ok then error(err) end
end
local function add_states(state, keys)
  if redis.call('EXISTS', unpack(keys)) == 0 then return end
  for j, meta in ipairs(redis.call('MGET', unpack(keys))) do
    local key = keys[j]
    if meta then
      state[key] = state_of(meta)
    else
      local type = redis.call('TYPE', key).ok
      if type ~= 'none' then state[key] = {err = 'WRONGTYPE ' .. type .. ' where a result belongs'} end
    end
  end
end
local function states_of(keys)
  local state = {}
  for from = 1, #keys, 1000 do add_states(state, {unpack(keys, from, math.min(from + 999, #keys))}) end
  return state
end
local function store(key, meta, lasts)
  local reply = redis.pcall('SET', key, meta, unpack(lasts or lifetime))
  if not reply.err then reply = redis.pcall('PUBLISH', key, meta) end
  return type(reply) == 'table' and reply.err
end
local may_write = {}
in_results(wanted, function()
  local state = states_of(wanted)
  for j, key in ipairs(wanted) do
    local n, r = wanted_at[j][1], wanted_at[j][2]
    if type(state[key]) == 'table' then
      if codes[n] == '1' then errors[#errors + 1] = state[key].err end
      codes[n] = '2'
    elseif codes[n] == '1' and may_replace(state[key], ARGV[r + 1]) then
      may_write[r] = true
      state[key] = ARGV[r + 1]
    end
  end
end)

local function refuses_parts(key)
  if checked[key] == nil then
    local ok, err = pcall(parts_in, key)
    checked[key] = not ok and (type(err) == 'table' and err.err or err)
  end
  return checked[key]
end

-- Keys of one name in the two databases are two keys.
in_results(chorded, function()
  checked = {}
  for _, n in ipairs(chorded) do
    local err = false
    local function look(chord)
      err = err or refuses_parts(chord.j) or refuses(chord.s, 'GET') or refuses(chord.t, 'GET')
    end
    for _, chord in ipairs(starts[n]) do look(chord) end
    if counts[n] then look(counts[n].chord) end
    if err and codes[n] == '1' then
      codes[n] = '2'
      errors[#errors + 1] = err
    end
  end
end)

-- Then it is written; `undo` holds what takes back the pushes of one settlement, `undo_chords` the same of its chords.
local soonest = -1
local undo, undo_chords, fenced, taken, carries_on = {}, {}, {}, {}, {}
local function to_undo(n, ...)
  undo[n] = undo[n] or {}
  undo[n][#undo[n] + 1] = {...}
end
local function push(command, key, message, n)
  redis.call(command, key, message)
  to_undo(n, 'LREM', key, command == 'LPUSH' and 1 or -1, message)
end
local function go_back(n, text)
  local at = kind_at[n]
  local key = KEYS[tonumber(ARGV[at])]
  local message = ARGV[at + 1] ~= '' and ARGV[at + 1] or bytes[n]
  local mark = ARGV[at + 2]
  if mark == '' and text then mark = string.match(text, '^(%d+:%d+:%d+)') or '' end
  if kinds[n] == 'h' then
    push('RPUSH', key, message, n)
  elseif kinds[n] == 't' then
    push('LPUSH', key, message, n)
  else
    local due = ARGV[at + 3]
    local ms = tonumber(string.sub(due, 2))
    -- The clock has been rounded down; a delay is never shorter than asked for.
    if string.sub(due, 1, 1) == '+' then ms = ms > 0 and now + 1 + ms or now end
    local member = ARGV[at + 4] .. '\n' .. message
    redis.call('ZADD', key, string.format('%.0f', ms), member)
    to_undo(n, 'ZREM', key, member)
    local wait = math.max(0, ms - now)
    if soonest < 0 or wait < soonest then soonest = wait end
  end
  put_mark(marks, ages, message, mark, now)
end
local function bury(n, at, message)
  local entry = redis.call('XADD', dead, '*', 'queue', ARGV[at], 'step', ARGV[at + 1], 'id', ARGV[at + 2],
    'task', ARGV[at + 3], 'reason', ARGV[at + 4], 'detail', ARGV[at + 5], 'message', message)
  to_undo(n, 'XDEL', dead, entry)
end
local function write(n)
  local kind, token = kinds[n], tokens[n]
  local text = suspects and redis.call('HGET', held_marks, token)
  if kind == 'k' then return end
  if kind == 's' then
    text = text or '0:0:0:0'
    redis.call('HDEL', held_marks, token)
    redis.call('HSET', held_marks, token, string.match(text, '^(%d+:%d+:%d+)') .. ':1')
    return
  end
  if taken[token] then
    codes[n] = '0'
    return
  end
  taken[token] = true
  if kind == 'c' then
    redis.call('HSET', reserved, token, '\1' .. ARGV[kind_at[n]])
    carries_on[n] = true
  elseif not counts[n] then
    redis.call('HDEL', reserved, token)
  end
  fenced[n] = not counts[n]
  for at = send_at[n], buried_at[n] - 1, 2 do push('LPUSH', KEYS[tonumber(ARGV[at])], ARGV[at + 1], n) end
  for at = buried_at[n], kind_at[n] - 1, 7 do bury(n, at, ARGV[at + 6]) end
  local graph = graphs[n]
  if graph then
    graph.is_over = use_graph(graph.key, graph.added, graph.ended, function(...) to_undo(n, ...) end)
  end
  if kind == 'x' then
    bury(n, kind_at[n], bytes[n])
  elseif KIND_ARGS[kind] >= 3 then
    go_back(n, text)
  end
  if text and fenced[n] then redis.call('HDEL', held_marks, token) end
end
local function alarm(token, err)
  if type(err) == 'table' then err = err.err end
  errors[#errors + 1] = tostring(err)
  redis.pcall('LPUSH', alarms, token .. ' of ' .. id .. ': ' .. tostring(err))
  redis.pcall('LTRIM', alarms, 0, 99)
end
local function take_back(steps)
  for j = #steps, 1, -1 do redis.pcall(unpack(steps[j])) end
end
local function failed(n, err)
  codes[n] = '2'
  take_back(undo[n] or {})
  in_results(undo_chords[n] or {}, function() take_back(undo_chords[n]) end)
  if fenced[n] then redis.call('HSET', reserved, tokens[n], bytes[n]) end
  alarm(tokens[n], err)
end
for n = 1, #tokens do
  if codes[n] == '1' then
    local ok, err = pcall(write, n)
    if not ok then failed(n, err) end
  end
end
local unstored = {}
in_results(wanted, function()
  for j, key in ipairs(wanted) do
    local n, r = wanted_at[j][1], wanted_at[j][2]
    if may_write[r] and codes[n] == '1' and not unstored[n] then unstored[n] = store(key, ARGV[r + 2]) or nil end
  end
end)
local last_part = {}
local function write_chords(n)
  undo_chords[n] = {}
  local function note(...) undo_chords[n][#undo_chords[n] + 1] = {...} end
  for _, chord in ipairs(starts[n]) do start_chord(chord, chord.size, note) end
  local count = counts[n]
  if count and count_parts(count.chord, count.parts, count.added, expires, note) then
    claim_chord(count.chord, note)
    last_part[n] = true
  end
end
in_results(chorded, function()
  for _, n in ipairs(chorded) do
    if codes[n] == '1' and not unstored[n] then
      local ok, err = pcall(write_chords, n)
      if not ok then
        unstored[n] = err
        take_back(undo_chords[n])
        undo_chords[n], known_chords = nil, {}
      end
    end
  end
end)
for n, err in pairs(unstored) do failed(n, err) end

-- The messages of those that count leave now, or become the continuation.
local function leave(n)
  if last_part[n] then
    redis.call('HSET', reserved, tokens[n], '\1' .. counts[n].continuation)
    carries_on[n] = true
  else
    redis.call('HDEL', reserved, tokens[n])
  end
  fenced[n] = true
  if suspects then redis.call('HDEL', held_marks, tokens[n]) end
end
for _, n in ipairs(chorded) do
  if counts[n] and codes[n] == '1' then
    local ok, err = pcall(leave, n)
    if not ok then failed(n, err) end
  end
end
local function end_chord(ended)
  if expires ~= '0' then redis.call('EXPIRE', ended.group, expires) end
  redis.call('UNLINK', ended.chord.j, ended.chord.s, ended.chord.t)
end
local unended = {}
in_results(chorded, function()
  for _, n in ipairs(chorded) do
    if ends[n] and codes[n] == '1' then
      local ok, err = pcall(end_chord, ends[n])
      if not ok then unended[n] = err end
    end
  end
end)
for n, err in pairs(unended) do failed(n, err) end
for n, graph in pairs(graphs) do
  if graph.is_over and codes[n] == '1' then redis.pcall('UNLINK', graph.key) end
end
for n in pairs(carries_on) do
  if codes[n] == '1' then codes[n] = '3' end
end
)lua";

}  // namespace lovage::broker::redis::lua
