-- What may happen to a record: the table `step` of the core, said again, and what follows from it.
-- Codes of settled: 1 succeed, 2 retry, 3 die, 4 stop, 5 snooze, 6 release, 7 abandon, 8 lapse, 9 crash, 10 bury.
local SUCCEED, RETRY, DIE, STOP, SNOOZE, RELEASE, ABANDON, LAPSE, CRASH, BURY = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
-- Codes of reasons: 4 crash, 5 expired, 6 corrupt, 7 asked, 8 superseded, 9 wait.
local R_CRASH, R_EXPIRED, R_CORRUPT, R_ASKED, R_SUPERSEDED, R_WAIT = 4, 5, 6, 7, 8, 9

-- The hold set: which job has which unique key of a queue.
local function holder(queue, key)
  local held = call('HGET', B .. ':u:' .. queue, key)
  if not held then
    return nil
  end
  local id, till = unpack_('<c16d', held)
  if till >= 0 and till <= now then
    return nil
  end
  return id
end

-- Forgets holds that ended by time, a minute later (`forgettable` of the core): a few at a time, so that no call
-- pays for many.
local function free_over(most)
  for _, member in ipairs(call('ZRANGEBYSCORE', B .. ':ut', '-inf', now - 60000, 'LIMIT', 0, most)) do
    local queue, key = string.match(member, '^(%Z+)%z(%Z+)$')
    call('ZREM', B .. ':ut', member)
    call('HDEL', B .. ':u:' .. queue, key)
  end
end

-- As above, ids of deleted jobs.
local function forget_deleted(most)
  for _, id in ipairs(call('ZRANGEBYSCORE', B .. ':vz', '-inf', now - 60000, 'LIMIT', 0, most)) do
    call('ZREM', B .. ':vz', id)
    call('HDEL', B .. ':v', id)
  end
end

local function take(r)
  free_over(8)
  local till, member = -1, r.queue .. '\0' .. r.key
  if r.hold == 2 then
    till = later(now, r.holdms)
    call('ZADD', B .. ':ut', till, member)
  else
    call('ZREM', B .. ':ut', member)
  end
  call('HSET', B .. ':u:' .. r.queue, r.key, pack('<c16d', r.id, till))
end

-- Frees what `r` held until it was claimed, or ended.
local function free(r, claimed)
  if band(r.sf, S_UNIQUE) == 0 then
    return
  end
  more(r)
  local over = r.st >= SUCCEEDED and r.hold < 2 or claimed and r.hold == 0
  if not over then
    return
  end
  local key = B .. ':u:' .. r.queue
  local held = call('HGET', key, r.key)
  if held and sub(held, 1, 16) == r.id then
    call('HDEL', key, r.key)
    call('ZREM', B .. ':ut', r.queue .. '\0' .. r.key)
  end
end

local function waiters_key(id)
  return B .. ':y:' .. id
end

-- Jobs that ended and whose waiters have not been told.
local ENDS = {}

-- After a row of the table was applied to `r`, which was in `from`.
local function after(r, from)
  if r.st == PENDING then
    QUEUES[r.queue] = true
  end
  if r.st ~= PENDING then
    r.fl = band(r.fl, bnot(F_PARKED))
  end
  if r.st >= SUCCEEDED then
    r.ended = now
    free(r, false)
    ENDS[#ENDS + 1] = r
    if from == WAITING then
      local left_ids = call('HGET', B .. ':w', r.id) or ''
      for at = 1, #left_ids, 16 do
        local awaited = sub(left_ids, at, at + 15)
        if not foreign(awaited) then
          call('SREM', waiters_key(awaited), r.id)
        end
      end
    end
  end
  left(r, from)
end

local function end_as(r, state, reason, rid)
  local from = r.st
  touch(r)
  r.st, r.re, r.rid = state, reason, rid
  after(r, from)
end

local function ready(r)
  touch(r)
  call('HDEL', B .. ':w', r.id)
  r.fl = band(r.fl, bnot(F_WAITS))
  r.st = PENDING
  after(r, WAITING)
end

-- `ended` ended, well or not: tells `r`, which waited for it.
local function tell(r, ended, well)
  if not r or r.st ~= WAITING then
    return
  end
  if not well and band(r.sf, S_RUN) == 0 then
    end_as(r, CANCELLED, R_WAIT, ended)
    return
  end
  local before = call('HGET', B .. ':w', r.id) or ''
  local rest = {}
  for at = 1, #before, 16 do
    local awaited = sub(before, at, at + 15)
    if awaited ~= ended then
      rest[#rest + 1] = awaited
    end
  end
  if #rest == 0 then
    ready(r)
  else
    call('HSET', B .. ':w', r.id, table.concat(rest))
  end
end

-- Tells those who wait for what has ended, until nothing more ends. By a list: chains may be long.
local function tell_waiters()
  while #ENDS > 0 do
    local r = table.remove(ENDS)
    if band(r.fl, F_AWAITED) ~= 0 then
      local key = waiters_key(r.id)
      local waiters = call('SMEMBERS', key)
      r.fl = band(r.fl, bnot(F_AWAITED))
      call('DEL', key)
      table.sort(waiters)
      local well = r.st == SUCCEEDED
      local ours = {}
      for _, id in ipairs(waiters) do
        if foreign(id) then
          send('t' .. id .. r.id .. (well and '1' or '0'))
        else
          ours[#ours + 1] = id
        end
      end
      fetch(ours)
      for _, id in ipairs(ours) do
        tell(R[id], r.id, well)
      end
    end
  end
end

-- Whether the lease of `r` has run out; one that ends later than a lease lasts was written by a clock ahead.
local function lapsed(r)
  return r.till <= now or r.till > later(now, r.lease)
end

local function keep_progress(r, progress)
  local old = band(r.fl, F_PROGRESS) ~= 0 and call('HGET', B .. ':g', r.id) or ''
  if progress == old then
    return
  end
  r.fl = bor(r.fl, F_MOVED)
  if progress == '' then
    call('HDEL', B .. ':g', r.id)
    r.fl = band(r.fl, bnot(F_PROGRESS))
  else
    call('HSET', B .. ':g', r.id, progress)
    r.fl = bor(r.fl, F_PROGRESS)
  end
end

-- A failure among the last eight: attempt, time, length, text.
local function record(r, text)
  local all = band(r.fl, F_ERRORS) ~= 0 and call('HGET', B .. ':e', r.id) or ''
  local starts, at = {}, 1
  while at <= #all do
    starts[#starts + 1] = at
    local _, _, length = unpack_('<I4dH', all, at)
    at = at + 14 + length
  end
  if #starts >= 8 then
    all = sub(all, starts[#starts - 6])
  end
  r.fl = bor(r.fl, F_ERRORS)
  call('HSET', B .. ':e', r.id, all .. pack('<I4dH', r.att, now, #text) .. text)
end

local function refund(r, delay)
  r.att = math.max(r.att - 1, 0)
  r.run = later(now, delay)
end

-- Why a settle or beat for a lease is refused: 'f' fenced, 's' settled; nothing if the lease is current.
local function refused(r, token, owner)
  if r.tok ~= token or r.own ~= owner then
    return 'f'
  end
  if r.st ~= RUNNING and r.se > 0 then
    return 's'
  end
  return nil
end

-- Which row an outcome is. Outcomes have the codes of settled; 9 asks for a crash, 8 for a lapse.
local function row(r, outcome, flag)
  local cancel, abandoned = band(r.fl, F_CANCEL) ~= 0, band(r.fl, F_ABANDONED) ~= 0
  if outcome == SUCCEED or outcome == DIE or outcome == STOP or outcome == ABANDON then
    return outcome
  end
  local crash = outcome == CRASH or outcome == LAPSE
  if crash and abandoned then
    return cancel and STOP or LAPSE
  end
  if outcome == CRASH and flag == 1 then
    local strikes = band(r.fl, F_MOVED) ~= 0 and 0 or r.stri
    if strikes + 1 >= r.smax then
      return BURY
    end
  end
  if cancel then
    return STOP
  end
  return crash and CRASH or outcome
end

local TO = {
  [SUCCEED] = SUCCEEDED, [RETRY] = PENDING, [DIE] = DEAD, [STOP] = CANCELLED, [SNOOZE] = PENDING,
  [RELEASE] = PENDING, [ABANDON] = RUNNING, [LAPSE] = PENDING, [CRASH] = PENDING, [BURY] = DEAD,
}

-- Jobs that succeeded: their payloads go.
local DROPS = {}

-- Ends a lease. The answer is 'a' and the row, 's' and the row of before, 'f', 'r' or 'n'.
local function settle(id, token, owner, outcome, delay, flag, reason, rid, text, progress)
  local r = rec(id)
  if not r then
    return 'n'
  end
  local why = refused(r, token, owner)
  if why == 's' then
    return 's' .. string.char(r.se)
  elseif why then
    return why
  end
  local abandoned = band(r.fl, F_ABANDONED) ~= 0
  if outcome == LAPSE and not abandoned or r.st ~= RUNNING then
    return 'r'
  end
  local kind = row(r, outcome, flag)
  if (outcome == CRASH or outcome == LAPSE) and not lapsed(r) then
    return 'r'
  end
  touch(r)
  if progress then
    keep_progress(r, progress)
  end
  if kind ~= ABANDON then
    r.se = kind
  end
  if outcome == SUCCEED then
    if text ~= '' then
      call('HSET', B .. ':r', id, text)
      r.fl = bor(r.fl, F_RESULT)
    end
    DROPS[#DROPS + 1] = id
    r.ret = 0
  elseif outcome == RETRY then
    r.fail, r.delay, r.ret = r.fail + 1, delay, 0
    record(r, text)
    r.run = later(now, delay)
  elseif outcome == DIE then
    r.fail, r.re, r.rid = r.fail + 1, reason, rid
    record(r, text)
  elseif outcome == STOP then
    r.re = R_ASKED
  elseif outcome == SNOOZE then
    r.sno, r.ret = r.sno + 1, 0
    refund(r, delay)
  elseif outcome == RELEASE then
    if flag == 1 then
      r.ret = r.ret + 1
    end
    refund(r, delay)
  elseif outcome == ABANDON then
    r.fl = bor(r.fl, F_ABANDONED)
  elseif abandoned then
    r.fl = band(r.fl, bnot(F_ABANDONED))
    refund(r, 0)
  elseif outcome == CRASH then
    if band(r.fl, F_MOVED) ~= 0 then
      r.cra, r.stri = 0, 0
      r.fl = band(r.fl, bnot(F_MOVED))
    end
    r.cra, r.stri = r.cra + 1, r.stri + flag
    r.run = later(now, delay)
    if kind == BURY then
      r.re = R_CRASH
    end
  end
  if kind == STOP then
    r.re = R_ASKED
  end
  r.st = TO[kind]
  after(r, RUNNING)
  return 'a' .. string.char(kind)
end

-- Everything that follows from what was done.
local function finish()
  tell_waiters()
  unpark()
  if #DROPS > 0 then
    many('HDEL', B .. ':p', DROPS)
  end
  flush()
  announce()
end
