-- ARGV[4] the id to go on behind, ARGV[5] the limit. Answers the time, whether there are more, and five values a job.
local from, limit = ARGV[4], tonumber(ARGV[5])
local ids, found = call('ZRANGEBYSCORE', B .. ':x', '-inf', now), {}
for _, id in ipairs(ids) do
  if id > from then
    found[#found + 1] = id
  end
end
local last = tonumber(call('GET', B .. ':a'))
if last and now < last then
  local rest = call('ZRANGEBYSCORE', B .. ':x', '(' .. string.format('%.17g', now), '+inf')
  fetch(rest)
  for _, id in ipairs(rest) do
    if id > from and R[id] and lapsed(R[id]) then
      found[#found + 1] = id
    end
  end
end
table.sort(found)
local out = { now, #found > limit and 1 or 0 }
local page = {}
for i = 1, math.min(limit, #found) do
  page[i] = found[i]
end
fetch(page)
for _, id in ipairs(page) do
  if R[id] then
    show(out, R[id], '')
  end
end
return out
