#!lua
-- Leaves a wish for a worker that lives; it outlives the worker's card, so that a worker which is late finds it.
--
-- KEYS[1] card, KEYS[2] wish
-- ARGV    wish, ms that it lives beyond the card
-- Reply   1, or 0 if there is no such worker
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', math.max(0, left) + ARGV[2])
return 1
