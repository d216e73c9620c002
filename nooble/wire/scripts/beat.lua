#!lua flags=allow-oom
-- A worker's sign of life: its card, its place among the workers of its service, the lifetime of its routes; it brings back
-- what somebody wants of the worker. Who has vanished without a word stays in the index for a while, so that it is missed.
--
-- A worker may lack the right to the index of services, which belongs to all of them: then it is found by a scan.
--
-- KEYS[1] index of workers, KEYS[2] card, KEYS[3] wish
-- ARGV    consumer, card, ms that the card lives, beginning of the names of cards, ms that a vanished worker is missed,
--         wish that has been fulfilled or '', key of the routes or '', ms that they live, the routes or '' if they should be
--         there, index of services, service, ms that a service is remembered, key of the routes that were written last, ms
--         that those live
-- Reply   { wish or '', 1 if the routes are not there }
local index, card, wishes = KEYS[1], KEYS[2], KEYS[3]
local me, life, cards, missed, fulfilled = ARGV[1], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', card, ARGV[2], 'PX', life)
redis.call('ZADD', index, now, me)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now - missed, 'LIMIT', 0, 20)) do
  if redis.call('EXISTS', cards .. name) == 0 then redis.call('ZREM', index, name) end -- another may beat more slowly
end
local kept = math.max(life, missed)
if redis.call('PTTL', index) < kept then redis.call('PEXPIRE', index, kept) end
local missing = 0
if ARGV[7] ~= '' then
  if ARGV[9] ~= '' then
    redis.call('SET', ARGV[7], ARGV[9], 'PX', ARGV[8])
    redis.call('SET', ARGV[13], ARGV[9], 'PX', ARGV[14])
  else
    local here, last = redis.call('PEXPIRE', ARGV[7], ARGV[8]), redis.call('PEXPIRE', ARGV[13], ARGV[14])
    if here == 0 or last == 0 then missing = 1 end
  end
end
if redis.pcall('ZADD', ARGV[10], now, ARGV[11]) == 1 then
  redis.pcall('ZREMRANGEBYSCORE', ARGV[10], '-inf', now - ARGV[12])
end
redis.pcall('PEXPIRE', ARGV[10], ARGV[12])
local wish = redis.call('GET', wishes) or ''
if wish ~= '' and wish == fulfilled then
  redis.call('DEL', wishes)
  wish = ''
end
return { wish, missing }
