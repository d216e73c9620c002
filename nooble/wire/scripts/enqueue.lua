#!lua
-- Adds actions to a stream, as many as its owner has room for; at most once for an idempotency key.
--
-- What is acknowledged is deleted, so the length of the stream is what waits or is at work. The bound is the owner's: it
-- publishes it under a key of its own. The record of an idempotency key is made in the same step as the entry, and holds
-- the answer as soon as there is one. A server without memory refuses this script before it has written anything.
--
-- KEYS[1] stream
-- ARGV    key of the bound, key of the record or '', ms that the record lives, context of the record, action id,
--         correlation id, then for each action: encoded action, wire version
-- Reply   { 'added', how many, length, bound or 0 } where fewer than were given means that the stream is full, or
--         { 'known', action id, correlation id, answer or '' } for a key that was used before
local stream, record = KEYS[1], ARGV[2]
local FIRST = 7
if record ~= '' then
  local may = redis.acl_check_cmd
  if may and not (may('XADD', stream, '*', '', '') and may('HSET', record, '', '') and may('PEXPIRE', record, '1')) then
    return redis.error_reply('NOPERM no permission to write both ' .. stream .. ' and ' .. record)
  end
  local known = redis.call('HMGET', record, 'action', 'correlation', 'answer', 'entry', 'void')
  if known[5] then
    redis.call('DEL', record) -- it was never run
  elseif known[4] then
    redis.call('HSET', record, 'entry', known[4]) -- so that this connection, too, can wait for its durability
    return { 'known', known[1] or '', known[2] or '', known[3] or '' }
  end
end
local published = redis.pcall('GET', ARGV[1]) -- who may not look has no bound
local bound = type(published) == 'string' and tonumber(published) or 0
local length, added, id = redis.call('XLEN', stream), 0, nil
for a = FIRST, #ARGV, 2 do
  if bound > 0 and length >= bound then break end
  if record ~= '' then
    id = redis.call('XADD', stream, '*', 'data', ARGV[a], 'v', ARGV[a + 1], 'once', ARGV[4])
  else
    id = redis.call('XADD', stream, '*', 'data', ARGV[a], 'v', ARGV[a + 1])
  end
  length, added = length + 1, added + 1
end
if added > 0 and record ~= '' then
  redis.call('HSET', record, 'entry', id, 'action', ARGV[5], 'correlation', ARGV[6])
  redis.call('PEXPIRE', record, ARGV[3])
end
return { 'added', added, length, bound }
