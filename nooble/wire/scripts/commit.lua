#!lua flags=allow-oom
-- Ends a batch of deliveries: what each has to say is written, and it leaves the pending list, together or not at all.
--
-- The fence is one XPENDING over the ids that the batch spans: it gives the owner and the delivery count. Nothing is written
-- for a delivery whose owner or count is another one by now. XACK and XDEL come last, because Lua has no rollback; for the
-- same reason nothing after the first write may raise an error.
--
-- Two kinds of writes. Essential ones (retry, dead letter, release, action sent on) have their keys checked before anything
-- of their delivery is written: if a key of the own service is unusable, the delivery stays pending and is reported; an
-- action that cannot be sent on is kept in the dead letters. Answers are best effort: one that cannot be written is
-- reported and does not hold the delivery back.
--
-- KEYS[1] stream
-- ARGV    group, consumer, rows to ask for, n, first id, last id, ms that answers live, dead-letter stream,
--         then n times:        id, delivery count, queue or '', answer
--         then for each write: message (1..n), kind, key, number of arguments, arguments
--           own   field, value, ...     XADD to a stream of the own service
--           post  field, value, ...     XADD to the stream of a service
--           retry ms, member            ZADD, due in so many ms
-- Reply   { committed, {message, 'taken' | 'gone', ...}, {message, error, ...} not acknowledged,
--           {message or 0, key, error, ...} not written }
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

local refused, held, unwritten = {}, {}, {}
local function add(list, a, b, c)
  local at = #list
  list[at + 1], list[at + 2], list[at + 3] = a, b, c
end

-- whose deliveries are they
local mine = {}
for i = 1, n do
  local a = FIRST + 4 * (i - 1)
  local id = ARGV[a]
  local count = owned[id]
  if not count then -- beyond the rows that were asked for, or not in order
    local row = call('XPENDING', stream, group, id, id, 1, me)[1]
    count = row and row[4]
  end
  if count and count == tonumber(ARGV[a + 1]) then
    mine[i] = true
  else
    add(refused, i, call('XPENDING', stream, group, id, id, 1)[1] and 'taken' or 'gone')
  end
end

-- can a key be written; who may write a key of others may not always look at its type
local WANTED = { own = 'stream', post = 'stream', retry = 'zset' }
local faults, now = {}, nil
local function fault_of(kind, key)
  if faults[key] == nil then
    local found, fault = try('TYPE', key).ok or 'none', false
    if found ~= 'none' and found ~= WANTED[kind] then
      fault = 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. WANTED[kind]
    elseif may then
      local allowed
      if kind == 'retry' then allowed = may('ZADD', key, '0', '') else allowed = may('XADD', key, '*', '', '') end
      if not allowed then fault = 'NOPERM no permission to write ' .. key end
    end
    faults[key] = fault
  end
  return faults[key]
end

local w = writes
while w <= size do
  local i, kind, key = tonumber(ARGV[w]), ARGV[w + 1], ARGV[w + 2]
  if mine[i] then
    local fault = fault_of(kind, key)
    if fault and kind == 'post' then fault = fault_of('own', dead_letters) end
    if fault then
      mine[i] = false
      add(held, i, fault)
    elseif kind == 'retry' and not now then
      local time = call('TIME')
      now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
  end
  w = w + 4 + ARGV[w + 3]
end

-- essential writes; a stream that has used up its ids is only found out by writing, then what was sent on is taken back
local function error_of(reply) return type(reply) == 'table' and reply.err end
local function put(kind, key, first, last)
  if kind == 'retry' then return try('ZADD', key, now + ARGV[first], ARGV[first + 1]) end
  return try('XADD', key, '*', unpack(ARGV, first, last))
end

local sent, sender
w = writes
while w <= size do
  local i, kind, key = tonumber(ARGV[w]), ARGV[w + 1], ARGV[w + 2]
  local first, last = w + 4, w + 3 + ARGV[w + 3]
  if i ~= sender then sent, sender = {}, i end
  if mine[i] then
    local fault = kind == 'post' and fault_of(kind, key)
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
    if fault then
      mine[i] = false
      add(held, i, fault)
      for s = 1, #sent, 2 do try('XDEL', sent[s], sent[s + 1]) end
    else
      add(sent, key, id)
    end
  end
  w = last + 1
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
return { #done, refused, held, unwritten }
