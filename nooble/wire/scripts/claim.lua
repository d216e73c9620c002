#!lua flags=allow-oom
-- Takes over entries of this framework's other consumers that nobody has renewed for a lease. Consumers of other programs in
-- the same group are left alone: their entries are not ours to run again (operations/adopt.py is for those).
--
-- Asking consumer by consumer keeps the cost bounded: a living consumer holds few entries, and a dead one's are all idle.
-- An entry that was deleted while pending is recorded in the dead letters: its data are lost, the fact is not.
--
-- KEYS[1] stream, KEYS[2] dead-letter stream
-- ARGV    group, consumer, pattern of our consumers' names, ms without renewal, how many, ms of the server's clock beyond
--         which it must have jumped, so that nothing is taken (0: no bound)
-- Reply   { {id, delivery count, fields} ..., } and { ids whose entry was gone }
local stream, dead_letters, group, me, pattern = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local idle, room, latest = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local taken, gone, time = {}, {}, redis.call('TIME')
if latest > 0 and time[1] * 1000 + math.floor(time[2] / 1000) > latest then return { taken, gone } end
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if room > 0 and about.name ~= me and about.pending > 0 and string.find(about.name, pattern) then
    local rows = redis.call('XPENDING', stream, group, 'IDLE', idle, '-', '+', room, about.name)
    for i = 1, #rows do
      local id, count = rows[i][1], rows[i][4] + 1
      local entry = redis.call('XCLAIM', stream, group, me, idle, id)[1]
      if entry then
        taken[#taken + 1] = { id, count, entry[2] }
        room = room - 1
      else
        redis.call('XACK', stream, group, id)
        redis.pcall('XADD', dead_letters, '*', 'reason', 'DATA_LOST', 'entry_id', id, 'first_id', id, 'worker', about.name,
          'deliveries', tostring(count), 'error', 'the entry was deleted from the stream while it was pending')
        gone[#gone + 1] = id
      end
    end
  end
end
return { taken, gone }
