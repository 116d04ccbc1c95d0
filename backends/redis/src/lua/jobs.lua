-- ARGV[4..]: ids. Five values each.
local out, ids = {}, {}
for i = 4, #ARGV do
  ids[i - 3] = ARGV[i]
end
show_all(out, ids)
return out
