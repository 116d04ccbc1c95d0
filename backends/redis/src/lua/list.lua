-- One page by id. ARGV[4..7] the filter, ARGV[8] the id to go on behind, ARGV[9] the limit, ARGV[10] whether ids
-- alone are wanted. Looks at 1000 records at most. Answers the time, whether this was the end, the last id looked
-- at, and the ids, or five values a job.
local from, limit, bare = ARGV[8], tonumber(ARGV[9]), ARGV[10] == '1'
local found, last, over, looked = {}, from, 0, 0
while over == 0 and #found < limit and looked < 1000 do
  local start = last == '' and '-' or '(' .. last
  local ids = call('ZRANGEBYLEX', B .. ':i', start, '+', 'LIMIT', 0, 200)
  if #ids < 200 then
    over = 1
  end
  fetch(ids)
  for i, id in ipairs(ids) do
    local r = R[id]
    looked = looked + 1
    last = id
    if r and matches(r, 4) or BROKEN[id] and ARGV[4] .. ARGV[5] .. ARGV[7] == '' and (ARGV[6] == '' or ARGV[6] == '4') then
      found[#found + 1] = id
      if #found == limit then
        if i < #ids then
          over = 0
        end
        break
      end
    end
  end
end
if #found == limit and over == 1 and #call('ZRANGEBYLEX', B .. ':i', '(' .. last, '+', 'LIMIT', 0, 1) > 0 then
  over = 0
end
local out = { now, over, last }
if bare then
  for _, id in ipairs(found) do
    out[#out + 1] = id
  end
else
  show_all(out, found)
end
return out
