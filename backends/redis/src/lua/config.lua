-- What is said of a queue. ARGV[4] the queue, ARGV[5] what: pause, resume, or the scope of a limit (queue, each,
-- group); then the group, the most running, the most claims and their window, each empty for none.
local queue, what, name = ARGV[4], ARGV[5], ARGV[6]
local of = cfg(queue) or {}
if what == 'pause' then
  of.p = 1
elseif what == 'resume' then
  of.p = nil
else
  local limit = { r = tonumber(ARGV[7]), n = tonumber(ARGV[8]), w = tonumber(ARGV[9]) }
  if not limit.r and not limit.n then
    limit = nil
  end
  if what == 'queue' then
    of.q = limit
  elseif what == 'each' then
    of.e = limit
  else
    of.g = of.g or {}
    of.g[name] = limit
    if not next(of.g) then
      of.g = nil
    end
  end
end
CFG[queue] = next(of) and of or false
if next(of) then
  call('HSET', B .. ':q', queue, cmsgpack.pack(of))
else
  call('HDEL', B .. ':q', queue)
end
if what == 'queue' and not bound(queue).n then
  forget_log(log_key(queue))
elseif what == 'each' or what == 'group' then
  local prefix = log_key(queue) .. '\0'
  for _, key in ipairs(call('ZRANGE', B .. ':tz', 0, -1)) do
    if sub(key, 1, #prefix) == prefix and not bound(queue, sub(key, #prefix + 1)).n then
      forget_log(key)
    end
  end
  for _, one in ipairs(call('ZRANGE', blocked_key(queue), 0, -1)) do
    roomy(queue, one)
  end
end
QUEUES[queue] = true
finish()
return { now }
