-- ARGV[4] where to go on: nothing at first, then what the script said last, nothing at the end. Answers how many
-- records were looked at, where to go on, and flaws. First come the records by id; in a tag of few records their
-- lists and counts are then built again and compared, in a larger one the sums are.
local from, FEW = ARGV[4], 5000
local flaws = {}

local function hex(id)
  return (string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

local function flaw(r, text)
  flaws[#flaws + 1] = 'job ' .. hex(r.id) .. ' (state ' .. r.st .. ') ' .. text
end

local function check(r)
  local key, score = place(r)
  if key and tonumber(call('ZSCORE', key, r.id) or 'x') ~= score then
    flaw(r, 'is not listed in ' .. key .. ' at ' .. score)
  end
  local late = too_late(r)
  if tonumber(call('ZSCORE', B .. ':d', r.id) or 'x') ~= late then
    flaw(r, 'is listed with another expiry, or should not be')
  end
  local badly = r.st == DEAD or r.st == CANCELLED
  if badly ~= (r.re > 0) then flaw(r, 'has a reason or has failed, not both') end
  if r.st == RUNNING and (r.tok == 0 or r.se ~= 0) then flaw(r, 'runs under no lease') end
  if r.st == SUCCEEDED and call('HEXISTS', B .. ':p', r.id) == 1 then flaw(r, 'kept its payload') end
  if band(r.fl, F_PARKED) ~= 0 and r.st ~= PENDING then flaw(r, 'is parked and not pending') end
  if r.st == PENDING and band(r.fl, F_PARKED) ~= 0 and not call('ZSCORE', blocked_key(r.queue), group(r)) then
    flaw(r, 'is parked, and its group is not blocked')
  end
  for _, of in ipairs({ { F_PROGRESS, ':g' }, { F_RESULT, ':r' }, { F_ERRORS, ':e' }, { F_WAITS, ':w' } }) do
    if (band(r.fl, of[1]) ~= 0) ~= (call('HEXISTS', B .. of[2], r.id) == 1) then
      flaw(r, 'says that it has ' .. of[2] .. ', or has, not both')
    end
  end
  if r.st == WAITING then
    local left_ids = call('HGET', B .. ':w', r.id) or ''
    if left_ids == '' then flaw(r, 'waits for nothing') end
    for at = 1, #left_ids, 16 do
      local id = sub(left_ids, at, at + 15)
      if not foreign(id) then
        local other = rec(id)
        if not other or other.st >= SUCCEEDED then flaw(r, 'waits for a job that has ended or is gone') end
        if call('SISMEMBER', B .. ':y:' .. id, r.id) == 0 then flaw(r, 'waits for a job that does not know') end
        if other and band(other.fl, F_AWAITED) == 0 then flaw(other, 'is waited for and not marked') end
      end
    end
  end
  if band(r.sf, S_UNIQUE) ~= 0 and r.st < SUCCEEDED then
    more(r)
    local held = call('HGET', B .. ':u:' .. r.queue, r.key)
    local ours = held and sub(held, 1, 16) == r.id
    if r.hold == 1 and not ours or r.hold == 0 and r.tok == 0 and not ours then
      flaw(r, 'does not hold its unique key')
    elseif r.hold == 0 and r.st == RUNNING and ours then
      flaw(r, 'runs and holds its unique key')
    end
  end
end

local ids = call('ZRANGEBYLEX', B .. ':i', from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, 500)
fetch(ids)
for _, id in ipairs(ids) do
  if R[id] then
    check(R[id])
  end
end
if #ids == 500 then
  return { #ids, ids[500], unpack(flaws) }
end

local function same(what, are, should)
  for key, n in pairs(are) do
    if n ~= (should[key] or 0) then
      flaws[#flaws + 1] = what .. ' ' .. key .. ' is ' .. n .. ', by the records ' .. (should[key] or 0)
    end
  end
  for key, n in pairs(should) do
    if not are[key] then
      flaws[#flaws + 1] = what .. ' ' .. key .. ' is not there, by the records ' .. n
    end
  end
end

local function counts(key)
  local out, all = {}, call('HGETALL', key)
  for i = 1, #all, 2 do
    out[all[i]] = tonumber(all[i + 1])
  end
  return out
end

local tally = counts(B .. ':n')
local total = call('ZCARD', B .. ':i')
if total <= FEW then
  local all = call('ZRANGE', B .. ':i', 0, -1)
  fetch(all)
  local lists, states, running, held = { [B .. ':x'] = 0, [B .. ':z'] = 0, [B .. ':d'] = 0 }, {}, {}, 0
  for _, id in ipairs(all) do
    local r = R[id]
    if r then
      local key = place(r)
      if key then count(lists, key, 1) end
      if too_late(r) then count(lists, B .. ':d', 1) end
      count(states, r.st .. r.queue, 1)
      if r.st == RUNNING and group(r) then count(running, r.queue .. '\0' .. group(r), 1) end
    end
  end
  same('count', tally, states)
  same('running', counts(B .. ':h'), running)
  local are, queues = {}, {}
  for key in pairs(lists) do are[key] = call('ZCARD', key) end
  for field in pairs(tally) do queues[sub(field, 2)] = true end
  for queue in pairs(queues) do
    for _, lane in ipairs(BANDS) do
      local n = call('ZCARD', lane_key(queue, lane))
      if n > 0 then are[lane_key(queue, lane)] = n end
    end
  end
  same('list', are, lists)
  for queue in pairs(queues) do
    for _, name in ipairs(call('ZRANGE', blocked_key(queue), 0, -1)) do
      local parked = 0
      for _, lane in ipairs(BANDS) do parked = parked + call('ZCARD', parked_key(queue, lane, name)) end
      if parked == 0 then flaws[#flaws + 1] = 'group ' .. name .. ' of ' .. queue .. ' is blocked and has no parked job' end
    end
    local keys = call('HGETALL', B .. ':u:' .. queue)
    for i = 1, #keys, 2 do
      local id, till = unpack_('<c16d', keys[i + 1])
      local r = R[id]
      if till < 0 and (not r or r.st >= SUCCEEDED) then
        flaws[#flaws + 1] = 'key ' .. keys[i] .. ' of ' .. queue .. ' is held by ' .. hex(id) .. ', which is over'
      end
    end
  end
else
  local sums = {}
  for field, n in pairs(tally) do
    local state = tonumber(sub(field, 1, 1))
    sums[state] = (sums[state] or 0) + n
  end
  local function sum(state) return sums[state] or 0 end
  if sum(RUNNING) ~= call('ZCARD', B .. ':x') then flaws[#flaws + 1] = 'the leases are not those of running jobs' end
  if sum(SUCCEEDED) + sum(DEAD) + sum(CANCELLED) ~= call('ZCARD', B .. ':z') then
    flaws[#flaws + 1] = 'the ended jobs are not those to be forgotten'
  end
end
local records = call('HLEN', B .. ':m')
if records ~= total or records ~= call('HLEN', B .. ':s') then
  flaws[#flaws + 1] = 'there are ' .. records .. ' records, ' .. total .. ' ids'
end
return { #ids, '', unpack(flaws) }
