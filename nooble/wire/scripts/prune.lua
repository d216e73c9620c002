#!lua flags=allow-oom
-- Deletes entries that the group has read and that nobody has pending: acknowledged long ago, never deleted.
--
-- KEYS[1] stream
-- ARGV    group, id to begin at, how many to look at
-- Reply   { deleted, id to go on at or '' }
local stream, group, from, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local last
for _, facts in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if about.name == group then last = about['last-delivered-id'] end
end
local entries = redis.call('XRANGE', stream, from, last, 'COUNT', count)
if #entries == 0 then return { 0, '' } end
local first_id, last_id = entries[1][1], entries[#entries][1]
local rows, pending, done = redis.call('XPENDING', stream, group, first_id, last_id, count), {}, {}
for _, row in ipairs(rows) do pending[row[1]] = true end
for _, entry in ipairs(entries) do
  local id = entry[1]
  if not pending[id] and #rows == count then -- pending entries that were deleted can fill the rows
    pending[id] = redis.call('XPENDING', stream, group, id, id, 1)[1]
  end
  if not pending[id] then done[#done + 1] = id end
end
if #done > 0 then redis.call('XDEL', stream, unpack(done)) end
return { #done, #entries == count and '(' .. last_id or '' }
