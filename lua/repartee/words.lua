-- words.lua - errors that say where and what to do.
-- SPDX-License-Identifier: MIT

local function fail(where, format, ...)
  error(where .. ": " .. format:format(...), 0)
end

-- How many single-letter changes (a swap of neighbours counts as one) lead from one word to another; stops caring above 3.
local function distance(a, b)
  if #a > 40 or #b > 40 or #a - #b > 3 or #b - #a > 3 then
    return 4
  end
  local before, last = nil, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

-- The known name that a wrong one was probably meant to be, or nil.
local function nearest(name, known)
  local best, least = nil, #name <= 4 and 1 or 2
  for _, candidate in ipairs(known) do
    local changes = distance(name:lower(), candidate:lower())
    if changes > 0 and changes <= least then
      best, least = candidate, changes - 1
    end
  end
  return best
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- "a string", "a table", ...
local function kind_of(value)
  local kind = type(value)
  return kind == "string" and "a text" or kind == "nil" and "nothing" or "a " .. kind
end

return { fail = fail, nearest = nearest, sorted_keys = sorted_keys, kind_of = kind_of }
