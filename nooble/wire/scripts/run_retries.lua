#!lua flags=allow-oom
-- Moves retries to the end of the stream before they are due. What is not there any more was moved or cancelled by somebody
-- else, or by this very call before its reply was lost: nothing is written for it.
--
-- KEYS[1] retry set, KEYS[2] stream
-- ARGV    members
-- Reply   { 'sent', id of the new entry, or 'gone', '', or 'kept', error, for each member }
local retries, stream, may, told = KEYS[1], KEYS[2], redis.acl_check_cmd, {}
local MOST = 700 -- characters of facts: a stranger's member must not be too much for Lua
if may and not may('ZREM', retries, '') then
  return redis.error_reply('NOPERM no permission to delete in ' .. retries)
end
for _, member in ipairs(ARGV) do
  local what, more = 'gone', ''
  if redis.call('ZSCORE', retries, member) then
    local line_end = string.find(member, '\n', 1, true) or 0
    local fields = { 'data', string.sub(member, line_end + 1), 'first_id' }
    for word in string.gmatch(string.sub(member, 1, math.min(line_end, MOST)), '%S+') do fields[#fields + 1] = word end
    if #fields % 2 == 1 then fields[#fields] = nil end
    local added = redis.pcall('XADD', stream, '*', unpack(fields))
    if type(added) == 'table' then
      what, more = 'kept', added.err
    else
      redis.call('ZREM', retries, member)
      what, more = 'sent', added
    end
  end
  told[#told + 1], told[#told + 2] = what, more
end
return told
