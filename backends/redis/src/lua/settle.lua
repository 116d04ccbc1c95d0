-- ARGV[4..]: for each settle its head, text, progress, the number of jobs that come with it, and these in four
-- arguments each. Answers how many messages wait for other tags, then one code each.
local heads, at = {}, 4
while at <= #ARGV do
  heads[#heads + 1] = at
  at = at + 4 + 4 * tonumber(ARGV[at + 3])
end
local ids = {}
for i, from in ipairs(heads) do
  ids[i] = sub(ARGV[from], 1, 16)
end
fetch(ids)
local out = { 0 }
for i, from in ipairs(heads) do
  local id, token, owner, outcome, delay, flag, reason, kept, next_ = unpack_('<c16dc16BdBBB', ARGV[from])
  local progress = kept == 1 and ARGV[from + 2] or nil
  local said = settle(id, token, owner, outcome, delay, flag, reason, sub(ARGV[from], next_), ARGV[from + 1], progress)
  tell_waiters()
  if sub(said, 1, 1) == 'a' then
    for n = 1, tonumber(ARGV[from + 3]) do
      insert_args(from + 4 * n)
    end
  end
  out[i + 1] = said
end
finish()
out[1] = SENT
return out
