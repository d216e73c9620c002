#!lua flags=no-writes
-- How one service stands, all at one moment: its stream and group, the oldest of what is pending, its retries, its dead letters
-- and its workers. Numbers and names only: what is large stays in the server. Whatever cannot be read is told in words.
--
-- A user may have rights to some of the keys only, so only the first is named as one.
--
-- KEYS[1] stream
-- ARGV    group, retry set, dead-letter stream, index of workers, key of the bound, most groups, most consumers, most pending,
--         most workers
-- Reply   { stream, consumers, pending, retries, dead, workers, bound or '', {code, words, ...} }, where
--         stream   {length, entries added or '', group there, pending, entries read or '', lag or '', id of the first that
--                  waits or ''}; empty if there is none
--         consumers {name, pending, idle, ...}    pending {id, consumer, idle, deliveries, ...}
--         retries  {count, due or ''}             dead {length, added or '', newest id}
--         workers  {name, moment, ...}
local stream, LONGEST = KEYS[1], 1024
local words = {}

local function complain(code, text) words[#words + 1], words[#words + 2] = code, text end

local function about(flat)
  local told = {}
  for i = 1, #flat, 2 do told[flat[i]] = flat[i + 1] end
  return told
end

-- What a key holds, if it is of the kind that it should be; otherwise it says why not.
local function is_a(kind, key)
  local found = redis.pcall('TYPE', key)
  if found.err then
    complain('unread', string.sub(key, 1, LONGEST) .. ': ' .. found.err)
    return false
  end
  if found.ok == 'none' or found.ok == kind then return found.ok == kind end
  complain('wrong_type', string.sub(key, 1, LONGEST) .. ' is a ' .. found.ok .. ', not a ' .. kind)
  return false
end

local function ask(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    complain('unread', reply.err)
    return nil
  end
  return reply
end

local facts, consumers, pending = {}, {}, {}
local info = is_a('stream', stream) and ask('XINFO', 'STREAM', stream)
if info then
  info = about(info)
  local group
  if info.groups <= tonumber(ARGV[6]) then
    for _, one in ipairs(ask('XINFO', 'GROUPS', stream) or {}) do
      one = about(one)
      if one.name == ARGV[1] then group = one end
    end
  else
    complain('crowded', info.groups .. ' groups read the stream, too many to be looked at')
  end
  facts = { info.length, info['entries-added'] or '', group and 1 or 0, 0, '', '', '' }
  local after = '-'
  if group then
    after = '(' .. group['last-delivered-id']
    facts[4], facts[5], facts[6] = group.pending, group['entries-read'] or '', group.lag or ''
    if group.consumers <= tonumber(ARGV[7]) then
      for _, one in ipairs(ask('XINFO', 'CONSUMERS', stream, ARGV[1]) or {}) do
        one = about(one)
        local place = #consumers
        consumers[place + 1], consumers[place + 2] = string.sub(one.name, 1, LONGEST), one.pending
        consumers[place + 3] = one.idle
      end
    else
      complain('crowded', group.consumers .. ' consumers are in the group, too many to be looked at')
    end
    for _, row in ipairs(ask('XPENDING', stream, ARGV[1], '-', '+', ARGV[8]) or {}) do
      local place = #pending
      pending[place + 1], pending[place + 2] = row[1], string.sub(row[2], 1, LONGEST)
      pending[place + 3], pending[place + 4] = row[3], row[4]
    end
  end
  local waits = ask('XRANGE', stream, after, '+', 'COUNT', 1)
  if waits and waits[1] then facts[7] = waits[1][1] end
end

local retries = {}
if is_a('zset', ARGV[2]) then
  local first = ask('ZRANGE', ARGV[2], 0, 0, 'WITHSCORES') or {}
  retries = { ask('ZCARD', ARGV[2]) or 0, first[2] or '' }
end

local dead = {}
local letters = is_a('stream', ARGV[3]) and ask('XINFO', 'STREAM', ARGV[3])
if letters then
  letters = about(letters)
  local newest = letters['last-entry'] -- not the last id that was given out: a discarded letter is none
  dead = { letters.length, letters['entries-added'] or '', newest and newest[1] or '' }
end

local workers = is_a('zset', ARGV[4]) and ask('ZREVRANGE', ARGV[4], 0, ARGV[9] - 1, 'WITHSCORES') or {}
for i = 1, #workers, 2 do workers[i] = string.sub(workers[i], 1, LONGEST) end
local bound = is_a('string', ARGV[5]) and ask('GETRANGE', ARGV[5], 0, 20) or ''
return { facts, consumers, pending, retries, dead, workers, bound, words }
