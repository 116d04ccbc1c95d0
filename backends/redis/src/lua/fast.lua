-- What a script begins with that has a short way for plain jobs; each says what is plain to it. It reads everything
-- first; where something is not plain it has written nothing, and `full` does it all. (To define the functions of
-- `full` takes longer than the short way: they are defined only if it is called.)
local call, sub, byte, pack, unpack_ = redis.call, string.sub, string.byte, struct.pack, struct.unpack
local B = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local MAX = 9007199254740992

local function queue_count(state, queue, n)
  if call('HINCRBY', B .. ':n', state .. queue, n) == 0 then
    call('HDEL', B .. ':n', state .. queue)
  end
end
