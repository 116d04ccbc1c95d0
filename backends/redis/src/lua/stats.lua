-- Answers the time, then nine values a queue: name, six counts, whether it is paused, when the oldest pending is due.
local out, queues = { now }, {}
local function of(queue)
  queues[queue] = queues[queue] or { 0, 0, 0, 0, 0, 0, 0 }
  return queues[queue]
end
local counts = call('HGETALL', B .. ':n')
for i = 1, #counts, 2 do
  local state, queue = tonumber(sub(counts[i], 1, 1)), sub(counts[i], 2)
  of(queue)[state + 1] = tonumber(counts[i + 1])
end
for _, queue in ipairs(call('HKEYS', B .. ':q')) do
  if cfg(queue).p then
    of(queue)[7] = 1
  end
end
for queue, numbers in pairs(queues) do
  local oldest
  local function look(key)
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if #first > 0 and (not oldest or tonumber(first[2]) < oldest) then
      oldest = tonumber(first[2])
    end
  end
  if numbers[2] > 0 then
    local names = call('ZRANGE', blocked_key(queue), 0, -1)
    for _, lane in ipairs(BANDS) do
      look(lane_key(queue, lane))
      for _, name in ipairs(names) do
        look(parked_key(queue, lane, name))
      end
    end
  end
  out[#out + 1] = queue
  for _, n in ipairs(numbers) do
    out[#out + 1] = n
  end
  out[#out + 1] = oldest and string.format('%.17g', oldest) or ''
end
return out
