#!lua flags=allow-oom
-- Renews the lease of what this consumer still owns, and tells what it has lost. A bare XCLAIM would steal entries back.
--
-- KEYS[1] stream
-- ARGV    group, consumer, rows to ask for, then pairs: id, delivery count
-- Reply   { ms of the server's clock, {ids that are lost} }
local stream, group, me, limit = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local owned = {}
local rows = redis.call('XPENDING', stream, group, '-', '+', limit, me)
for i = 1, #rows do owned[rows[i][1]] = rows[i][4] end
local mine, renewed, lost = {}, {}, {}
for a = 4, #ARGV, 2 do
  local id, count = ARGV[a], owned[ARGV[a]]
  if not count and #rows >= limit then
    local row = redis.call('XPENDING', stream, group, id, id, 1, me)[1]
    count = row and row[4]
  end
  if count == tonumber(ARGV[a + 1]) then mine[#mine + 1] = id end
end
for i = 1, #mine, 1000 do
  local claim = { 'XCLAIM', stream, group, me, 0 }
  for j = i, math.min(i + 999, #mine) do claim[#claim + 1] = mine[j] end
  claim[#claim + 1] = 'JUSTID'
  for _, id in ipairs(redis.call(unpack(claim))) do renewed[id] = true end -- what was deleted is not among them
end
for a = 4, #ARGV, 2 do
  if not renewed[ARGV[a]] then lost[#lost + 1] = ARGV[a] end
end
local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000), lost }
