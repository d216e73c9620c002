#!lua flags=allow-oom
-- Deletes retries, those that are due first. Their idempotency keys are free again.
--
-- KEYS[1] retry set
-- ARGV    how many, how many bytes, name of records of idempotency keys without its last part
-- Reply   how many were deleted
local retries, count, room, records = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local MOST, deleted = 700, 0 -- characters of facts: a stranger's member must not be too much for Lua
while deleted < count and room > 0 do
  local member = redis.call('ZRANGE', retries, 0, 0)[1]
  if not member then break end
  room, deleted = room - #member, deleted + 1
  local line_end = string.find(member, '\n', 1, true) or 0
  local facts = string.sub(member, 1, math.min(line_end, MOST))
  local first, once = string.match(facts, '^%S+'), string.match(facts, ' once (%S+)')
  if first and once then
    local record = records .. once
    local known = redis.pcall('HMGET', record, 'entry', 'ok')
    if known[1] == first and not known[2] then redis.pcall('HSET', record, 'void', '1') end
  end
  redis.call('ZREM', retries, member)
end
return deleted
