-- The short way of jobs that come in: without unique key, expiry and waits (a group is plain), none of them known,
-- none there twice, and no id of a deleted job to be compared with.
local ids, lanes, counts = {}, {}, {}
local ms, ss, ps, is = {}, {}, {}, {}
for at = 4, #ARGV, 4 do
  ids[#ids + 1] = ARGV[at]
end
if call('EXISTS', B .. ':v') == 1 then
  return full()
end
for i, m in ipairs(call('HMGET', B .. ':m', unpack(ids))) do
  local at = 4 * i
  local id, s, payload = ids[i], ARGV[at + 1], ARGV[at + 2]
  local flags, band, _, _, _, _, queue = unpack_('<BBBddc8Bc0', s)
  local code, run = unpack_('<Bd', ARGV[at + 3])
  if m or lanes[id] or flags ~= 0 and flags ~= 2 or code > 2 then
    return full()
  end
  lanes[id] = true
  if code < 2 then
    run = math.min(now + run, MAX)
  end
  local n = 2 * i - 1
  ms[n], ms[n + 1] = id, pack('<BBBHddI4', 1, 0, 0, 0, run, now, 0)
  ss[n], ss[n + 1] = id, s
  is[n], is[n + 1] = 0, id
  if payload ~= '' then
    ps[#ps + 1] = id
    ps[#ps + 1] = payload
  end
  local key = B .. ':l:' .. band .. ':' .. queue
  local list = counts[key]
  if not list then
    list = { queue = queue }
    counts[key] = list
  end
  list[#list + 1] = run
  list[#list + 1] = id
end
call('HSET', B .. ':m', unpack(ms))
call('HSET', B .. ':s', unpack(ss))
if #ps > 0 then
  call('HSET', B .. ':p', unpack(ps))
end
call('ZADD', B .. ':i', unpack(is))
local tally, hints = {}, {}
for key, list in pairs(counts) do
  call('ZADD', key, unpack(list))
  tally[list.queue] = (tally[list.queue] or 0) + #list / 2
end
for queue, n in pairs(tally) do
  queue_count(1, queue, n)
  hints[#hints + 1] = 'q' .. string.char(#queue) .. queue
end
call('PUBLISH', ARGV[3], table.concat(hints))
local out = { 0 }
for i = 1, #ids do
  out[i + 1] = '1'
end
return out
