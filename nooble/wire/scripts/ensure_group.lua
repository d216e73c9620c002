#!lua flags=allow-oom
-- Creates the stream and the group if they are not there, and publishes how much may wait in the stream; on a server without
-- memory too, so that what it holds can be drained.
--
-- KEYS[1] stream
-- ARGV    group, id after which it begins, key of the bound, the bound or 0
-- Reply   1 if the group is new, 0 if it was there
if ARGV[4] == '0' then redis.pcall('DEL', ARGV[3]) else redis.pcall('SET', ARGV[3], ARGV[4]) end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if made.ok then return 1 end
if string.find(tostring(made.err), 'BUSYGROUP', 1, true) then return 0 end
return made
