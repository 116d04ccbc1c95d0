-- The records of `ids`, five values each; the id is empty where there is none.
local function show_all(out, ids)
  if #ids == 0 then
    return
  end
  fetch(ids)
  local payloads = pick(B .. ':p', ids)
  for i, id in ipairs(ids) do
    local payload = payloads[i] or ''
    if R[id] then
      show(out, R[id], payload)
    elseif BROKEN[id] then
      local n = #out
      out[n + 1], out[n + 2] = id, call('HGET', B .. ':m', id) or ''
      out[n + 3], out[n + 4], out[n + 5] = call('HGET', B .. ':s', id) or '', payload, ''
    else
      for _ = 1, 5 do
        out[#out + 1] = ''
      end
    end
  end
end
