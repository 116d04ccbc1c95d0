-- Limits: how many of a queue or a group may run, and how many claims fit in any window. A claim at t counts
-- until t + window. A job met in its lane whose group may start none is parked, apart from the lane; as many of
-- a group's parked jobs as may start return whenever one of the group ends or its window has room.
local CFG = {}

-- What was said of a queue: p paused, q, e and g the limits of the queue, each group, one group: {r, n, w}.
local function cfg(queue)
  local known = CFG[queue]
  if known == nil then
    local packed = call('HGET', B .. ':q', queue)
    known = packed and cmsgpack.unpack(packed) or false
    CFG[queue] = known
  end
  return known
end

local function limited(queue)
  local of = cfg(queue)
  return of and (of.q or of.e or of.g) and true or false
end

-- The limit of the queue, or of one of its groups.
local function bound(queue, name)
  local of = cfg(queue)
  if not of then
    return {}
  end
  if not name then
    return of.q or {}
  end
  return of.g and of.g[name] or of.e or {}
end

local function limits_running(queue, name)
  return bound(queue).r or name and bound(queue, name).r
end

local function log_key(queue, name)
  return B .. ':t:' .. queue .. (name and '\0' .. name or '')
end

-- Forgets claims that left the window; those of a clock that was ahead count as of now.
local function trim(key, window)
  while true do
    local first = call('LINDEX', key, 0)
    if not first then
      break
    end
    local at, n = unpack_('<dd', first)
    if later(at, window) > now then
      break
    end
    call('LPOP', key)
    call('HINCRBY', B .. ':tn', key, -n)
  end
  local ahead = 0
  while true do
    local last = call('LINDEX', key, -1)
    if not last then
      break
    end
    local at, n = unpack_('<dd', last)
    if at <= later(now, window / 32768) then
      break
    end
    call('RPOP', key)
    ahead = ahead + n
  end
  if ahead > 0 then
    call('RPUSH', key, pack('<dd', now, ahead))
  end
end

local function forget_log(key)
  call('DEL', key)
  call('HDEL', B .. ':tn', key)
  call('ZREM', B .. ':tz', key)
end

local function note(queue, name)
  local of = bound(queue, name)
  if not of.n then
    return
  end
  local key = log_key(queue, name)
  trim(key, of.w)
  local at, grain = now, math.floor(of.w / 32768)
  if of.n > 65536 and grain > 1 and now % grain > 0 then
    at = now + grain - now % grain
  end
  local last = call('LINDEX', key, -1)
  local run, n = at, 0
  if last then
    run, n = unpack_('<dd', last)
  end
  if last and run == at then
    call('LSET', key, -1, pack('<dd', at, n + 1))
  else
    call('RPUSH', key, pack('<dd', at, 1))
  end
  call('HINCRBY', B .. ':tn', key, 1)
  call('ZADD', B .. ':tz', later(at, of.w), key)
end

-- When the `over` oldest claims in the window have left it.
local function room_at(key, window, over)
  local from = 0
  while true do
    local runs = call('LRANGE', key, from, from + 99)
    for _, run in ipairs(runs) do
      local at, n = unpack_('<dd', run)
      over = over - n
      if over <= 0 then
        return later(math.min(at, now + window), window)
      end
    end
    if #runs < 100 then
      return now
    end
    from = from + 100
  end
end

-- How many more may start (`true` for any number), or nothing and when, or nothing at all.
local function gate(queue, name)
  local of = bound(queue, name)
  local room = true
  if of.r then
    flush()
    local running
    if name then
      running = call('HGET', B .. ':h', queue .. '\0' .. name)
    else
      running = call('HGET', B .. ':n', RUNNING .. queue)
    end
    room = of.r - (tonumber(running) or 0)
    if room <= 0 then
      return nil, nil
    end
  end
  if of.n then
    if of.n == 0 then
      return nil, nil
    end
    local key = log_key(queue, name)
    trim(key, of.w)
    local taken = tonumber(call('HGET', B .. ':tn', key)) or 0
    if taken >= of.n then
      return nil, room_at(key, of.w, taken + 1 - of.n)
    end
    if room == true or room > of.n - taken then
      room = of.n - taken
    end
  end
  return room
end

local function blocked_key(queue)
  return B .. ':k:' .. queue
end

local function block(queue, name, at)
  call('ZADD', blocked_key(queue), at or '+inf', name)
end

-- Takes a job out of its lane until its group may start one.
local function park(r, at)
  touch(r)
  r.fl = bor(r.fl, F_PARKED)
  block(r.queue, group(r), at)
end

local BANDS = { 0, 1, 2, 3, 4, 5, 6, 7, SUSPECT }

-- Groups that may have room: looked at by `unpark`.
local ROOMY = {}

local function roomy(queue, name)
  ROOMY[queue .. '\0' .. name] = { queue, name }
end

-- Brings as many jobs of the groups that have room back into their lanes.
local function unpark()
  while true do
    local key, of = next(ROOMY)
    if not key then
      return
    end
    ROOMY[key] = nil
    local queue, name = of[1], of[2]
    if call('ZSCORE', blocked_key(queue), name) then
      flush()
      local room, at = gate(queue, name)
      local left = false
      for _, lane in ipairs(BANDS) do
        local parked = parked_key(queue, lane, name)
        if room then
          local last = room == true and -1 or room - 1
          local ids = call('ZRANGE', parked, 0, last)
          fetch(ids)
          for _, id in ipairs(ids) do
            local r = R[id]
            if r then
              touch(r)
              r.fl = band(r.fl, bnot(F_PARKED))
            else
              call('ZREM', parked, id)
            end
          end
          flush()
          QUEUES[queue] = true
        end
        left = left or call('EXISTS', parked) == 1
      end
      if left then
        block(queue, name, at)
      else
        call('ZREM', blocked_key(queue), name)
      end
    end
  end
end

-- Brings parked jobs back whose window has room since, and those that a clock parked which was ahead.
local function open_gates(queue)
  if not limited(queue) then
    return
  end
  local of, longest = cfg(queue), 0
  if of.e and of.e.w then longest = of.e.w end
  for _, own in pairs(of.g or {}) do
    longest = math.max(longest, own.w or 0)
  end
  local key = blocked_key(queue)
  for _, name in ipairs(call('ZRANGEBYSCORE', key, '-inf', now)) do roomy(queue, name) end
  for _, name in ipairs(call('ZRANGEBYSCORE', key, '(' .. string.format('%.17g', now + longest), '(+inf')) do
    roomy(queue, name)
  end
  unpark()
end

-- A job left `from`: another may start in its place.
local function left(r, from)
  local slot = from == RUNNING and r.st ~= RUNNING
  local name = group(r)
  if slot and limits_running(r.queue, name) then
    QUEUES[r.queue] = true
  end
  if name and (slot or from == PENDING) and limited(r.queue) then
    roomy(r.queue, name)
  end
end
