-- Jobs come in. Checked in this order: the id, what it waits for, the unique key. Codes of the answer: 1 inserted,
-- 2 duplicate, 3 another job has the id, 4 a job holds the key, 5 inserted in the place of a job, 6 an unknown wait.
local function payload_of(id)
  return PAYLOADS[id] or call('HGET', B .. ':p', id) or ''
end

-- How an awaited job is: 1 open, 2 succeeded, 3 failed, 4 unknown. Of one in another tag the caller knows.
local function awaited(id, told)
  if told and told > 0 then
    return told
  end
  local r = rec(id)
  if not r then
    return 4
  elseif r.st == SUCCEEDED then
    return 2
  elseif r.st > SUCCEEDED then
    return 3
  end
  return 1
end

local function wait_for(r, ids)
  call('HSET', B .. ':w', r.id, table.concat(ids))
  r.fl = bor(r.fl, F_WAITS)
  for _, id in ipairs(ids) do
    if foreign(id) then
      send('w' .. id .. r.id)
    else
      local other = R[id]
      if other then
        touch(other)
        other.fl = bor(other.fl, F_AWAITED)
      end
      call('SADD', waiters_key(id), r.id)
    end
  end
end

-- The digest of a job that was deleted a short time ago: a repeated enqueue must not insert it again.
local ANY_DELETED
local function deleted(id)
  if ANY_DELETED == nil then
    ANY_DELETED = call('EXISTS', B .. ':v') == 1
  end
  local known = ANY_DELETED and call('HGET', B .. ':v', id)
  if known then
    local digest, till = unpack_('<c8d', known)
    if till > now then
      return digest
    end
  end
  return nil
end

-- `start` is a code (0 now, 1 after, 2 at), a time, and what is known of the awaited jobs in other tags.
local function insert(id, s, payload, start)
  local known = rec(id)
  known = known and known.digest or deleted(id)
  if known then
    return known == sub(s, 20, 27) and '2' or '3'
  elseif BROKEN[id] then
    return '3'
  end
  local code, time = unpack_('<Bd', start)
  local r = head({
    id = id, s = s, st = PENDING, se = 0, re = 0, fl = 0, run = time, enq = now, att = 0, tok = 0, seq = 0,
    lease = 0, till = 0, fail = 0, cra = 0, stri = 0, sno = 0, ret = 0, delay = 0,
  })
  if code < 2 then
    r.run = later(now, time)
  end
  local waits = {}
  if band(r.sf, S_WAITS) ~= 0 then
    more(r)
    waits = r.waits
    fetch(waits)
    for i, other in ipairs(waits) do
      if awaited(other, string.byte(start, 9 + i)) == 4 then
        return '6' .. other
      end
    end
  end
  local out = '1'
  if band(r.sf, S_UNIQUE) ~= 0 then
    more(r)
    local other = holder(r.queue, r.key)
    if other then
      local held = rec(other)
      if not held or held.st ~= PENDING or r.conflict == 0 then
        return '4' .. other
      end
      if r.conflict == 2 then
        payload = payload_of(other)
      end
      end_as(held, CANCELLED, R_SUPERSEDED, id)
      tell_waiters()
      out = '5' .. other
    end
    take(r)
  end
  local rest, seen, failed = {}, {}, nil
  for i, other in ipairs(waits) do
    local how = awaited(other, string.byte(start, 9 + i))
    local over = how == 2 or how == 3 and band(r.sf, S_RUN) ~= 0
    if not over and not seen[other] then
      seen[other] = true
      rest[#rest + 1] = other
      if how == 3 then
        failed = failed or other
      end
    end
  end
  PAYLOADS[id] = payload
  create(r)
  if #rest > 0 then
    r.st = WAITING
    wait_for(r, rest)
  else
    QUEUES[r.queue] = true
  end
  if failed then
    end_as(r, CANCELLED, R_WAIT, failed)
    tell_waiters()
  end
  return out
end

-- The job in four arguments from `at`; one whose code is over 15 belongs to another tag and is sent there.
local function insert_args(at)
  local id, s, payload, start = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local code, time = unpack_('<Bd', start)
  if code < 16 then
    return insert(id, s, payload, start)
  end
  if code < 18 then
    time = later(now, time)
  end
  send('i' .. pack('<d', time) .. id .. pack('<I4', #s) .. s .. payload)
  return '1'
end
