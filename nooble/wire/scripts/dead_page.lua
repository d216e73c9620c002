#!lua flags=no-writes
-- Reads dead letters one after the other until it has as many letters or as many bytes as were asked for: a letter can be
-- large, a reply must not be.
--
-- KEYS[1] dead-letter stream
-- ARGV    'XRANGE' or 'XREVRANGE', id to begin at, id to end at, how many letters, how many bytes, wanted fields (none: all)
-- Reply   { { {id, {field, value, ...}}, ... }, id to go on at or '' }
local key, command, from, to = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local LAST = '18446744073709551615-18446744073709551615' -- nothing comes after it, and asking for that is an error
local wanted
for i = 6, #ARGV do
  wanted = wanted or {}
  wanted[ARGV[i]] = true
end
local letters = {}
while #letters < count and room > 0 do
  local entry = redis.call(command, key, from, to, 'COUNT', 1)[1]
  if not entry then return { letters, '' } end
  local id, fields, kept = entry[1], entry[2], {}
  for i = 1, #fields, 2 do
    if not wanted or wanted[fields[i]] then
      kept[#kept + 1], kept[#kept + 2] = fields[i], fields[i + 1]
      room = room - #fields[i] - #fields[i + 1]
    end
  end
  letters[#letters + 1] = { id, kept }
  if id == LAST and command == 'XRANGE' then return { letters, '' } end
  from = '(' .. id
end
return { letters, from }
