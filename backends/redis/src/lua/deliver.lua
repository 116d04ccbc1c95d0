-- What other tags sent here: ARGV[4..]. 't' a job ended that one here waits for; 'w' one there waits for a job here.
for i = 4, #ARGV do
  local message = ARGV[i]
  local first, second = sub(message, 2, 17), sub(message, 18, 33)
  if sub(message, 1, 1) == 't' then
    tell(rec(first), second, sub(message, 34, 34) == '1')
    tell_waiters()
  else
    local how = awaited(first)
    if how == 1 then
      touch(R[first])
      R[first].fl = bor(R[first].fl, F_AWAITED)
      call('SADD', waiters_key(first), second)
    else
      send('t' .. second .. first .. (how == 3 and '0' or '1'))
    end
  end
end
finish()
return { SENT }
