-- What every script begins with: arguments, the clock, records and their indexes. Times are milliseconds.
-- KEYS[1] is the base of a tag, "{prefix}" or "{prefix:hhh}"; every other key begins with it.
-- ARGV[1] the time or nothing, ARGV[2] the shard of the tag or -1 if all queues are here, ARGV[3] the channel.
local call, sub, band, bor, bnot = redis.call, string.sub, bit.band, bit.bor, bit.bnot
local pack, unpack_ = struct.pack, struct.unpack
local B, SHARD = KEYS[1], tonumber(ARGV[2])
local MAX = 9007199254740992
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- States and flags of a record.
local WAITING, PENDING, RUNNING, SUCCEEDED, DEAD, CANCELLED = 0, 1, 2, 3, 4, 5
local F_CANCEL, F_ABANDONED, F_MOVED, F_PROGRESS, F_RESULT, F_ERRORS = 1, 2, 4, 8, 16, 32
local F_LEASED, F_COUNTED, F_WAITS, F_PARKED, F_AWAITED = 64, 128, 256, 512, 1024
-- Flags of a specification.
local S_UNIQUE, S_GROUP, S_WAITS, S_RUN, S_EXPIRY = 1, 2, 4, 8, 16
local SUSPECT = 255

local function later(at, delay)
  return math.min(at + delay, MAX)
end

-- A command with a list of any length: no more arguments than Lua's stack holds.
local function many(command, key, list)
  local n = #list
  if n <= 4000 then
    return call(command, key, unpack(list))
  end
  for from = 1, n, 4000 do
    call(command, key, unpack(list, from, math.min(from + 3999, n)))
  end
end

-- As HMGET, of a list of any length.
local function pick(key, ids)
  if #ids <= 4000 then
    return call('HMGET', key, unpack(ids))
  end
  local out = {}
  for from = 1, #ids, 4000 do
    for _, value in ipairs(call('HMGET', key, unpack(ids, from, math.min(from + 3999, #ids)))) do
      out[#out + 1] = value
    end
  end
  return out
end

-- Which shard an id names.
local function shard(id)
  local high, low = string.byte(id, 9, 10)
  return band(high, 63) * 64 + math.floor(low / 4)
end

local function foreign(id)
  return SHARD >= 0 and shard(id) ~= SHARD
end

-- Records by id, as this script changed them; `false` for one there is not. Changed ones are written by `flush`.
local R, D = {}, {}

-- The fixed part of the specification.
local function head(r)
  r.sf, r.band, r.smax, r.ks, r.kf, r.digest, r.queue, r.kind, r.hp = unpack_('<BBBddc8Bc0Bc0', r.s)
  return r
end

local function parse(id, m, s)
  local r = { id = id, s = s }
  local at
  r.st, r.se, r.re, r.fl, r.run, r.enq, r.att, at = unpack_('<BBBHddI4', m)
  if band(r.fl, F_LEASED) ~= 0 then
    r.tok, r.own, r.seq, r.lease, r.till, r.start, at = unpack_('<dc16dddd', m, at)
  else
    r.tok, r.seq, r.lease, r.till = 0, 0, 0, 0
  end
  if r.st >= SUCCEEDED then
    r.ended, at = unpack_('<d', m, at)
  end
  if band(r.fl, F_COUNTED) ~= 0 then
    r.fail, r.cra, r.stri, r.sno, r.ret, r.delay, at = unpack_('<I4I4I4I4I4d', m, at)
  else
    r.fail, r.cra, r.stri, r.sno, r.ret, r.delay = 0, 0, 0, 0, 0, 0
  end
  if r.re >= 8 then
    r.rid = sub(m, at, at + 15)
  end
  return head(r)
end

-- What follows the fixed part of the specification, read when it is asked for.
local function more(r)
  if r.read then
    return
  end
  r.read = true
  local at = r.hp
  if band(r.sf, S_GROUP) ~= 0 then
    r.group, at = unpack_('<Bc0', r.s, at)
  end
  if band(r.sf, S_UNIQUE) ~= 0 then
    r.key, r.hold, r.holdms, r.conflict, at = unpack_('<Bc0BdB', r.s, at)
  end
  if band(r.sf, S_EXPIRY) ~= 0 then
    r.expiry, at = unpack_('<d', r.s, at)
  end
  r.waits = {}
  if band(r.sf, S_WAITS) ~= 0 then
    local n
    n, at = unpack_('<B', r.s, at)
    for i = 1, n do
      r.waits[i] = sub(r.s, at, at + 15)
      at = at + 16
    end
  end
end

local function group(r)
  if band(r.sf, S_GROUP) == 0 then
    return nil
  end
  more(r)
  return r.group
end

local function expires(r)
  if band(r.sf, S_EXPIRY) == 0 then
    return nil
  end
  more(r)
  return later(r.enq, r.expiry)
end

local function compose(r)
  local fl = band(r.fl, bnot(F_LEASED + F_COUNTED))
  local leased, ended, counted, rid = '', '', '', ''
  if r.tok > 0 then
    fl = fl + F_LEASED
    leased = pack('<dc16dddd', r.tok, r.own, r.seq, r.lease, r.till, r.start)
  end
  if r.st >= SUCCEEDED then
    ended = pack('<d', r.ended)
  end
  if r.fail + r.cra + r.stri + r.sno + r.ret + r.delay > 0 then
    fl = fl + F_COUNTED
    counted = pack('<I4I4I4I4I4d', r.fail, r.cra, r.stri, r.sno, r.ret, r.delay)
  end
  if r.re >= 8 then
    rid = r.rid
  end
  return pack('<BBBHddI4', r.st, r.se, r.re, fl, r.run, r.enq, r.att) .. leased .. ended .. counted .. rid
end

-- Records that cannot be read, by id: the lists that have them say where to look.
local BROKEN = {}

-- Reads those of `ids` that were not read before.
local function fetch(ids)
  local missing = {}
  for _, id in ipairs(ids) do
    if R[id] == nil then
      missing[#missing + 1] = id
    end
  end
  if #missing == 0 then
    return
  end
  local known, ms = {}, {}
  for i, m in ipairs(pick(B .. ':m', missing)) do
    R[missing[i]] = false
    if m then
      known[#known + 1] = missing[i]
      ms[#ms + 1] = m
    end
  end
  if #known == 0 then
    return
  end
  for i, s in ipairs(pick(B .. ':s', known)) do
    local id = known[i]
    local well, r = pcall(parse, id, ms[i], s)
    if well then
      R[id] = r
    else
      BROKEN[id] = true
    end
  end
end

local function rec(id)
  if R[id] == nil then
    fetch({ id })
  end
  return R[id]
end

local function lane_band(r)
  if r.cra > 0 then
    return SUSPECT
  end
  return r.band
end

local function lane_key(queue, lane)
  return B .. ':l:' .. lane .. ':' .. queue
end

local function parked_key(queue, lane, name)
  return B .. ':k:' .. lane .. ':' .. queue .. '\0' .. name
end

-- Under which count of crashes a job is in the cohort of its owner, if it is.
local function held_crashes(r)
  if r.tok == 0 then
    return nil
  end
  if r.st == RUNNING then
    if band(r.fl, F_MOVED) ~= 0 then
      return 0
    end
    return r.cra
  end
  if r.st == PENDING and r.se == 9 then
    return math.max(r.cra - 1, 0)
  end
  return nil
end

-- Where the record is listed: a sorted set and its score there.
local function place(r)
  local st = r.st
  if st == PENDING then
    if band(r.fl, F_PARKED) ~= 0 then
      return parked_key(r.queue, lane_band(r), group(r)), r.run
    end
    return lane_key(r.queue, lane_band(r)), r.run
  elseif st == RUNNING then
    return B .. ':x', r.till
  elseif st == SUCCEEDED then
    return B .. ':z', later(r.ended, r.ks)
  elseif st > SUCCEEDED then
    return B .. ':z', later(r.ended, r.kf)
  end
  return nil
end

local function too_late(r)
  if r.st <= PENDING then
    return expires(r)
  end
  return nil
end

-- Says that `r` is about to change: notes where it is listed now.
local function touch(r)
  if r.dirty then
    return
  end
  r.dirty = true
  D[#D + 1] = r
  r.okey, r.oscore = place(r)
  r.olate, r.ost, r.oown, r.ocra = too_late(r), r.st, r.own, held_crashes(r)
end

-- A record that was not there.
local function create(r)
  r.dirty, r.fresh = true, true
  R[r.id] = r
  D[#D + 1] = r
end

local function add(lists, key, a, b)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  list[#list + 1] = a
  if b then
    list[#list + 1] = b
  end
end

local function count(counts, key, n)
  counts[key] = (counts[key] or 0) + n
end

local function bump(key, counts)
  for field, n in pairs(counts) do
    if n ~= 0 and call('HINCRBY', key, field, n) == 0 then
      call('HDEL', key, field)
    end
  end
end

-- Payloads to be written, by id.
local PAYLOADS = {}

-- Writes what changed: records, lists and counts.
local function flush()
  if #D == 0 then
    return
  end
  local changed, adds, rems, sets, dels = D, {}, {}, {}, {}
  local tally, running, cohorts = {}, {}, {}
  D = {}
  for i = 1, #changed do
    local r = changed[i]
    local id = r.id
    r.dirty = false
    local key, score, late, crashes
    if r.gone then
      add(dels, B .. ':m', id)
      add(dels, B .. ':s', id)
      add(dels, B .. ':p', id)
      if band(r.fl, F_PROGRESS) ~= 0 then add(dels, B .. ':g', id) end
      if band(r.fl, F_RESULT) ~= 0 then add(dels, B .. ':r', id) end
      if band(r.fl, F_ERRORS) ~= 0 then add(dels, B .. ':e', id) end
      if band(r.fl, F_WAITS) ~= 0 then add(dels, B .. ':w', id) end
      add(rems, B .. ':i', id)
    else
      key, score = place(r)
      late, crashes = too_late(r), held_crashes(r)
      add(sets, B .. ':m', id, compose(r))
    end
    if r.fresh then
      add(sets, B .. ':s', id, r.s)
      if PAYLOADS[id] ~= '' then
        add(sets, B .. ':p', id, PAYLOADS[id])
      end
      PAYLOADS[id] = nil
      add(adds, B .. ':i', 0, id)
      r.fresh, r.okey, r.olate, r.ost, r.oown, r.ocra = nil, nil, nil, nil, nil, nil
    end
    if key ~= r.okey then
      if r.okey then add(rems, r.okey, id) end
      if key then add(adds, key, score, id) end
    elseif key and score ~= r.oscore then
      add(adds, key, score, id)
    end
    if late ~= r.olate then
      if late then add(adds, B .. ':d', late, id) else add(rems, B .. ':d', id) end
    end
    local st = r.st
    if r.gone then st = nil end
    if st ~= r.ost then
      if r.ost then count(tally, r.ost .. r.queue, -1) end
      if st then count(tally, st .. r.queue, 1) end
      if band(r.sf, S_GROUP) ~= 0 and (st == RUNNING) ~= (r.ost == RUNNING) then
        count(running, r.queue .. '\0' .. group(r), st == RUNNING and 1 or -1)
      end
    end
    if crashes ~= r.ocra or r.own ~= r.oown then
      if r.ocra then
        local of = cohorts[r.oown] or {}
        cohorts[r.oown] = of
        count(of, r.ocra, -1)
      end
      if crashes then
        local of = cohorts[r.own] or {}
        cohorts[r.own] = of
        count(of, crashes, 1)
      end
    end
  end
  for key, list in pairs(sets) do many('HSET', key, list) end
  for key, list in pairs(dels) do many('HDEL', key, list) end
  for key, list in pairs(rems) do many('ZREM', key, list) end
  for key, list in pairs(adds) do many('ZADD', key, list) end
  bump(B .. ':n', tally)
  bump(B .. ':h', running)
  for owner, counts in pairs(cohorts) do bump(B .. ':c:' .. owner, counts) end
end

-- Hints for workers: queues that may have something due, running jobs that shall stop.
local QUEUES, CANCELS = {}, {}

local function announce()
  local parts = CANCELS
  for queue in pairs(QUEUES) do
    parts[#parts + 1] = 'q' .. string.char(#queue) .. queue
  end
  if #parts > 0 then
    call('PUBLISH', ARGV[3], table.concat(parts))
  end
end

-- What another tag has to be told; delivered by whoever reads it there, and removed then.
local SENT = 0
local function send(message)
  SENT = SENT + 1
  call('ZADD', B .. ':b', call('INCR', B .. ':bn'), message)
end

-- All that is kept of a job, for the client.
local function show(out, r, payload)
  local fl = r.fl
  local extra = ''
  if band(fl, F_PROGRESS + F_RESULT + F_ERRORS + F_WAITS) ~= 0 then
    local parts = {}
    for i, of in ipairs({ { F_PROGRESS, ':g' }, { F_RESULT, ':r' }, { F_ERRORS, ':e' }, { F_WAITS, ':w' } }) do
      local value = band(fl, of[1]) ~= 0 and call('HGET', B .. of[2], r.id) or ''
      parts[i] = pack('<I4', #value) .. value
    end
    extra = table.concat(parts)
  end
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = r.id, compose(r), r.s, payload, extra
end

-- Notes the latest clock at which a lease was given: only one that went back since leaves leases from the future.
local function ahead()
  local last = tonumber(call('GET', B .. ':a'))
  if not last or last < now then
    call('SET', B .. ':a', string.format('%.17g', now))
  end
end
