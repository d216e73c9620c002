#!lua
-- Sends dead letters on their way again: each is added to its stream and deleted here, or it stays and the reason is told.
--
-- What is not there any more was sent or discarded by somebody else, or by this very call before its reply was lost: it is
-- gone, and nothing is written. A stream is looked at before anything is written there; adding comes first and is tried, and
-- deleting after it cannot fail, because whether it is permitted was asked before. A replay begins anew: its facts are the
-- wire version and the idempotency key alone. A server without memory refuses this script before it has written anything.
--
-- KEYS[1] dead-letter stream
-- ARGV    then for each letter: id, stream to add it to, data to send or '' for those that it holds
-- Reply   { 'sent', id of the new entry, or 'gone', '', or 'kept', error, for each letter }
local letters, may, told = KEYS[1], redis.acl_check_cmd, {}
if may and not may('XDEL', letters, '0') then
  return redis.error_reply('NOPERM no permission to delete in ' .. letters)
end
local function tell(what, more)
  told[#told + 1], told[#told + 2] = what, more
end
local faults = {}
local function fault_of(stream)
  if faults[stream] == nil then
    local found = redis.pcall('TYPE', stream).ok or 'none'
    faults[stream] = found ~= 'none' and found ~= 'stream' and 'WRONGTYPE ' .. stream .. ' is a ' .. found .. ', not a stream'
  end
  return faults[stream]
end
for a = 1, #ARGV, 3 do
  local id, stream, data = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local entry = redis.call('XRANGE', letters, id, id)[1]
  if not entry then
    tell('gone', '')
  else
    local held = {}
    for i = 1, #entry[2], 2 do held[entry[2][i]] = entry[2][i + 1] end
    if data == '' then data = held.data end
    local fault = not data and 'the letter holds no data' or fault_of(stream)
    if not fault then
      local entry_of = { 'data', data, 'v', held.v or '1' }
      if held.once then entry_of[5], entry_of[6] = 'once', held.once end
      local added = redis.pcall('XADD', stream, '*', unpack(entry_of))
      if type(added) == 'table' then
        fault = added.err
      else
        redis.call('XDEL', letters, id)
        tell('sent', added)
      end
    end
    if fault then tell('kept', fault) end
  end
end
return told
