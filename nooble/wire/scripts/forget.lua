#!lua flags=allow-oom
-- Deletes consumers that own nothing. XGROUP DELCONSUMER destroys what a consumer still owns, so the look and the deletion
-- are one step.
--
-- KEYS[1] stream
-- ARGV    group, pattern of names, ms without a sign of life
-- Reply   names of the deleted
local stream, group, pattern, idle = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local deleted = {}
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if about.pending == 0 and about.idle >= idle and string.find(about.name, pattern) then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, about.name)
    deleted[#deleted + 1] = about.name
  end
end
return deleted
