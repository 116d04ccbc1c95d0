-- Whether a job agrees with the filter in four arguments from `at`: queue, kind, state, group; empty for any.
local function matches(r, at)
  local queue, kind, state, name = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  return (queue == '' or queue == r.queue) and (kind == '' or kind == r.kind)
    and (state == '' or tonumber(state) == r.st) and (name == '' or name == group(r))
end
