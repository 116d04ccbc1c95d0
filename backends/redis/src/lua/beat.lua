-- ARGV[4] the lease, then for each beat its head (id, token, owner, whether there is progress) and progress.
-- Answers 2 for a lost lease, 1 if someone asked the job to stop, else 0.
local lease, ids = tonumber(ARGV[4]), {}
for at = 5, #ARGV, 2 do
  ids[#ids + 1] = sub(ARGV[at], 1, 16)
end
fetch(ids)
local out = {}
for i, id in ipairs(ids) do
  local at = 3 + 2 * i
  local _, token, owner, kept = unpack_('<c16dc16B', ARGV[at])
  local r = R[id]
  if not r or refused(r, token, owner) or r.st ~= RUNNING then
    out[i] = 2
  else
    touch(r)
    r.lease, r.till = lease, later(now, lease)
    if kept == 1 then
      keep_progress(r, ARGV[at + 1])
    end
    out[i] = band(r.fl, F_CANCEL) ~= 0 and 1 or 0
  end
end
flush()
ahead()
return out
