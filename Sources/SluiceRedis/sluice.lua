#!lua name=sluice
-- SPDX-License-Identifier: Apache-2.0
--
-- Publishing with a log, for any language that can send FCALL to Redis >= 7.0 or Valkey >= 7.2:
--
--   FCALL sluice_publish 1 <prefix>:topic:<topic>|<prefix>:client:<client>|<prefix>:all <data>
--         [event T] [key K] [end 1] [maxlen N] [ttl SECONDS] [log 0] [once TOKEN] [trace TRACEPARENT]
--
-- In a cluster names carry their partition's hash tag, and every key is declared, because one that is not may be
-- elsewhere while a slot moves, and a second clock would begin:
--
--   FCALL sluice_publish 3 <prefix>:{700}:topic:<topic> <prefix>:{700}:last:topic:<topic> <prefix>:{700}:clock <data> ...
--   with once a fourth key: <prefix>:{700}:once:topic:<topic> <token>
--
-- In one atomic step: takes the next id, appends to the log, trims it, sets its life and publishes
-- an envelope on the channel of the log's name. Replies { id, number of nodes that heard it }.
--
-- Scripts are atomic but not rolled back, so everything is checked before the first write; that
-- includes the right to run each inner command, because those run with the caller's rights.

local VERSION = 15 -- raised with every change of this file; nodes replace an older one, never a newer

local DATA_MAX = 1048576
local LABEL_MAX = 128
local NAME_MAX = 255
local MAXLEN_MAX = 1000000
local TTL_MAX = 604800
local DAY = 86400
local DAY_TEXT = '86400000' -- milliseconds
local ONCE_MILLISECONDS = 300000
local REGISTRY_SECONDS = 15
local NUMBER_MAX = 999999999999999 -- of each part of an id: 15 digits, which floating point counts exactly
-- Whole numbers as text. %d costs a third, and is right where a C long has 64 bits.
local WHOLE = ('%d'):format(2 ^ 49) == '562949953421312' and '%d' or '%.0f'
local ID = WHOLE .. '-' .. WHOLE
local RESERVED = { checkpoint = true, gap = true, pause = true, error = true, open = true }

local function bytes_are_utf8(s)
  if not s:find('[\128-\255]') then return true end
  local i, n = 1, #s
  while i <= n do
    local b = s:byte(i)
    local tail, low, high = 0, 0x80, 0xBF
    if b < 0x80 then tail = 0
    elseif b >= 0xC2 and b <= 0xDF then tail = 1
    elseif b >= 0xE0 and b <= 0xEF then
      tail = 2
      if b == 0xE0 then low = 0xA0 elseif b == 0xED then high = 0x9F end
    elseif b >= 0xF0 and b <= 0xF4 then
      tail = 3
      if b == 0xF0 then low = 0x90 elseif b == 0xF4 then high = 0x8F end
    else return false end
    for k = 1, tail do
      local c = s:byte(i + k)
      if not c or c < low or c > high then return false end
      low, high = 0x80, 0xBF
    end
    i = i + tail + 1
  end
  return true
end

local function has_control(s)
  return s:find('[%z\1-\31\127]') or s:find('\194[\128-\159]')
end

-- The white space of Unicode outside ASCII, as UTF-8 bytes.
local function has_white_space(s)
  return s:find(' ', 1, true) or s:find('\194\160', 1, true) or s:find('\225\154\128', 1, true)
    or s:find('\226\128[\128-\138\168\169\175]') or s:find('\226\129\159', 1, true)
    or s:find('\227\128\128', 1, true)
end

local function whole_number(s, low, high)
  if not s:find('^%d+$') or #s > 15 then return nil end
  local n = tonumber(s)
  if n < low or n > high then return nil end
  return n
end

local function refuse(message)
  return redis.error_reply('SLUICE ' .. message)
end

-- A log whose name is that of another key of ours would take its place.
local function is_prefix(s)
  return #s > 0 and not (s:find('[{}]') or s:find(':last$') or s:find(':once$') or s:find(':node$'))
end

-- '<prefix>:{<tag>}' -> '<prefix>', '<tag>'; '<prefix>' -> '<prefix>', nil
local function split_tag(s)
  if s:byte(-1) ~= 125 then return s end -- '}'
  local prefix, tag = s:match('^(.+):{(%d+)}$')
  return prefix or s, tag
end

-- '<prefix>:topic:<name>' -> '<prefix>', 'topic:<name>'; '<prefix>:{<tag>}:topic:<name>' -> '<prefix>', 'topic:<name>', '<tag>'
local function split_key(key)
  local first, name_start
  for _, kind in ipairs({ ':topic:', ':client:' }) do
    local from, to = key:find(kind, 1, true)
    if from and (not first or from < first) then first, name_start = from, to + 1 end
  end
  if not first then
    local before = key:match('^(.+):all$')
    if not before then return nil end
    local prefix, tag = split_tag(before)
    if is_prefix(prefix) then return prefix, 'all', tag end
    return nil
  end
  local name = key:sub(name_start)
  local prefix, tag = split_tag(key:sub(1, first - 1))
  if not is_prefix(prefix) or #name == 0 or #name > NAME_MAX or name:find('[{}]') or not bytes_are_utf8(name)
    or has_control(name) or has_white_space(name) then
    return nil
  end
  return prefix, key:sub(first + 1), tag
end

-- CRC-16/XMODEM, by which Redis finds a key's slot. The table is made at the first use: a library that is being loaded has no
-- bit operations yet.
local crc_table

local function make_crc_table()
  crc_table = {}
  for byte = 0, 255 do
    local crc = bit.lshift(byte, 8)
    for _ = 1, 8 do
      crc = bit.lshift(crc, 1)
      if crc >= 0x10000 then crc = bit.bxor(crc, 0x11021) end
    end
    crc_table[byte] = crc
  end
end

local function crc16(s)
  if not crc_table then make_crc_table() end
  local crc = 0
  for i = 1, #s do
    crc = bit.bxor(bit.band(bit.lshift(crc, 8), 0xFFFF), crc_table[bit.bxor(bit.rshift(crc, 8), s:byte(i))])
  end
  return crc
end

-- A cluster has 16 partitions; these tags lie evenly in its slots, whatever the number of masters.
local PARTITIONS = 16
local TAG_STEP = 50

local function tag_of(target)
  return WHOLE:format(crc16(target) % PARTITIONS * TAG_STEP)
end

local function is_tag(s)
  local n = whole_number(s, 0, (PARTITIONS - 1) * TAG_STEP)
  return n and n % TAG_STEP == 0 and WHOLE:format(n) == s
end

local function may_run(...)
  return redis.acl_check_cmd(...)
end

-- Whether this server is one of a cluster; nil until somebody has called who may ask, as nodes may. Until then names are
-- taken for what they look like.
local is_cluster

-- Remembers the keys that were checked, so that a name is checked byte by byte once and not for each event. A function's
-- variables live as long as the server, so the table is emptied when it is full.
local places, place_count = {}, 0
local PLACES_MAX = 2048

local function look_around()
  if is_cluster ~= nil or not may_run('CLUSTER', 'KEYSLOT', '') then return end
  is_cluster = type(redis.pcall('CLUSTER', 'KEYSLOT', '')) == 'number'
  places, place_count = {}, 0
end

local function bad_key(key, problem)
  return 'bad key "' .. key:sub(1, 80) .. '": ' .. problem
end

-- The other keys of a log's deployment; nil and why: it is no log's name here.
local function place_of(key)
  local place = places[key]
  if place then return place end
  local prefix, target, tag = split_key(key)
  if not prefix then
    return nil, bad_key(key, '<prefix>:topic:<topic>, <prefix>:client:<client> or <prefix>:all')
  end
  look_around()
  local base = prefix
  if is_cluster == false and tag then
    return nil, bad_key(key, 'only a cluster has partitions, here it is ' .. prefix .. ':' .. target)
  elseif is_cluster or tag then
    local right_tag = tag_of(target)
    base = prefix .. ':{' .. right_tag .. '}'
    if tag ~= right_tag then return nil, bad_key(key, 'in a cluster it is ' .. base .. ':' .. target) end
  end
  if place_count == PLACES_MAX then places, place_count = {}, 0 end
  -- No target has a space: topic "a" with token "b:c" must not be topic "a:b" with token "c".
  place = {
    clock_key = base .. ':clock', marker_key = base .. ':last:' .. target, once_prefix = base .. ':once:' .. target .. ' ',
    has_tag = tag ~= nil, publish = tag and 'SPUBLISH' or 'PUBLISH',
  }
  places[key], place_count = place, place_count + 1
  return place
end

local function label_problem(s)
  if #s == 0 then return 'is empty' end
  if #s > LABEL_MAX then return 'is longer than 128 bytes' end
  if not bytes_are_utf8(s) then return 'is not UTF-8' end
  if has_control(s) then return 'contains a control character' end
  return nil
end

local function flag(s)
  if s == '1' then return true elseif s == '0' then return false end
  return nil
end

local HEX16 = ('%x'):rep(16)

local readers = {
  event = function(v)
    if RESERVED[v] then return nil, 'event: "' .. v .. '" is reserved' end
    local problem = label_problem(v)
    if problem then return nil, 'event ' .. problem end
    return v
  end,
  key = function(v)
    local problem = label_problem(v)
    if problem then return nil, 'key ' .. problem end
    return v
  end,
  once = function(v)
    local problem = label_problem(v)
    if problem then return nil, 'once ' .. problem end
    return v
  end,
  -- W3C's traceparent, for the logs of nodes. One that is malformed is as none, never an error.
  trace = function(v)
    local version, trace, parent, rest = v:match('^(%x%x)%-(' .. HEX16 .. HEX16 .. ')%-(' .. HEX16 .. ')%-%x%x(.*)$')
    if not version or v:sub(1, 55):find('%u') or version == 'ff' or not trace:find('[^0]') or not parent:find('[^0]') then
      return false
    end
    if rest ~= '' and (version == '00' or rest:sub(1, 1) ~= '-') then return false end
    return v:sub(1, 55)
  end,
  ['end'] = function(v) return flag(v), 'end takes 0 or 1' end,
  log = function(v) return flag(v), 'log takes 0 or 1' end,
  maxlen = function(v) return whole_number(v, 1, MAXLEN_MAX), 'maxlen takes a whole number from 1 to 1000000' end,
  ttl = function(v) return whole_number(v, 1, TTL_MAX), 'ttl takes seconds from 1 to 604800' end,
}

local DEFAULTS = { log = true, maxlen = 1000, maxlen_text = '1000', ttl = 3600, life_text = '3600000' }

local function read_options(args)
  if #args == 1 then return DEFAULTS end
  local options = { log = true, maxlen = 1000, ttl = 3600 }
  if #args % 2 == 0 then return nil, 'an option has no value: ' .. args[#args] end
  for i = 2, #args, 2 do
    local read = readers[args[i]]
    if not read then return nil, 'unknown option "' .. args[i]:sub(1, 40) .. '"' end
    local value, problem = read(args[i + 1])
    if value == nil then return nil, problem end
    options[args[i]] = value
  end
  if options['end'] and not options.log then return nil, 'end needs the log' end
  return options
end

-- What was written last is what is read next, most of the time.
local newest_text, newest_id

local function parse_id(text)
  if text == newest_text then return newest_id end
  local ms, seq = text:match('^(%d+)%-(%d+)')
  if not ms or #ms > 15 or #seq > 15 then return nil end
  return { ms = tonumber(ms), seq = tonumber(seq) }
end

local function whole_text(n)
  return string.format(WHOLE, n)
end

local function id_text(id)
  if id ~= newest_id then newest_text, newest_id = string.format(ID, id.ms, id.seq), id end
  return newest_text
end

local function is_after(a, b)
  return a.ms > b.ms or (a.ms == b.ms and a.seq > b.seq)
end

local function now_milliseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local ZERO = { ms = 0, seq = 0 }

-- What this process knows of each clock that it has written: `given`, what it wrote last, the `number` of its run, and the `mark` of
-- its ids. Variables are neither replicated nor saved. So if a clock shows something else, another process had it, and this one
-- may lack what that one gave out last.
local clocks, clock_count = {}, 0
local CLOCKS_MAX = 2048
local RUNS_MAX = 16
-- While a former master lives, it and its successor give out ids of the same milliseconds. So that nodes know them apart, the
-- sequence of an id is <count> * 256 + 128 + <the second in which its run began> modulo 128. A data set's first run counts
-- from 0: there is no former master. What begins with 255 nobody gives out.
local MARK_SECONDS = 128
local MARK_STEP = 2 * MARK_SECONDS

-- A run is what one process gives out without a break: when it began (in microseconds; it ends in 01 if its ids are marked), and the newest id that it found. From two lists of them a node sees where two data sets part.
--
-- `before`: what this process knew of the clock. Returns what it knows now, with all runs, which are still to be written.
local function begin_run(key, found, before)
  local time = redis.call('TIME')
  local second, micro = tonumber(time[1]), tonumber(time[2])
  local runs = redis.call('HMGET', key, 'runs')[1] or ''
  local newest = runs:match('(%d+) %S+$')
  -- No process is beside itself, whatever was done to its clock.
  local is_plain = not newest or (before and before.number == newest and before.mark == 0)
  local taken = { [MARK_SECONDS - 1] = true }
  for number in runs:gmatch('(%d+) %S+') do taken[math.floor(tonumber(number) / 1000000) % MARK_SECONDS] = true end
  while not is_plain and taken[second % MARK_SECONDS] do second = second - 1 end
  if not is_plain then micro = micro - micro % 100 + 1 elseif micro % 100 == 1 then micro = micro + 1 end
  local number = (WHOLE .. '%06d'):format(second, micro)
  runs = runs .. ' ' .. number .. ' ' .. id_text(found)
  local _, count = runs:gsub('%S+ %S+', '')
  if count > RUNS_MAX then runs = runs:gsub('^ *%S+ %S+', '', count - RUNS_MAX) end
  return { number = number, mark = is_plain and 0 or MARK_SECONDS + second % MARK_SECONDS, runs = runs }
end

-- The clock as it stands: its reading, when the data set began (nil: there is no clock yet), and what this process knows of it.
local function read_clock(key)
  local fields = redis.call('HMGET', key, 'last', 'born')
  local last = fields[1] and parse_id(fields[1]) or ZERO
  local clock = clocks[key]
  if not clock or fields[1] ~= clock.given then clock = begin_run(key, last, clock) end
  return last, fields[2] and tonumber(fields[2]), clock
end

-- `born`: nil: it stands there already.
local function write_clock(key, reading, born, clock)
  if not clocks[key] then
    if clock_count == CLOCKS_MAX then clocks, clock_count = {}, 0 end
    clock_count = clock_count + 1
  end
  clocks[key], clock.given = clock, reading
  redis.call('HSET', key, 'last', reading)
  if clock.runs then
    redis.call('HSET', key, 'runs', clock.runs)
    clock.runs = nil
  end
  if born then redis.call('HSET', key, 'born', born) end
end

-- A marker is '<id>', or '<id> end', and behind it the holes of its log: ' lost <from> <after> <up to>' for each. `from` is the
-- last event before it, and what is lost is later than `after`.
local function holes_of(marker)
  return marker:match(' lost .*$') or ''
end

-- Those of which a cursor may still know nothing.
local function young_holes(holes, now)
  return (holes:gsub(' lost %S+ %S+ (%d+)%-%d+', function(ms)
    if tonumber(ms) < now - DAY * 1000 then return '' end
  end))
end

-- The next id after `last`: the time, or the last one with its sequence raised.
local function next_id(last, now, mark)
  if now > last.ms then return { ms = now, seq = mark } end
  if last.seq > NUMBER_MAX - MARK_STEP then return { ms = last.ms + 1, seq = mark } end
  local low = last.seq % MARK_STEP
  if mark == 0 and low < MARK_SECONDS - 1 then return { ms = last.ms, seq = last.seq + 1 } end
  return { ms = last.ms, seq = last.seq - low + MARK_STEP + mark }
end

-- `last`, or what comes next, if another process has given it out: whoever is told the reading is known by it.
local function own_id(last, mark)
  local low = last.seq % MARK_STEP
  if low == mark or (mark == 0 and (low < MARK_SECONDS or last.seq > NUMBER_MAX - MARK_STEP)) then return last end
  local own = next_id(last, 0, mark)
  return own.ms > NUMBER_MAX and last or own
end

local function envelope(id, previous, options, data)
  local fields = ''
  if options.event then fields = 'event: ' .. options.event .. '\n' end
  if options.key then fields = fields .. 'key: ' .. options.key .. '\n' end
  if options.trace then fields = fields .. 'trace: ' .. options.trace .. '\n' end
  if options['end'] then fields = fields .. 'end\n' end
  return '\0301 ' .. id .. ' ' .. previous .. '\n' .. fields .. '\n' .. data
end

-- In a cluster the keys after the log's are declared, each in its place; nil: they are.
local function problem_of_keys(keys, place, once_key)
  if not place.has_tag then return #keys ~= 1 and 'sluice_publish takes one key' or nil end
  if #keys == (once_key and 4 or 3) and keys[2] == place.marker_key and keys[3] == place.clock_key and keys[4] == once_key then
    return nil
  end
  return 'sluice_publish takes these keys in a cluster: ' .. keys[1] .. ', ' .. place.marker_key .. ', ' .. place.clock_key
    .. (once_key and ', ' .. once_key or '')
end

local function publish(keys, args)
  local key, data = keys[1], args[1]
  if not key then return refuse('sluice_publish takes one key') end
  if not data then return refuse('sluice_publish needs the data after the key') end
  local place, bad = place_of(key)
  if not place then return refuse(bad) end
  if #data > DATA_MAX then return refuse('data of ' .. #data .. ' bytes: at most 1048576') end
  local options, problem = read_options(args)
  if not options then return refuse(problem) end

  local once_key = options.once and place.once_prefix .. options.once
  problem = problem_of_keys(keys, place, once_key)
  if problem then return refuse(problem) end
  if once_key then
    local first = redis.call('GET', once_key)
    if first then
      local id, nodes = first:match('^(%S*) (%d+)$')
      return { id, tonumber(nodes) }
    end
    if not may_run('SET', once_key, '', 'PX', 1) then return refuse('NOPERM: may not SET ' .. once_key) end
  end
  if not may_run(place.publish, key, '') then return refuse('NOPERM: may not ' .. place.publish .. ' ' .. key) end

  local id, nodes = '', 0
  if not options.log then
    nodes = redis.call(place.publish, key, envelope('-', '-', options, data))
  else
    local marker_key, clock_key = place.marker_key, place.clock_key
    if not (may_run('SET', marker_key, '', 'PX', 1) and may_run('HSET', clock_key, 'last', '')
      and may_run('PEXPIRE', key, 1)) then
      return refuse('NOPERM: may not SET ' .. marker_key .. ', HSET ' .. clock_key .. ' or PEXPIRE ' .. key)
    end
    local now = now_milliseconds()
    local last, born, clock = read_clock(clock_key)
    local marker = redis.call('GET', marker_key)
    local previous, p, holes = nil, '-', ''
    if marker and marker == place.marker then
      previous, p, holes = place.id, place.name, place.holes
    elseif marker then
      previous = parse_id(marker)
      p = previous and id_text(previous) or '-'
      holes = holes_of(marker)
    end
    if holes ~= '' then holes = young_holes(holes, now) end
    -- A clock that was deleted by hand must not give out ids that the log has passed.
    if previous and is_after(previous, last) then last = previous end
    last = next_id(last, now, clock.mark)
    if last.ms > NUMBER_MAX then return redis.error_reply('ERR the clock ' .. clock_key .. ' has no later time to give out') end
    id = id_text(last)

    local life = redis.call('PTTL', key) -- -1: somebody has made it live for ever; -2: there is no log yet

    -- The first write, and the only one that can still fail (a key of another type).
    local maxlen, added = options.maxlen_text or whole_text(options.maxlen)
    if options == DEFAULTS then
      added = redis.pcall('XADD', key, 'MAXLEN', maxlen, id, 'p', p, 'd', data)
    else
      local fields = { 'p', p, 'd', data }
      if options.event then fields[#fields + 1] = 'e'; fields[#fields + 1] = options.event end
      if options.key then fields[#fields + 1] = 'k'; fields[#fields + 1] = options.key end
      if options['end'] then fields[#fields + 1] = 'end'; fields[#fields + 1] = '1' end
      added = redis.pcall('XADD', key, 'MAXLEN', maxlen, id, unpack(fields))
    end
    if type(added) == 'table' and added.err then return added end
    if life ~= -1 and life < options.ttl * 1000 then
      life = options.ttl * 1000
      redis.call('PEXPIRE', key, options.life_text or whole_text(life))
    end
    write_clock(clock_key, id, not born and whole_text(now), clock)
    local marker_value = (options['end'] and (id .. ' end') or id) .. holes
    place.marker, place.name, place.id, place.holes = marker_value, id, last, holes
    if life == -1 then
      redis.call('SET', marker_key, marker_value)
    else
      redis.call('SET', marker_key, marker_value, 'PX', life > DAY * 500 and whole_text(2 * life) or DAY_TEXT)
    end
    nodes = redis.call(place.publish, key, envelope(id, p, options, data))
  end
  if once_key then redis.call('SET', once_key, id .. ' ' .. nodes, 'PX', ONCE_MILLISECONDS) end
  return { id, nodes }
end

-- Nodes in the registry.
local NODES_MAX = 1000

-- '<id> <until>' for each node, in milliseconds of this server; those whose time is over are left out, as is `id`.
local function nodes_but(id, list_key, now)
  local kept = {}
  local list = redis.pcall('GET', list_key)
  if type(list) ~= 'string' then return kept end
  for other, till in list:gmatch('(%S+) (%d+)') do
    if other ~= id and tonumber(till) > now and #kept < NODES_MAX - 1 then kept[#kept + 1] = other .. ' ' .. till end
  end
  return kept
end

-- Keeps the entry of a node, and the node in the list. Not without the rights for both: what the node's user may not do must
-- not cost it its ticks.
local function register(key, list_key, args, now)
  if not (may_run('HSET', key, 'version', '') and may_run('EXPIRE', key, 1)) then return nil end
  -- The first write, and the only one that can fail (a key of another type).
  local set = redis.pcall('HSET', key, unpack(args, 2))
  if type(set) == 'table' and set.err then return set end
  redis.call('EXPIRE', key, REGISTRY_SECONDS)
  if not list_key or not (may_run('GET', list_key) and may_run('SET', list_key, '')) then return nil end
  local id = key:match('[^:]+$')
  local nodes = nodes_but(id, list_key, now)
  nodes[#nodes + 1] = id .. ' ' .. whole_text(now + REGISTRY_SECONDS * 1000)
  redis.call('SET', list_key, table.concat(nodes, ' '))
end

-- FCALL sluice_tick 1 <prefix>:node:<id> <highest id the node knows> [field value]...
-- FCALL sluice_tick 2 <prefix>:{<tag>}:node:<id> <prefix>:{<tag>}:clock <highest id the node knows> ... in a cluster
--
-- Raises the clock to the time and to what the node remembers (so that ids don't go back after a
-- failover or a flush), and publishes the reading on the node's own channel: when it arrives there,
-- every event with an earlier id has arrived before it. The fields become the node's registry entry; in a cluster a third
-- key, <prefix>:{<tag>}:nodes, is the list of the nodes that have one, which with one server is <prefix>:nodes.
-- Replies { reading, born, the server's own time in milliseconds }: what nobody can push.
local function tick(keys, args)
  local key = keys[1]
  local base = key and key:match('^(.+):node:[^:]+$')
  local prefix, tag = split_tag(base or '')
  if not base or prefix:find('[{}]') or (tag and not is_tag(tag)) then return refuse('bad key: <prefix>:node:<id>') end
  look_around()
  if is_cluster ~= nil and is_cluster ~= (tag ~= nil) then
    return refuse(bad_key(key, is_cluster and 'in a cluster it has a tag' or 'only a cluster has partitions'))
  end
  local clock_key, list_key = base .. ':clock', base .. ':nodes'
  if tag then
    if keys[2] ~= clock_key or #keys > 3 or (keys[3] and keys[3] ~= list_key) then
      return refuse('sluice_tick takes these keys in a cluster: ' .. key .. ', ' .. clock_key .. ' and perhaps ' .. list_key)
    end
    list_key = keys[3]
  end
  local known = parse_id(args[1] or '')
  if not known or not args[1]:find('^%d+%-%d+$') then return refuse('the highest known id is needed, as <ms>-<seq>') end
  if #args % 2 == 0 then return refuse('a registry field has no value') end

  local now = now_milliseconds()
  local last, born, clock = read_clock(clock_key)
  -- A data set that has forgotten what the node had from here gives out no id twice.
  if is_after(known, last) then last = known end
  last = now > last.ms and next_id(last, now, clock.mark) or own_id(last, clock.mark)
  if #args > 1 then
    local refusal = register(key, list_key, args, now)
    if refusal then return refusal end
  end
  local reading = id_text(last)
  write_clock(clock_key, reading, not born and whole_text(now), clock)
  born = whole_text(born or now)
  redis.call(tag and 'SPUBLISH' or 'PUBLISH', key, 'tick ' .. reading .. ' ' .. born)
  return { reading, born, now }
end

-- FCALL sluice_leave 2 <prefix>:node:<id> <prefix>:nodes, in a cluster with the tag of the first partition
--
-- A node that ends takes itself off the registry.
local function leave(keys)
  local key, list_key = keys[1], keys[2]
  local base = key and key:match('^(.+):node:[^:]+$')
  if not base or #keys ~= 2 or list_key ~= base .. ':nodes' then
    return refuse('sluice_leave takes these keys: <prefix>:node:<id>, <prefix>:nodes')
  end
  redis.call('EXPIRE', key, 0)
  local nodes = nodes_but(key:match('[^:]+$'), list_key, now_milliseconds())
  redis.call('SET', list_key, table.concat(nodes, ' '))
  return redis.status_reply('OK')
end

-- FCALL sluice_heard 2n+1 <clock> <log> <marker>... <since> '[<since of this log> ]<id>[ end]'...
--
-- A node says of each log which event it has heard last: this may be an older data set, which has it no more. What is lost is
-- kept in the marker, for all who come back, and told on the log's channel. `since`: up to here the data set has all that the
-- node has heard. Replies how many logs have lost something.
local HOLES_MAX = 8

-- The predecessor of the first entry after an id; nil: there is no such entry, or nothing can be read.
local function predecessor_after(log, id)
  local page = redis.pcall('XRANGE', log, '(' .. id_text(id), '+', 'COUNT', 1)
  if page.err or not page[1] then return nil end
  local fields = page[1][2]
  for i = 1, #fields, 2 do
    if fields[i] == 'p' then return parse_id(fields[i + 1]) or ZERO end
  end
end

-- The last event before what is lost; nil: nothing is.
local function before_hole(log, newest, id, since)
  if newest and is_after(newest, id) then
    local page = redis.pcall('XRANGE', log, id_text(id), id_text(id))
    if not page.err and #page > 0 then return nil end
    -- It may have been trimmed. If what came next is gone as well, nobody knows; and who has it takes no notice of a hole.
    local p = predecessor_after(log, id)
    if p and not is_after(p, id) and not is_after(id, p) then return nil end
  elseif newest and not is_after(id, newest) then
    return nil
  end
  local from = predecessor_after(log, since) or newest or ZERO
  return is_after(from, since) and since or from
end

local function hole_text(hole)
  return ' lost ' .. id_text(hole.from) .. ' ' .. id_text(hole.after) .. ' ' .. id_text(hole.to)
end

-- The holes with a new one; nil: they have it already. One that lies within another one is kept, because a node may have
-- heard the newest of what is lost, and yet not that.
local function with_hole(holes, new)
  local kept = {}
  for from, after, to in holes:gmatch(' lost (%S+) (%S+) (%S+)') do
    -- A publisher may write what it likes there.
    if #kept > HOLES_MAX then break end
    local other = { from = parse_id(from) or ZERO, after = parse_id(after) or ZERO, to = parse_id(to) or ZERO }
    local is_same = not is_after(new.to, other.to) and not is_after(other.to, new.to)
    if is_same and not is_after(other.after, new.after) then return nil end
    if not is_same then kept[#kept + 1] = other end
  end
  kept[#kept + 1] = new
  table.sort(kept, function(a, b) return is_after(b.to, a.to) end)
  while #kept > HOLES_MAX do
    local first, second = kept[1], table.remove(kept, 2)
    first.to = second.to
    if is_after(first.from, second.from) then first.from = second.from end
    if is_after(first.after, second.after) then first.after = second.after end
  end
  local text = ''
  for _, hole in ipairs(kept) do text = text .. hole_text(hole) end
  return text
end

-- Returns the text of the hole, if there is one that was not known.
local function find_hole(log, marker_key, id, ends, since)
  local marker = redis.call('GET', marker_key)
  local newest = marker and parse_id(marker)
  local from = before_hole(log, newest, id, since)
  if not from then return nil end
  local hole = { from = from, after = since, to = id }
  local holes = with_hole(marker and holes_of(marker) or '', hole)
  if not holes then return nil end
  local head = marker and marker:gsub(' lost .*$', '')
  -- The chain goes on with what there is. But that the topic is closed has to be known.
  if not newest or (ends and is_after(id, newest)) then head = id_text(id) .. (ends and ' end' or '') end
  local life = marker and redis.call('PTTL', marker_key) or 0
  if life == -1 then
    redis.call('SET', marker_key, head .. holes)
  else
    redis.call('SET', marker_key, head .. holes, 'PX', life > DAY * 1000 and whole_text(life) or DAY_TEXT)
  end
  return hole_text(hole)
end

local function exact_id(text)
  return text and text:find('^%d+%-%d+$') and parse_id(text)
end

-- What a node says of one log: an event, from where on it may be lost, and whether it has closed the topic; nil: that is none.
local function heard_of(text, since)
  local words, ends = text:gsub(' end$', '')
  local own, id = words:match('^(%S+) (%S+)$')
  id, since = exact_id(id or words), own and exact_id(own) or since
  if not id or (own and not exact_id(own)) then return nil end
  return { id = id, ends = ends > 0, since = since }
end

local function heard(keys, args)
  local since = exact_id(args[1])
  local count_of_args = (#keys + 1) / 2
  -- Nodes of version 14 say behind it what ids show by themselves now.
  local is_older = #args == count_of_args + 3 and args[count_of_args + 1] == 'doubt'
  if #keys % 2 == 0 or (#args ~= count_of_args and not is_older) or (#keys == 1 and not is_older) or not since then
    return refuse('sluice_heard takes <clock>, then <log> <marker>... as keys, then <since> and for each log <id> or <id end>')
  end
  local events = {}
  for i = 2, count_of_args do
    events[i] = heard_of(args[i], since)
    if not events[i] then return refuse('sluice_heard takes ids') end
  end
  local last, born, clock = read_clock(keys[1])
  local count = 0
  for i = 2, count_of_args do
    local log, event = keys[2 * i - 2], events[i]
    -- What is older than the data set is told to be lost as a whole.
    if is_after(event.id, event.since) and (not born or event.id.ms >= born) then
      -- What can't be read costs the others nothing.
      local is_read, hole = pcall(find_hole, log, keys[2 * i - 1], event.id, event.ends, event.since)
      if is_read and hole then
        count = count + 1
        if is_after(event.id, last) then last = event.id end
        local place = place_of(log)
        redis.call(place and place.publish or 'PUBLISH', log, '\030' .. hole:sub(2))
      end
    end
  end
  last = own_id(last, clock.mark)
  write_clock(keys[1], id_text(last), not born and whole_text(now_milliseconds()), clock)
  return count
end

-- FCALL sluice_may_subscribe 0 <channel>...
--
-- Replies those of the channels that the caller may SUBSCRIBE to, or SSUBSCRIBE to if they have a partition's tag.
-- To try it would fail for all channels of a command because of one, and leave a line in the ACL log each time.
local function may_subscribe(_, args)
  local permitted = {}
  for _, channel in ipairs(args) do
    if may_run(channel:find(':{%d+}:') and 'SSUBSCRIBE' or 'SUBSCRIBE', channel) then permitted[#permitted + 1] = channel end
  end
  return permitted
end

-- FCALL sluice_read 2n <log> <marker>... <bytes> <after> <bytes>...
--
-- Reads logs for the nodes: of each the entries after an id, of at most so much data but at least one entry, until
-- all together have <bytes>. So the size of a reply is bounded however large the entries are, and whatever else a
-- node wants of Redis does not wait long behind it. Replies, for each of the first so many logs,
-- { problem, marker, read up to, 1 if that was all, entries }; a log that can't be read has a problem.
local ENTRY_OVERHEAD = 64
local ENTRIES_MAX = 16
-- Larger than any that sluice_publish writes: somebody else has put it there, and it is left out.
local ENTRY_MAX = DATA_MAX + 16384

local function read_log(log, after, bytes)
  local entries, size, count = {}, 0, 2
  while true do
    local page = redis.pcall('XRANGE', log, '(' .. after, '+', 'COUNT', count)
    if page.err then return nil, page.err end
    for _, entry in ipairs(page) do
      local cost = ENTRY_OVERHEAD
      for _, field in ipairs(entry[2]) do cost = cost + #field end
      if cost <= ENTRY_MAX then
        if #entries > 0 and size + cost > bytes then return entries, size, after, 0 end
        entries[#entries + 1] = entry
        size = size + cost
      end
      after = entry[1]
    end
    if #page < count then return entries, size, after, 1 end
    -- In growing steps, because how large the entries are is not known before the first have come.
    count = math.min(count * 2, ENTRIES_MAX)
  end
end

local function read(keys, args)
  local left = whole_number(args[1] or '', 1, 2 ^ 31)
  if #keys == 0 or #keys % 2 ~= 0 or #args ~= #keys + 1 or not left then
    return refuse('sluice_read takes <log> <marker>... as keys, then <bytes> and for each log <after> <bytes>')
  end
  local replies = {}
  for i = 1, #keys / 2 do
    if left <= 0 then break end
    local after, bytes = args[2 * i], whole_number(args[2 * i + 1], 1, 2 ^ 31)
    if not bytes or not after:find('^%d+%-%d+$') then return refuse('an id and a number of bytes are needed for each log') end
    -- Marker and entries are of one moment: a marker that is newer than all entries tells of a loss.
    local marker = redis.pcall('GET', keys[2 * i])
    if type(marker) ~= 'string' then marker = '' end
    local entries, size, upto, all = read_log(keys[2 * i - 1], after, math.min(bytes, left))
    if entries then
      left = left - size
      replies[i] = { '', marker, upto, all, entries }
    else
      replies[i] = { size, marker, after, 1, {} }
    end
  end
  return replies
end

-- Who is there, for nodes with --presence. <prefix>:online has a field for each client: '<period> <node>...', the nodes that
-- have streams of it. The first node that has one begins a period, the last one ends it, and either is an entry of the stream
-- <prefix>:presence. `event` is made from the period, so that what has to be said again is known.
--
-- The field RECORDS, which is no client's name, has '<node> <until> <state>' for each node. The state of one that lives is what
-- it has told: if it finds another, the data set went back, or the node was taken for dead. `gone`: it is dead, and its
-- clients are being taken off; `done`: they are.
local RECORDS = ' nodes'
-- A beat, a command that is not answered, and time to try again.
local PRESENCE_LEASE = 9600
-- If nobody has said anything for so long, nobody could: then each node has so much time to say that it lives.
local PRESENCE_OUTAGE = 4500
local PRESENCE_RETURN = 4900
local CLEANING_LEASE = 5000
-- For so long it is known that a node's clients were taken off, should it come back.
local DONE_KEPT = 600000
-- Who has so much left of its lease has been heard in the last four seconds. More than PRESENCE_RETURN.
local RETURNED = 5600
local CLEANED_PER_CALL = 500

local function read_records(key)
  local records, order = {}, {}
  local text = redis.call('HMGET', key, RECORDS)[1] or ''
  for node, till, state in text:gmatch('(%S+) (%d+) (%S+)') do
    records[node] = { till = tonumber(till), state = state }
    order[#order + 1] = node
  end
  return records, order
end

-- Of too many those that are cleaned up after are forgotten first, the oldest of them before the others.
local function write_records(key, records, order, now)
  local kept, surplus = {}, #order - NODES_MAX
  for _, node in ipairs(order) do
    local record = records[node]
    if record.state == 'done' and surplus > 0 then
      surplus = surplus - 1
    elseif record.state ~= 'done' or record.till > now then
      kept[#kept + 1] = node .. ' ' .. whole_text(record.till) .. ' ' .. record.state
    end
  end
  redis.call('HSET', key, RECORDS, table.concat(kept, ' '))
end

local function lives(record)
  return record.state ~= 'gone' and record.state ~= 'done'
end

-- Renews what is known of the nodes but `own`. Returns those that are dead and whose clients the caller is to take off.
local function look_after(records, order, own, now)
  local newest = 0
  for _, record in pairs(records) do
    if lives(record) then newest = math.max(newest, record.till) end
  end
  -- Then nobody is dead for that.
  local was_outage = now > newest - PRESENCE_LEASE + PRESENCE_OUTAGE
  local dead = {}
  for _, node in ipairs(order) do
    local record = records[node]
    if node ~= own and lives(record) then
      if was_outage then
        record.till = math.max(record.till, now + PRESENCE_RETURN)
      elseif record.till < now then
        record.state, record.till = 'gone', 0
      end
    end
    if node ~= own and record.state == 'gone' and record.till < now then
      record.till = now + CLEANING_LEASE
      dead[#dead + 1] = node
    end
  end
  return dead
end

local function without_node(value, node)
  local from, to = (value .. ' '):find(' ' .. node .. ' ', 1, true)
  return from and value:sub(1, from - 1) .. value:sub(to)
end

-- Without the nodes that are dead, whose clients are still to be taken off.
local function without_dead(value, records)
  for node in value:gmatch(' (%S+)') do
    if records[node] and not lives(records[node]) then value = without_node(value, node) or value end
  end
  return value
end

-- An entry for a change. Only the first one of a call can fail (a key of another type).
local function add_change(presence, client, state, node, period, now)
  local added = redis.pcall('XADD', presence.key, 'MAXLEN', '~', presence.maxlen, '*', 'client', client, 'state', state,
    'node', node, 'at', whole_text(now), 'event', period .. '.' .. state)
  if type(added) == 'table' and added.err then error(added.err, 0) end
end

-- When a period began, by the clock of the node that began it: <node>-<milliseconds>-<number>.
local function beginning(period)
  return tonumber(period:match("%-(%d+)%-%d+'*$")) or 0
end

-- `is_known`: the node was told this period once, and the client has been in it since. Returns the one that it is in now.
local function arrive(online, presence, node, client, period, is_known, now)
  local value = redis.call('HMGET', online, client)[1]
  local known = value and value:match('^%S+')
  if value and is_known and beginning(known) < beginning(period) then
    -- Redis went back to the earlier period, which had ended before this one began. The backend may not have read that end
    -- yet; then it has to read a new beginning behind it, for it would drop one that it has had.
    add_change(presence, client, 'absent', node, known, now)
    period = period .. "'"
    add_change(presence, client, 'present', node, period, now)
    value, known = period .. (without_node(value, node) or value):sub(#known + 1), period
  elseif not value then
    add_change(presence, client, 'present', node, period, now)
    value, known = period, period
  end
  if without_node(value, node) then return known end
  redis.call('HSET', online, client, value .. ' ' .. node)
  return known
end

-- `word`: a period that has ended, and whose end may have been forgotten, and behind it the dead node that it has ended with;
-- or * and the period in which the client has left the node, if it is known. With a ? before it nothing is done, and ?
-- returned, where what other nodes have still to say could make it wrong: where this is the last node, or others are listed in
-- what has ended. Returns the period that has ended.
local function depart(online, presence, node, client, word, records, now)
  local is_careful, star, period, dead = word:match('^(%??)(%*?)(%S*) ?(%S*)$')
  is_careful = is_careful ~= ''
  local has_ended = star == ''
  local value = redis.call('HMGET', online, client)[1]
  if not value then
    if period == '' then return nil end
    if is_careful and not has_ended then return '?' end
    add_change(presence, client, 'absent', node, period, now)
    return period
  end
  local known, rest = value:match('^%S+'), without_node(value, node)
  if has_ended then
    if period ~= known then return nil end
    rest = rest or value
    -- Redis may have gone back to when the dead node had a lease: it has come back only if it was heard lately.
    local has_returned = records[dead] and records[dead].till >= now + RETURNED
    if dead ~= '' and not has_returned then rest = without_node(rest, dead) or rest end
    if not is_careful then rest = without_dead(rest, records) end
  end
  if not rest then return nil end
  if is_careful and (rest == known) ~= has_ended then return '?' end
  if rest ~= known and not has_ended then
    redis.call('HSET', online, client, rest)
    return nil
  end
  if rest ~= known then
    -- Others have gone on in it, because its end was forgotten: theirs is another one.
    local other, nodes = known .. "'", rest:sub(#known + 1)
    add_change(presence, client, 'absent', node, known, now)
    add_change(presence, client, 'present', nodes:match('%S+'), other, now)
    redis.call('HSET', online, client, other .. nodes)
    return known
  end
  add_change(presence, client, 'absent', node, known, now)
  redis.call('HDEL', online, client)
  return known
end

local function presence_of(keys, maxlen)
  local online, stream = keys[1], keys[2]
  local base = online and online:match('^(.+):online$')
  if not base or #keys ~= 2 or stream ~= base .. ':presence' then
    return nil, refuse('presence takes these keys: <prefix>:online, <prefix>:presence')
  end
  maxlen = whole_number(maxlen or '', 1, 10000000)
  if not maxlen then return nil, refuse('the length of the stream is needed') end
  if not (may_run('XADD', stream, '*', 'client', '') and may_run('HSET', online, '', '') and may_run('HDEL', online, '')
    and may_run('HSCAN', online, '0')) then
    return nil, refuse('NOPERM: may not XADD ' .. stream .. ', or HSET, HDEL and HSCAN ' .. online)
  end
  return { key = stream, maxlen = whole_text(maxlen) }
end

-- FCALL sluice_presence 2 <online> <presence> <maxlen> <node> <state>|* <new state> [+|=|- <client> <period>]...
--
-- A node lives, and has these changes. Replies { 'told', dead nodes, for each change the period that the
-- client is in or that has ended }; { 'lost' }: nothing was done,
-- for its state is another; with *, { 'joined', dead nodes, the state that there was }.
local function presence_told(keys, args)
  local presence, problem = presence_of(keys, args[1])
  if not presence then return problem end
  local online, node, state, new_state = keys[1], args[2], args[3], args[4]
  if not new_state or #args % 3 ~= 1 or (node .. state .. new_state):find('%s') then
    return refuse('sluice_presence takes <maxlen> <node> <state> <new state>, and three words for each change')
  end
  local now = now_milliseconds()
  local records, order = read_records(online)
  local own = records[node]
  local old_state = own and own.state or ''
  if state ~= '*' and state ~= old_state then return { 'lost' } end
  local dead = look_after(records, order, node, now)
  if not own then order[#order + 1] = node end
  records[node] = { till = now + PRESENCE_LEASE, state = new_state }
  local periods = {}
  local ok, failure = pcall(function()
    for i = 5, #args, 3 do
      local sign, client, word = args[i], args[i + 1], args[i + 2]
      if sign == '-' then
        periods[#periods + 1] = depart(online, presence, node, client, word, records, now) or ''
      else
        periods[#periods + 1] = arrive(online, presence, node, client, word, sign == '=', now)
      end
    end
  end)
  if not ok then return redis.error_reply(tostring(failure)) end
  write_records(online, records, order, now)
  if state == '*' then return { 'joined', dead, old_state } end
  return { 'told', dead, periods }
end

-- FCALL sluice_presence_clean 2 <online> <presence> <maxlen> <dead node> <cursor>
--
-- Takes some of a dead node's clients off. Replies { the cursor to go on with, a client, the period that has ended, ... };
-- cursor 0: that was all.
local function presence_clean(keys, args)
  local presence, problem = presence_of(keys, args[1])
  if not presence then return problem end
  local online, node, cursor = keys[1], args[2], args[3]
  if not cursor then return refuse('sluice_presence_clean takes <maxlen> <dead node> <cursor>') end
  local now = now_milliseconds()
  local records, order = read_records(online)
  local record = records[node]
  -- It may have come back.
  if not record or record.state ~= 'gone' then return { '0' } end
  local page = redis.call('HSCAN', online, cursor, 'COUNT', CLEANED_PER_CALL)
  local reply = { page[1] }
  local ok, failure = pcall(function()
    for i = 1, #page[2], 2 do
      if page[2][i] ~= RECORDS and without_node(page[2][i + 1], node) then
        local period = depart(online, presence, node, page[2][i], '*', records, now)
        if period then
          reply[#reply + 1] = page[2][i]
          reply[#reply + 1] = period
        end
      end
    end
  end)
  if not ok then return redis.error_reply(tostring(failure)) end
  record.till = now + CLEANING_LEASE
  if page[1] == '0' then record.state, record.till = 'done', now + DONE_KEPT end
  write_records(online, records, order, now)
  return reply
end

-- FCALL sluice_presence_of 1 <online> <node> <cursor>
--
-- Replies { the cursor to go on with, clients that are at this node }.
local function presence_sweep(keys, args)
  if #keys ~= 1 or #args ~= 2 then return refuse('sluice_presence_of takes <online>, then <node> <cursor>') end
  local page = redis.call('HSCAN', keys[1], args[2], 'COUNT', CLEANED_PER_CALL)
  local clients = {}
  for i = 1, #page[2], 2 do
    if page[2][i] ~= RECORDS and without_node(page[2][i + 1], args[1]) then clients[#clients + 1] = page[2][i] end
  end
  return { page[1], clients }
end

redis.register_function('sluice_publish', publish)
redis.register_function('sluice_tick', tick)
redis.register_function('sluice_leave', leave)
redis.register_function('sluice_heard', heard)
redis.register_function('sluice_presence', presence_told)
redis.register_function('sluice_presence_clean', presence_clean)
redis.register_function { function_name = 'sluice_presence_of', callback = presence_sweep, flags = { 'no-writes' } }
redis.register_function { function_name = 'sluice_read', callback = read, flags = { 'no-writes' } }
redis.register_function { function_name = 'sluice_version', callback = function() return VERSION end, flags = { 'no-writes' } }
redis.register_function { function_name = 'sluice_may_subscribe', callback = may_subscribe, flags = { 'no-writes' } }
