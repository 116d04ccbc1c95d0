-- ARGV[4..]: ids. For each 1 open, 2 succeeded, 3 failed, 4 unknown.
local ids, out = {}, {}
for i = 4, #ARGV do
  ids[i - 3] = ARGV[i]
end
fetch(ids)
for i, id in ipairs(ids) do
  out[i] = awaited(id)
end
return out
