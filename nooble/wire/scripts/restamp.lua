#!lua flags=allow-oom
-- Sets delivery times that lie in the future to now. A clock that was set back leaves such times: their entries would not
-- age until it has caught up, and what a dead worker left would wait for as long.
--
-- The server tells no time in the future, only an idle time of 0, which entries delivered in this very millisecond have
-- too; for those it changes nothing. Each stays with its owner, its count unchanged. Entries that were deleted while pending
-- are left to the claim, which records them: XCLAIM would drop them without a word.
--
-- KEYS[1] stream
-- ARGV    group, consumer, pattern of our consumers' names, id to begin at, how many to look at
-- Reply   { set, id to go on at or '' }
local stream, group, me, pattern, from, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local rows, set = redis.call('XPENDING', stream, group, from, '+', count), 0
for _, row in ipairs(rows) do
  local id, owner, idle = row[1], row[2], row[3]
  if idle == 0 and owner ~= me and string.find(owner, pattern) and redis.call('XRANGE', stream, id, id)[1] then
    redis.call('XCLAIM', stream, group, owner, 0, id, 'JUSTID')
    set = set + 1
  end
end
return { set, #rows == count and '(' .. rows[count][1] or '' }
