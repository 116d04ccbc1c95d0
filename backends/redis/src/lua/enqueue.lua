-- ARGV[4..]: four arguments for each job. Answers how many messages wait for other tags, then one code each.
local ids = {}
for at = 4, #ARGV, 4 do
  ids[#ids + 1] = ARGV[at]
end
fetch(ids)
local out = { 0 }
for at = 4, #ARGV, 4 do
  out[#out + 1] = insert_args(at)
end
finish()
out[1] = SENT
return out
