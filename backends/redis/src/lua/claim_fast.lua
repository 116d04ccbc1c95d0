-- The short way of jobs that go out: without unique key, group and expiry, with no failure, crash or progress so far;
-- nothing was said of their queues (a pause, a limit), and it is no repeat and no look.
local what, owner, seq = ARGV[4], ARGV[5], tonumber(ARGV[6])
local length, room, bytes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local newest_key = B .. ':o:' .. owner
local newest = call('GET', newest_key)
local last, claimed = 0, 1
if newest then
  last, claimed = unpack_('<dB', newest)
end
if what == '2' or seq < last or seq == last and claimed == 1 then
  return full()
end
local configured = call('EXISTS', B .. ':q') == 1
local keys, taken = {}, {}
local out, ids_taken, ms_new, leases = { now, '', 0, 0, 0 }, {}, {}, {}
local till = math.min(now + length, MAX)
local ended = false
for at = 10, #ARGV, 3 do
  local queue, max = ARGV[at], tonumber(ARGV[at + 2])
  if configured and call('HEXISTS', B .. ':q', queue) == 1 then
    return full()
  end
  local key = B .. ':l:' .. ARGV[at + 1] .. ':' .. queue
  if not taken[key] then
    taken[key] = { n = 0, queue = queue }
    keys[#keys + 1] = key
  end
  local of, want = taken[key], math.min(max, room, 1001)
  if want > 0 and not ended then
    local ids = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', of.n, want)
    if #ids > 1000 then
      return full()
    end
    if #ids > 0 then
      local ms, ss = call('HMGET', B .. ':m', unpack(ids)), call('HMGET', B .. ':s', unpack(ids))
      local ps = call('HMGET', B .. ':p', unpack(ids))
      local lane = (at - 7) / 3
      for i = 1, #ids do
        local m, s, payload = ms[i], ss[i], ps[i] or ''
        if not m or not s or #m < 25 or #s < 30 then
          return full()
        end
        local st, se, _, fl, run, enq, att = unpack_('<BBBHddI4', m)
        -- Specification: unique 1, group 2, expiry 16. Record: progress 8, leased 64, awaited 1024.
        local sf = byte(s, 1)
        if st ~= 1 or sf % 4 ~= 0 or sf >= 16 or fl ~= 0 and fl ~= 64 and fl ~= 1024 and fl ~= 1088 or se == 9 then
          return full()
        end
        if #payload > bytes and #ids_taken > 0 then
          ended = true
          break
        end
        bytes = math.max(bytes - #payload, 0)
        local token = 0
        if fl % 128 == 64 then
          token = unpack_('<d', m, 26)
        else
          fl = fl + 64
        end
        m = pack('<BBBHddI4dc16dddd', 2, 0, 0, fl, run, enq, att + 1, token + 1, owner, seq, length, till, now)
        local id, n = ids[i], #ids_taken
        ids_taken[n + 1] = id
        ms_new[2 * n + 1], ms_new[2 * n + 2] = id, m
        leases[2 * n + 1], leases[2 * n + 2] = till, id
        n = #out
        out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5], out[n + 6] = lane, id, m, s, payload, ''
        of.n = of.n + 1
        room = room - 1
      end
    end
  end
end
local count = #ids_taken
if count > 1000 then
  return full()
end
call('SET', newest_key, pack('<dB', seq, 1) .. table.concat(ids_taken), 'PX', 86400000)
if count > 0 then
  call('HSET', B .. ':m', unpack(ms_new))
  call('ZADD', B .. ':x', unpack(leases))
  local tally = {}
  for _, key in ipairs(keys) do
    local of = taken[key]
    if of.n > 0 then
      call('ZREMRANGEBYRANK', key, 0, of.n - 1)
      tally[of.queue] = (tally[of.queue] or 0) + of.n
    end
  end
  for queue, n in pairs(tally) do
    queue_count(1, queue, -n)
    queue_count(2, queue, n)
  end
  call('HINCRBY', B .. ':c:' .. owner, 0, count)
  local ahead = tonumber(call('GET', B .. ':a'))
  if not ahead or ahead < now then
    call('SET', B .. ':a', string.format('%.17g', now))
  end
end
local due
for _, key in ipairs(keys) do
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if first and (not due or tonumber(first) < due) then
    due = tonumber(first)
  end
end
if due then
  out[2] = string.format('%.17g', due)
end
out[5] = count
return out
