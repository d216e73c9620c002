#!lua flags=no-writes
-- The reasons of the newest dead letters, until it has looked at so many letters or bytes: a letter can be large.
--
-- KEYS[1] dead-letter stream
-- ARGV    how many letters, how many bytes
-- Reply   { id, reason, ... }
local told, from, room = {}, '+', tonumber(ARGV[2])
for _ = 1, tonumber(ARGV[1]) do
  local entry = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', 1)[1]
  if not entry or room <= 0 then break end
  local reason
  for i = 1, #entry[2], 2 do
    room = room - #entry[2][i] - #entry[2][i + 1]
    if entry[2][i] == 'reason' and not reason then reason = string.sub(entry[2][i + 1], 1, 100) end
  end
  told[#told + 1], told[#told + 2] = entry[1], reason or ''
  from = '(' .. entry[1]
end
return told
