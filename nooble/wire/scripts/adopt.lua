#!lua flags=allow-oom
-- Ends entries that consumers of other programs left pending: each is kept in the dead letters, or goes to the end of the
-- stream to run again. Young entries and those of this framework's consumers are left alone.
--
-- KEYS[1] stream, KEYS[2] dead-letter stream
-- ARGV    group, pattern of our consumers' names, 'bury' or 'replay', ms without a sign of life, how many, consumer
-- Reply   { ended, gone }
local stream, dead_letters, group, pattern, mode = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local idle, room, adopter = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local ended, gone = 0, 0
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if room > 0 and about.pending > 0 and not string.find(about.name, pattern) then
    for _, row in ipairs(redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', room, about.name)) do
      local id, count = row[1], row[4]
      local entry = redis.call('XRANGE', stream, id, id)[1]
      if entry then
        local fields = entry[2]
        if mode == 'replay' then
          redis.call('XADD', stream, '*', unpack(fields))
        else
          local letter = { 'reason', 'ADOPTED', 'error', 'left pending by ' .. about.name, 'deliveries', tostring(count),
            'attempts', '0', 'first_id', id, 'entry_id', id, 'worker', adopter }
          for i = 1, #fields do letter[#letter + 1] = fields[i] end
          redis.call('XADD', dead_letters, '*', unpack(letter))
        end
        ended = ended + 1
      else
        gone = gone + 1
      end
      redis.call('XACK', stream, group, id)
      redis.call('XDEL', stream, id)
      room = room - 1
    end
  end
end
return { ended, gone }
