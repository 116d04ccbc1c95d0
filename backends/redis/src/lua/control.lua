-- ARGV[4] what: cancel, move, revive or delete; ARGV[5] the start; ARGV[6..9] the filter that led here: queue, kind,
-- state, group, each empty for any; ARGV[10..] ids. Answers how many messages wait for other tags, then for each
-- 'd' done, 'n' not there, 's' and its state, 'u' and who holds its key, 'x' it is not meant any more.
local what, code, time = ARGV[4], unpack_('<Bd', ARGV[5])
if code < 2 then
  time = later(now, time)
end
local out, ids = { 0 }, {}
for at = 10, #ARGV do
  ids[#ids + 1] = ARGV[at]
end
fetch(ids)

local function refuse(r)
  return 's' .. string.char(r.st)
end

local acts = {}

function acts.cancel(r)
  if r.st == RUNNING then
    touch(r)
    r.fl = bor(r.fl, F_CANCEL)
    CANCELS[#CANCELS + 1] = 'c' .. r.own .. r.id
  elseif r.st <= PENDING then
    end_as(r, CANCELLED, R_ASKED)
    tell_waiters()
  else
    return refuse(r)
  end
  return 'd'
end

function acts.move(r)
  if r.st ~= PENDING then
    return refuse(r)
  end
  touch(r)
  r.run = time
  after(r, PENDING)
  return 'd'
end

function acts.revive(r)
  if r.st ~= DEAD and r.st ~= CANCELLED then
    return refuse(r)
  end
  if band(r.sf, S_UNIQUE) ~= 0 then
    more(r)
    local other = holder(r.queue, r.key)
    if other and other ~= r.id then
      return 'u' .. other
    end
    take(r)
  end
  local from = r.st
  touch(r)
  if band(r.fl, F_WAITS) ~= 0 then
    call('HDEL', B .. ':w', r.id)
  end
  r.fl = band(r.fl, F_PROGRESS + F_RESULT + F_ERRORS)
  r.st, r.run, r.enq, r.re, r.rid, r.ended = PENDING, time, now, 0, nil, nil
  r.att, r.fail, r.cra, r.stri, r.sno, r.ret, r.delay = 0, 0, 0, 0, 0, 0, 0
  after(r, from)
  return 'd'
end

function acts.delete(r)
  if r.st < SUCCEEDED then
    return refuse(r)
  end
  forget_deleted(8)
  -- Its id stays known for a minute after its end.
  local till = later(r.ended, 60000)
  if till > now then
    call('HSET', B .. ':v', r.id, pack('<c8d', r.digest, till))
    call('ZADD', B .. ':vz', till, r.id)
  end
  touch(r)
  r.gone = true
  R[r.id] = false
  return 'd'
end

for i, id in ipairs(ids) do
  local r = R[id]
  if not r then
    out[i + 1] = 'n'
  elseif not matches(r, 6) then
    out[i + 1] = 'x'
  else
    out[i + 1] = acts[what](r)
    if what == 'delete' then
      flush()
    end
  end
end
finish()
out[1] = SENT
return out
