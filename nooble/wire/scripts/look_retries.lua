#!lua flags=no-writes
-- Looks through a retry set in the order in which its members are due, until it has found or looked at as many as were asked
-- for, or at as many bytes.
--
-- KEYS[1] retry set
-- ARGV    due time to go on at or '', how many of that time were looked at before, how many to find, how many to look at, how
--         many bytes, 'ids' to find those as well whose action has no ids of its own, then texts, one of which stands in
--         what is meant (none: all are)
-- Reply   { { {member, due time}, ... }, due time to go on at or '', how many of it were looked at, looked at,
--           ms of the server's clock }
local key, score, seen = KEYS[1], ARGV[1], tonumber(ARGV[2])
local count, most, room, how = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local FIRST = 7
local time, found, looked = redis.call('TIME'), {}, 0
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function means(member)
  if #ARGV < FIRST then return true end
  for n = FIRST, #ARGV do
    if string.find(member, ARGV[n], 1, true) then return true end
  end
  return how == 'ids' and not (string.find(member, 'action_id', 1, true) and string.find(member, 'trace_id', 1, true))
end

local rank = 0
if score ~= '' then rank = redis.call('ZCOUNT', key, '-inf', '(' .. score) + seen end
while #found < count and looked < most and room > 0 do
  local row = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
  if not row[1] then return { found, '', 0, looked, now } end
  rank, looked, room = rank + 1, looked + 1, room - #row[1]
  if row[2] == score then seen = seen + 1 else score, seen = row[2], 1 end
  if means(row[1]) then found[#found + 1] = row end
end
return { found, score, seen, looked, now }
