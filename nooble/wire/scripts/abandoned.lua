#!lua flags=no-writes
-- Looks whether any of this framework's other consumers has an entry that nobody has renewed for a lease. Changes nothing.
--
-- KEYS[1] stream
-- ARGV    group, consumer, pattern of our consumers' names, ms without renewal
-- Reply   ms of the server's clock if there is one, 0 if there is none: idle times mean nothing when the clock has jumped
local stream, group, me, pattern, idle = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if about.name ~= me and about.pending > 0 and string.find(about.name, pattern) then
    if redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', 1, about.name)[1] then
      local time = redis.call('TIME')
      return time[1] * 1000 + math.floor(time[2] / 1000)
    end
  end
end
return 0
