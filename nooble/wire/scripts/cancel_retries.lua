#!lua flags=allow-oom
-- Makes dead letters of retries, and tells those who wait. Letter, removal and answer are one step; what is not there any more
-- was moved or cancelled before, and nothing is written for it. An answer that cannot be written holds nothing back.
--
-- KEYS[1] retry set, KEYS[2] dead-letter stream
-- ARGV    error, who cancels, ms that answers live, name of records of idempotency keys without its last part, then for each:
--         member, answer queue or '', encoded answer
-- Reply   { 'answered' | 'silent', id of the letter, or 'gone', '', or 'kept', error, for each member }
local retries, letters, may, told = KEYS[1], KEYS[2], redis.acl_check_cmd, {}
local MOST = 700 -- characters of facts: a stranger's member must not be too much for Lua
if may and not may('ZREM', retries, '') then
  return redis.error_reply('NOPERM no permission to delete in ' .. retries)
end
for a = 5, #ARGV, 3 do
  local member, queue, answer, what, more = ARGV[a], ARGV[a + 1], ARGV[a + 2], 'gone', ''
  if redis.call('ZSCORE', retries, member) then
    local line_end = string.find(member, '\n', 1, true) or 0
    local words, facts = {}, {}
    for word in string.gmatch(string.sub(member, 1, math.min(line_end, MOST)), '%S+') do words[#words + 1] = word end
    for i = 2, #words - 1, 2 do facts[words[i]] = words[i + 1] end
    local first = words[1] or ''
    local letter = { 'reason', 'CANCELLED', 'error', ARGV[1], 'traceback', '', 'attempts', facts.attempt or '0',
      'deliveries', facts.deliveries or '0', 'first_id', first, 'entry_id', first, 'worker', ARGV[2] }
    if facts.once then letter[#letter + 1], letter[#letter + 2] = 'once', facts.once end
    letter[#letter + 1], letter[#letter + 2] = 'data', string.sub(member, line_end + 1)
    local added = redis.pcall('XADD', letters, '*', unpack(letter))
    if type(added) == 'table' then
      what, more = 'kept', added.err
    else
      redis.call('ZREM', retries, member)
      what, more = 'silent', added
      if queue ~= '' then
        local pushed = redis.pcall('LPUSH', queue, answer)
        if type(pushed) == 'number' then
          redis.pcall('PEXPIRE', queue, ARGV[3])
          what = 'answered'
        end
      end
      if facts.once and answer ~= '' then -- whoever sends with the same key hears the same
        local record = ARGV[4] .. facts.once
        local known = redis.pcall('HMGET', record, 'entry', 'ok')
        if known[1] and not known[2] then redis.pcall('HSET', record, 'entry', first, 'answer', answer) end
      end
    end
  end
  told[#told + 1], told[#told + 2] = what, more
end
return told
