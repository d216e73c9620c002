#!lua flags=allow-oom
-- Deletes entries that nobody has been given yet. What the group has read stays, whoever holds it. The idempotency key of an
-- action that was never run is free again. The group goes on behind what was deleted, so that the server does not count
-- it for ever as not read.
--
-- KEYS[1] stream
-- ARGV    group, last id that is meant, how many, how many bytes, name of records of idempotency keys without its last part
-- Reply   { deleted, '1' if there may be more, or '' }
local stream, group, last, count, room, records = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local from, read, has_group = '-', nil, false
if redis.call('XLEN', stream) == 0 then return { 0, '' } end
for _, facts in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local about = {}
  for i = 1, #facts, 2 do about[facts[i]] = facts[i + 1] end
  if about.name == group then
    from, read, has_group = '(' .. about['last-delivered-id'], about['entries-read'], true
  end
end
local doomed = {}
while #doomed < count and room > 0 do
  local entry = redis.call('XRANGE', stream, from, last, 'COUNT', 1)[1]
  if not entry then break end
  local id, fields, first = entry[1], entry[2], nil
  for i = 1, #fields, 2 do
    room = room - #fields[i] - #fields[i + 1]
    if fields[i] == 'first_id' then first = fields[i + 1] end
  end
  for i = 1, #fields, 2 do
    if fields[i] == 'once' then
      local record = records .. fields[i + 1]
      local known = redis.pcall('HMGET', record, 'entry', 'ok')
      if known[1] == (first or id) and not known[2] then redis.pcall('HSET', record, 'void', '1') end
    end
  end
  doomed[#doomed + 1] = id
  if id == last then break end -- nothing may come after it, and asking for that can be an error
  from = '(' .. id
end
if #doomed > 0 then
  redis.call('XDEL', stream, unpack(doomed))
  if has_group and read then
    redis.pcall('XGROUP', 'SETID', stream, group, doomed[#doomed], 'ENTRIESREAD', read + #doomed)
  end
end
return { #doomed, doomed[#doomed] ~= last and (#doomed == count or room <= 0) and '1' or '' }
