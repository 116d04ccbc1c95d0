-- Ends jobs that are too late to start, then forgets those whose retention is over: ARGV[4] at most. Answers how
-- many there were, and how many messages wait for other tags.
local limit = tonumber(ARGV[4])
local rest = limit
free_over(1000)
forget_deleted(1000)
while rest > 0 do
  local ids = call('ZRANGEBYSCORE', B .. ':d', '-inf', now, 'LIMIT', 0, math.min(rest, 100))
  if #ids == 0 then
    break
  end
  fetch(ids)
  for _, id in ipairs(ids) do
    local r = R[id]
    if not r then
      call('ZREM', B .. ':d', id)
    elseif r.st <= PENDING then
      end_as(r, DEAD, R_EXPIRED)
      tell_waiters()
      rest = rest - 1
    end
  end
  unpark()
  flush()
end
local over = {}
if rest > 0 then
  over = call('ZRANGEBYSCORE', B .. ':z', '-inf', now, 'LIMIT', 0, math.min(rest, 1000))
end
fetch(over)
for _, id in ipairs(over) do
  local r = R[id]
  if r then
    touch(r)
    r.gone = true
    R[id] = false
  else
    for _, part in ipairs({ ':m', ':s', ':p', ':g', ':r', ':e', ':w' }) do
      call('HDEL', B .. part, id)
    end
    call('ZREM', B .. ':z', id)
    call('ZREM', B .. ':i', id)
  end
  rest = rest - 1
end
for _, key in ipairs(call('ZRANGEBYSCORE', B .. ':tz', '-inf', now, 'LIMIT', 0, 1000)) do
  forget_log(key)
end
finish()
return { limit - rest, call('ZCARD', B .. ':b') }
