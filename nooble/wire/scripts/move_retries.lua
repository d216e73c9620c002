#!lua flags=allow-oom
-- Moves retries that are due from the retry set to the end of the stream.
--
-- A member is one line of facts, `first_id name value name value ...`, and then the data. Adding and removing happen in one
-- call, so a retry is in one place or in the other.
--
-- KEYS[1] retry set, KEYS[2] stream
-- ARGV    how many, ms added to the server's clock (for tests)
-- Reply   { moved, ms until the next is due or -1, error or '' }
local retries, stream, MOST = KEYS[1], KEYS[2], 700 -- characters of facts: a stranger's member must not be too much for Lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
local due = redis.call('ZRANGEBYSCORE', retries, '-inf', now, 'LIMIT', 0, ARGV[1])
local moved, fault = 0, ''
for _, member in ipairs(due) do
  local line_end = string.find(member, '\n', 1, true) or 0
  local fields = { 'data', string.sub(member, line_end + 1), 'first_id' }
  for word in string.gmatch(string.sub(member, 1, math.min(line_end, MOST)), '%S+') do fields[#fields + 1] = word end
  if #fields % 2 == 1 then fields[#fields] = nil end
  local added = redis.pcall('XADD', stream, '*', unpack(fields))
  if type(added) == 'table' and added.err then
    fault = added.err
    break
  end
  redis.call('ZREM', retries, member)
  moved = moved + 1
end
local next_due = redis.call('ZRANGE', retries, 0, 0, 'WITHSCORES')
local wait = -1
if next_due[2] then wait = math.max(0, math.ceil(next_due[2] - now)) end
return { moved, wait, fault }
