-- ARGV[4] what: 1 claim, 2 look what could be claimed and note the number, 3 claim after having looked.
-- ARGV[5..9] owner, number, lease, most jobs, most bytes; then a queue, a band and a most for each lane.
-- Answers the time, when the next falls due, whether it is a repeat (1) or late (2), how many messages wait for other
-- tags, the number of jobs, six values for each, and after a look the number of due jobs of each lane.
local what, owner, seq = ARGV[4], ARGV[5], tonumber(ARGV[6])
local length, most_jobs, most_bytes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local DAY, ASIDE = 86400000, 1000
local lanes, out = {}, {}
for at = 10, #ARGV, 3 do
  local queue, lane = ARGV[at], tonumber(ARGV[at + 1])
  lanes[#lanes + 1] = { queue = queue, band = lane, max = tonumber(ARGV[at + 2]), key = lane_key(queue, lane) }
end

local function paused(queue)
  local of = cfg(queue)
  return of and of.p
end

local function bury(id, lane)
  -- A record that cannot be read ends dead and stays visible, with what is known of it.
  BROKEN[id] = nil
  local m, s = call('HGET', B .. ':m', id), call('HGET', B .. ':s', id)
  call('ZREM', lane.key, id)
  if not m and not s then
    return
  end
  local base = { id = id, s = s or '' }
  if not s or not pcall(head, base) then
    local name = pack('<B', #lane.queue) .. lane.queue .. pack('<B', 10) .. 'unreadable'
    base.s = pack('<BBBdd', 0, math.min(lane.band, 7), 1, 60000, 2592000000) .. string.rep('\0', 8) .. name
    call('HSET', B .. ':s', id, base.s)
    head(base)
  end
  local r = {
    st = PENDING, se = 0, re = 0, fl = 0, run = 0, enq = now, att = 0, tok = 0, seq = 0, lease = 0, till = 0,
    fail = 0, cra = 0, stri = 0, sno = 0, ret = 0, delay = 0, ost = PENDING, okey = nil, dirty = true,
  }
  for field, value in pairs(base) do r[field] = value end
  R[id] = r
  D[#D + 1] = r
  end_as(r, DEAD, R_CORRUPT)
end

local function lease(r)
  touch(r)
  r.st, r.se, r.att, r.tok, r.own, r.seq = RUNNING, 0, r.att + 1, r.tok + 1, owner, seq
  r.lease, r.till, r.start, r.fl = length, later(now, length), now, band(r.fl, bnot(F_PARKED))
  free(r, true)
end

local room, bytes, aside, taken = most_jobs, most_bytes, ASIDE, {}

-- The first due ids of the lane; flushed before, if what was done here moved any.
local function heads(lane, n)
  flush()
  return call('ZRANGEBYSCORE', lane.key, '-inf', now, 'LIMIT', 0, n)
end

-- Claims from the lane; false if the next one shall not be looked at.
local function serve(index, lane)
  local slow, want = limited(lane.queue), math.min(lane.max, room)
  while want > 0 do
    if slow and not gate(lane.queue) then
      return true
    end
    local ids = heads(lane, slow and 1 or math.min(want, 1000))
    if #ids == 0 then
      return true
    end
    fetch(ids)
    local payloads, again = pick(B .. ':p', ids), false
    for i, id in ipairs(ids) do
      local r = R[id]
      local late = r and expires(r)
      local name = r and slow and group(r)
      local open, at = true, nil
      if name then
        open, at = gate(lane.queue, name)
      end
      if not r or late and late <= now or not open then
        if aside == 0 then
          return false
        end
        aside = aside - 1
        again = true
        if not r then
          bury(id, lane)
        elseif not open then
          park(r, at)
        else
          end_as(r, DEAD, R_EXPIRED)
        end
        tell_waiters()
        unpark()
        break
      end
      local payload = payloads[i] or ''
      local size = #payload
      if band(r.fl, F_PROGRESS) ~= 0 then
        size = size + call('HSTRLEN', B .. ':g', id)
      end
      if size > bytes and #taken > 0 then
        return false
      end
      bytes = math.max(bytes - size, 0)
      lease(r)
      if slow then
        note(lane.queue)
        if name then
          note(lane.queue, name)
          roomy(lane.queue, name)
        end
      end
      taken[#taken + 1] = { id, payload, index }
      room, want = room - 1, want - 1
    end
    if not again and not slow and #ids < 1000 then
      return true
    end
  end
  return true
end

-- When the lane's first job falls due whose group may start one; parks what is before it.
local function head_due(lane)
  for _ = 1, ASIDE do
    local first = call('ZRANGE', lane.key, 0, 0, 'WITHSCORES')
    if #first == 0 then
      return nil
    end
    local due = tonumber(first[2])
    if not limited(lane.queue) then
      return due
    end
    local r = rec(first[1])
    local name = r and group(r)
    if not name then
      return due
    end
    local open, at = gate(lane.queue, name)
    if open then
      return due
    end
    park(r, at)
    flush()
  end
  return now
end

local function next_due(lane)
  if paused(lane.queue) then
    return nil
  end
  if not limited(lane.queue) then
    return head_due(lane)
  end
  local open, at = gate(lane.queue)
  if not open and not at then
    return nil
  end
  local due = head_due(lane)
  local rows = call('ZRANGEBYSCORE', blocked_key(lane.queue), '-inf', '(+inf', 'WITHSCORES')
  for i = 1, #rows, 2 do
    local till = tonumber(rows[i + 1])
    if due and due <= till then
      break
    end
    local first = call('ZRANGE', parked_key(lane.queue, lane.band, rows[i]), 0, 0, 'WITHSCORES')
    if #first > 0 then
      local time = math.max(till, tonumber(first[2]))
      due = due and math.min(due, time) or time
    end
  end
  if due and not open then
    due = math.max(due, at)
  end
  return due
end

local newest_key = B .. ':o:' .. owner
local newest = call('GET', newest_key)
local last, claimed, ids = 0, 1, ''
if newest then
  last, claimed = unpack_('<dB', newest)
  ids = sub(newest, 10)
end
local status = 0
if seq < last then
  status = 2
elseif seq == last and claimed == 1 then
  status = 1
end

local seen = {}
for _, lane in ipairs(lanes) do
  if not seen[lane.queue] then
    seen[lane.queue] = true
    open_gates(lane.queue)
  end
end

local due_now, any = {}, false
if what == '2' then
  for i, lane in ipairs(lanes) do
    due_now[i] = 0
    if status == 0 and not paused(lane.queue) then
      flush()
      due_now[i] = call('ZCOUNT', lane.key, '-inf', now)
      any = any or math.min(due_now[i], lane.max, room) > 0
    end
  end
end

if status == 0 and what == '2' then
  -- Where there is nothing to take, this was the claim: a repeat of it takes nothing either.
  call('SET', newest_key, pack('<dB', seq, any and 0 or 1), 'PX', DAY)
elseif status == 0 then
  for index, lane in ipairs(lanes) do
    if not paused(lane.queue) and not serve(index, lane) then
      break
    end
  end
  local names = {}
  for i, one in ipairs(taken) do
    names[i] = one[1]
  end
  call('SET', newest_key, pack('<dB', seq, 1) .. table.concat(names), 'PX', DAY)
else
  call('PEXPIRE', newest_key, DAY)
  if status == 1 then
    local before = {}
    for at = 1, #ids, 16 do
      before[#before + 1] = sub(ids, at, at + 15)
    end
    fetch(before)
    for _, id in ipairs(before) do
      local r = R[id]
      if r and r.st == RUNNING and r.own == owner and r.seq == seq then
        taken[#taken + 1] = { id, call('HGET', B .. ':p', id) or '', 0 }
      end
    end
  end
end
finish()
out[1], out[2], out[3], out[4], out[5] = now, '', status, SENT, #taken
for _, one in ipairs(taken) do
  out[#out + 1] = one[3]
  show(out, R[one[1]], one[2])
end
for _, n in ipairs(due_now) do
  out[#out + 1] = n
end
local due
for _, lane in ipairs(lanes) do
  local one = next_due(lane)
  if one and (not due or one < due) then
    due = one
  end
end
flush()
if #taken > 0 then
  ahead()
end
if due then
  out[2] = string.format('%.17g', due)
end
return out
