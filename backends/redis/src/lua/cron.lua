-- ARGV[4] the entry, ARGV[5] the cell's slot as last seen or nothing, ARGV[6] the next cell (slot, revision, and what
-- else there is) or nothing to look only; then four arguments for each job. Answers the time, whether the cell was
-- moved, the cell, and how many messages wait for other tags.
local key = ARGV[4]
local cell = call('HGET', B .. ':j', key)
local won = 0
if ARGV[6] ~= '' then
  local slot, rev
  if cell then
    slot, rev = unpack_('<dI4', cell)
  end
  local _, next_rev = unpack_('<dI4', ARGV[6])
  if slot == tonumber(ARGV[5]) and not (rev and rev > next_rev) then
    won, cell = 1, ARGV[6]
    call('HSET', B .. ':j', key, cell)
    for at = 7, #ARGV, 4 do
      insert_args(at)
    end
    finish()
  end
end
return { now, won, cell, SENT }
