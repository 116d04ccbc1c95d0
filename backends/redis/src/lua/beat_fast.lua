-- The short way of leases that go on, without new progress; any job is plain.
local lease = tonumber(ARGV[4])
local till = math.min(now + lease, MAX)
local both, ids, out, ms, leases = pack('<dd', lease, till), {}, {}, {}, {}
for at = 5, #ARGV, 2 do
  if byte(ARGV[at], 41) ~= 0 then
    return full()
  end
  ids[#ids + 1] = sub(ARGV[at], 1, 16)
end
for i, m in ipairs(call('HMGET', B .. ':m', unpack(ids))) do
  if not m or #m < 81 or byte(m, 1) ~= 2 or sub(m, 26, 49) ~= sub(ARGV[3 + 2 * i], 17, 40) then
    out[i] = 2
  else
    ms[#ms + 1] = ids[i]
    ms[#ms + 1] = sub(m, 1, 57) .. both .. sub(m, 74)
    leases[#leases + 1] = till
    leases[#leases + 1] = ids[i]
    out[i] = byte(m, 4) % 2
  end
end
if #ms > 0 then
  call('HSET', B .. ':m', unpack(ms))
  call('ZADD', B .. ':x', unpack(leases))
  local ahead = tonumber(call('GET', B .. ':a'))
  if not ahead or ahead < now then
    call('SET', B .. ':a', string.format('%.17g', now))
  end
end
return out
