-- ARGV[4..]: owners. For each the counts of its jobs by crashes.
local out = {}
for i = 4, #ARGV do
  out[i - 3] = call('HGETALL', B .. ':c:' .. ARGV[i])
end
return out
