-- The short way of jobs that succeed, with nothing to insert and no new progress: without unique key and group, with no
-- failure or crash so far; nobody waits for them, and nothing was said of their queues (a pause, a limit).
local heads, ids = {}, {}
for at = 4, #ARGV, 4 do
  local head = ARGV[at]
  -- Progress, or another outcome: see `settle.lua` for the head.
  if byte(head, 41) ~= 1 or byte(head, 52) ~= 0 or ARGV[at + 3] ~= '0' then
    return full()
  end
  heads[#heads + 1] = head
  ids[#ids + 1] = sub(head, 1, 16)
end
local out, seen = { 0 }, {}
local ms, gone, over, results, drops, owners, tally = {}, {}, {}, {}, {}, {}, {}
local configured, plain = call('EXISTS', B .. ':q') == 1, {}
local stored, fixed = call('HMGET', B .. ':m', unpack(ids)), call('HMGET', B .. ':s', unpack(ids))
local ended = pack('<d', now)
for i, id in ipairs(ids) do
  local m, s, head = stored[i], fixed[i], heads[i]
  -- Running, with a lease and nothing more; flags may be cancel, abandoned, moved, progress.
  if not m or not s or #m ~= 81 or #s < 30 or byte(m, 1) ~= 2 or seen[id] then
    return full()
  end
  local low, high, sf = byte(m, 4), byte(m, 5), byte(s, 1)
  if low < 64 or low >= 80 or high ~= 0 or sf % 4 ~= 0 then
    return full()
  end
  seen[id] = true
  local lease = sub(head, 17, 40)
  if sub(m, 26, 49) ~= lease then
    out[i + 1] = 'f'
  else
    local _, _, _, keep, _, _, queue = unpack_('<BBBddc8Bc0', s)
    if configured and not plain[queue] then
      if call('HEXISTS', B .. ':q', queue) == 1 then
        return full()
      end
      plain[queue] = true
    end
    local text = ARGV[4 * i + 1]
    if text ~= '' then
      low = low + 16
      results[#results + 1] = id
      results[#results + 1] = text
    end
    local n = #gone
    ms[2 * n + 1], ms[2 * n + 2] = id, '\3\1\0' .. string.char(low) .. sub(m, 5) .. ended
    over[2 * n + 1], over[2 * n + 2] = math.min(now + keep, MAX), id
    gone[n + 1] = id
    local owner = sub(lease, 9)
    owners[owner] = (owners[owner] or 0) - 1
    tally[queue] = (tally[queue] or 0) + 1
    out[i + 1] = 'a\1'
  end
end
if #gone == 0 then
  return out
end
call('HSET', B .. ':m', unpack(ms))
call('HDEL', B .. ':p', unpack(gone))
call('ZREM', B .. ':x', unpack(gone))
call('ZADD', B .. ':z', unpack(over))
if #results > 0 then
  call('HSET', B .. ':r', unpack(results))
end
for queue, n in pairs(tally) do
  queue_count(2, queue, -n)
  queue_count(3, queue, n)
end
for owner, n in pairs(owners) do
  local key = B .. ':c:' .. owner
  if call('HINCRBY', key, 0, n) == 0 then
    call('HDEL', key, 0)
  end
end
return out
