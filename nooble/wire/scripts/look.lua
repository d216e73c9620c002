#!lua flags=no-writes
-- Looks through a stream, entry after entry, until it has found or looked at as many as were asked for, or at as many bytes:
-- an entry can be large, a reply must not be, and nobody waits long for it. What is found and who holds it are of one moment.
--
-- KEYS[1] stream
-- ARGV    'XRANGE' or 'XREVRANGE', id to begin at, id to end at, how many to find, how many to look at, how many bytes, group
--         or '', 'ids' to find those as well whose action has no ids of its own or 'text' if upper and lower case are the
--         same, then texts (in lower case if so), one of which stands in a field of what is meant (none: all are)
-- Reply   { { {id, {field, value, ...}, consumer or '', idle ms, deliveries}, ... }, id to go on at or '', looked at,
--           last id that the group was given or '', ms of the server's clock }
local key, command, from, to = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local count, most, room, group, how = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local FIRST = 9
local LAST = '18446744073709551615-18446744073709551615' -- nothing comes after it, and asking for that is an error
local time, found, looked, given = redis.call('TIME'), {}, 0, ''
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function means(fields)
  if #ARGV < FIRST then return true end
  for i = 2, #fields, 2 do
    local text = fields[i]
    if how == 'text' then text = string.lower(text) end
    for n = FIRST, #ARGV do
      if string.find(text, ARGV[n], 1, true) then return true end
    end
    if how == 'ids' and fields[i - 1] == 'data' then
      if not (string.find(text, 'action_id', 1, true) and string.find(text, 'trace_id', 1, true)) then return true end
    end
  end
  return false
end

if group ~= '' and redis.call('XLEN', key) > 0 then
  for _, facts in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local about = {}
    for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
    if about.name == group then given = about['last-delivered-id'] end
  end
end
while #found < count and looked < most and room > 0 do
  local entry = redis.call(command, key, from, to, 'COUNT', 1)[1]
  if not entry then return { found, '', looked, given, now } end
  local id, fields = entry[1], entry[2]
  looked = looked + 1
  for i = 1, #fields do room = room - #fields[i] end
  if means(fields) then
    local held = given ~= '' and redis.call('XPENDING', key, group, id, id, 1)[1]
    if held then
      found[#found + 1] = { id, fields, held[2], held[3], held[4] }
    else
      found[#found + 1] = { id, fields, '', 0, 0 }
    end
  end
  if id == LAST and command == 'XRANGE' then return { found, '', looked, given, now } end
  from = '(' .. id
end
return { found, from, looked, given, now }
