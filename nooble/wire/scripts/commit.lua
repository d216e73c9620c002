#!lua flags=allow-oom
-- Ends a batch of deliveries: what each has to say is written, and it leaves the pending list, together or not at all.
--
-- The fence is one XPENDING over the ids that the batch spans: it gives the owner and the delivery count. Nothing is written
-- for a delivery whose owner or count is another one by now. XACK and XDEL come last, because Lua has no rollback; for the
-- same reason all writes of a delivery are checked before its first is made, and nothing after that may raise an error.
--
-- Two kinds of writes. Essential ones are made, or the delivery does not end: if a key of the own service is unusable, it
-- stays pending and is reported as held; an action that cannot be sent on is kept in the dead letters; an effect that does
-- not fit what its key holds spoils the delivery, of which then nothing is written; what another run of the same idempotency
-- key has already brought to its end is repeated, of which nothing is written either. Answers and the records of idempotency
-- keys are best effort: one that cannot be written is reported and does not hold the delivery back.
--
-- KEYS[1] stream
-- ARGV    group, consumer, rows to ask for, n, first id, last id, ms that answers live, dead-letter stream,
--         then n times:        id, delivery count, queue or '', answer
--         then for each write, those of one delivery together: message (1..n), kind, key, number of arguments, arguments
--           own    field, value, ...               XADD to a stream of the own service
--           post   field, value, ...               XADD to the stream of a service
--           retry  ms, member                      ZADD, due in so many ms
--           effect command, key, argument, ...     a write of the handler's own
--           once   first id, ms, answer,           the record of an idempotency key: 'ok' if it ended well, 'void' if
--                  'ok' | 'void' | '', action id   it was never run
-- Reply   { committed, {message, 'taken' | 'gone', ...}, {message, error, ...} held,
--           {message or 0, key, error, ...} not written, {message, error, ...} spoilt, {message, answer, ...} repeated }
local stream, group, me = KEYS[1], ARGV[1], ARGV[2]
local limit, n, ttl, dead_letters = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[7], ARGV[8]
local call, try, may = redis.call, redis.pcall, redis.acl_check_cmd
local FIRST = 9
local writes, size = FIRST + 4 * n, #ARGV
if n > 1000 then return redis.error_reply('ERR a batch has 1000 deliveries at most') end -- Lua cannot unpack much more

local owned = {}
local rows = call('XPENDING', stream, group, ARGV[5], ARGV[6], limit, me)
for i = 1, #rows do owned[rows[i][1]] = rows[i][4] end
if may and not (may('XACK', stream, group, '0') and may('XDEL', stream, '0')) then
  return redis.error_reply('NOPERM no permission to acknowledge and delete in ' .. stream)
end

local refused, held, unwritten, spoilt, repeated = {}, {}, {}, {}, {}
local function add(list, a, b, c)
  local at = #list
  list[at + 1], list[at + 2], list[at + 3] = a, b, c
end

-- whose deliveries are they
local mine, taken = {}, {}
for i = 1, n do
  local a = FIRST + 4 * (i - 1)
  local id = ARGV[a]
  local count = owned[id]
  if not count then -- beyond the rows that were asked for, or not in order
    local row = call('XPENDING', stream, group, id, id, 1, me)[1]
    count = row and row[4]
  end
  if taken[id] then -- given twice to the same consumer, after the group was made anew: the first end is its end
    add(refused, i, 'gone')
  elseif count and count == tonumber(ARGV[a + 1]) then
    mine[i], taken[id] = true, true
  else
    add(refused, i, call('XPENDING', stream, group, id, id, 1)[1] and 'taken' or 'gone')
  end
end

-- can a key be written; who may write a key of others may not always look at its type
local function error_of(reply) return type(reply) == 'table' and reply.err end
local function type_of(key) return try('TYPE', key).ok or 'none' end
local WANTED = { own = 'stream', post = 'stream', retry = 'zset', once = 'hash' }
local faults, now = {}, nil
local function fault_of(kind, key)
  if faults[key] == nil then
    local found, fault = type_of(key), false
    if found ~= 'none' and found ~= WANTED[kind] then
      fault = 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. WANTED[kind]
    elseif may then
      local allowed
      if kind == 'retry' then allowed = may('ZADD', key, '0', '')
      elseif kind == 'once' then allowed = may('HSET', key, '', '')
      else allowed = may('XADD', key, '*', '', '') end
      if not allowed then fault = 'NOPERM no permission to write ' .. key end
    end
    faults[key] = fault
  end
  return faults[key]
end

-- an effect has to fit what its key holds now, or will hold after the effects before it
local HOLDS = {
  SET = 'string', INCRBY = 'string', HSET = 'hash', HDEL = 'hash', HINCRBY = 'hash', SADD = 'set', SREM = 'set',
  ZADD = 'zset', ZREM = 'zset', RPUSH = 'list', LPUSH = 'list', DEL = 'none', PEXPIRE = 'any',
}
local OVERWRITES = { SET = true, DEL = true, PEXPIRE = true }
local LARGEST = 2 ^ 62
local function effect_fault(key, first, last, holds, sums)
  local command = ARGV[first]
  local kind = holds[key] and { ok = holds[key] } or try('TYPE', key)
  if error_of(kind) then return 'NOPERM no permission to look at ' .. key .. ': ' .. error_of(kind) end
  local found, wanted = kind.ok, HOLDS[command]
  if not OVERWRITES[command] and found ~= 'none' and found ~= wanted then
    return 'WRONGTYPE ' .. key .. ' holds a ' .. found .. ', and ' .. command .. ' is for a ' .. wanted
  end
  if may and not may(unpack(ARGV, first, last)) then return 'NOPERM no permission for ' .. command .. ' ' .. key end
  if command == 'INCRBY' or command == 'HINCRBY' then
    local field = command == 'HINCRBY' and ARGV[first + 2]
    local place = field and key .. '\n' .. field or key
    local sum = sums[place]
    if not sum then
      local value = found ~= 'none' and (field and try('HGET', key, field) or not field and try('GET', key)) or '0'
      if error_of(value) then return error_of(value) end
      if value ~= '0' and not string.find(value, '^%-?[1-9]%d*$') then return 'ERR ' .. key .. ' holds no whole number' end
      sum = math.abs(value)
    end
    sums[place] = sum + math.abs(ARGV[last])
    if sums[place] >= LARGEST then return 'ERR ' .. key .. ' would hold too large a number' end
  end
  if wanted ~= 'any' then holds[key] = wanted end
  return false
end

-- may the writes of one delivery be made: the name of the list that it belongs to otherwise, and why
local function obstacle(from, beyond)
  local w, holds, sums = from, {}, {}
  while w < beyond do
    local kind, key, first = ARGV[w + 1], ARGV[w + 2], w + 4
    local last = w + 3 + ARGV[w + 3]
    if kind == 'effect' then
      local fault = effect_fault(key, first, last, holds, sums)
      if fault then return spoilt, fault end
    else
      local fault = fault_of(kind, key)
      if fault and kind == 'post' then fault = fault_of('own', dead_letters) end
      if fault and kind ~= 'once' then return held, fault end
      if kind == 'once' then
        local known = not fault and try('HMGET', key, 'entry', 'ok', 'answer')
        if known and known[2] and known[1] ~= ARGV[first] then return repeated, known[3] or '' end
      elseif kind == 'retry' and not now then
        local time = call('TIME')
        now = time[1] * 1000 + math.floor(time[2] / 1000)
      end
    end
    w = last + 1
  end
end

local function put(kind, key, first, last)
  if kind == 'retry' then return try('ZADD', key, now + ARGV[first], ARGV[first + 1]) end
  if kind == 'effect' then return try(unpack(ARGV, first, last)) end
  if kind == 'once' then
    local reply = try('HSET', key, 'entry', ARGV[first], 'answer', ARGV[first + 2])
    try('HSETNX', key, 'action', ARGV[first + 4])
    if ARGV[first + 3] ~= '' then try('HSET', key, ARGV[first + 3], '1') end
    if try('PTTL', key) == -1 then try('PEXPIRE', key, ARGV[first + 1]) end
    return reply
  end
  return try('XADD', key, '*', unpack(ARGV, first, last))
end

-- a stream that has used up its ids is only found out by writing, then what was written before is taken back
local function write(i, from, beyond)
  local w, sent = from, {}
  while w < beyond do
    local kind, key, first = ARGV[w + 1], ARGV[w + 2], w + 4
    local last = w + 3 + ARGV[w + 3]
    local fault = (kind == 'post' or kind == 'once') and fault_of(kind, key)
    local id = not fault and put(kind, key, first, last)
    fault = fault or error_of(id)
    if fault and kind == 'post' then
      id = try('XADD', dead_letters, '*', 'reason', 'UNWRITABLE_FOLLOW_UP', 'error', fault, 'target', key,
        unpack(ARGV, first, last))
      if not error_of(id) then
        add(unwritten, i, key, fault)
        key, fault = dead_letters, false
      end
    end
    if fault and (kind == 'effect' or kind == 'once') then
      add(unwritten, i, key, fault)
    elseif fault then
      for s = 1, #sent, 2 do try('XDEL', sent[s], sent[s + 1]) end
      return fault
    elseif kind == 'own' or kind == 'post' then
      add(sent, key, id)
    end
    w = last + 1
  end
end

local w = writes
while w <= size do
  local i, from = ARGV[w], w
  while ARGV[w] == i do w = w + 4 + ARGV[w + 3] end
  i = tonumber(i)
  if mine[i] then
    local list, why = obstacle(from, w)
    if not list then
      why = write(i, from, w)
      list = why and held
    end
    if list then
      mine[i] = false
      add(list, i, why)
    end
  end
end

-- answers, one LPUSH and one lifetime a queue
local done, queues, answers = {}, {}, {}
for i = 1, n do
  if mine[i] then
    local a = FIRST + 4 * (i - 1)
    local queue = ARGV[a + 2]
    done[#done + 1] = ARGV[a]
    if queue ~= '' then
      local list = answers[queue]
      if not list then
        list = {}
        answers[queue] = list
        queues[#queues + 1] = queue
      end
      list[#list + 1] = ARGV[a + 3]
    end
  end
end
for i = 1, #queues do
  local queue = queues[i]
  local fault = error_of(try('LPUSH', queue, unpack(answers[queue]))) or error_of(try('PEXPIRE', queue, ttl))
  if fault then add(unwritten, 0, queue, fault) end
end

if #done > 0 then
  call('XACK', stream, group, unpack(done))
  call('XDEL', stream, unpack(done))
end
return { #done, refused, held, unwritten, spoilt, repeated }
