-- json.lua - Lua values written as JSON, keys in one order always.
-- SPDX-License-Identifier: MIT

local native = ...
local words = native.part "words"
local fail, sorted_keys = words.fail, words.sorted_keys
local huge = math.huge

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function json_text(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return escapes[c] or (c:byte() < 0x20 and ("\\u%04x"):format(c:byte())) or c
  end) .. '"'
end

local function json_number(number, where)
  if math.type(number) == "integer" then
    return ("%d"):format(number)
  end
  if number ~= number or number == huge or number == -huge then
    fail(where, "a number that is not finite cannot be written as JSON")
  end
  return ("%.17g"):format(number)
end

-- An object whose keys stay in order: { {key, json}, ... } with values written already.
local function json_object(fields)
  local parts = {}
  for i, field in ipairs(fields) do
    parts[i] = json_text(field[1]) .. ":" .. field[2]
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Keywords of JSON Schema whose value is a list, also when it is empty.
local list_keywords = { required = true, enum = true, prefixItems = true, allOf = true, anyOf = true, oneOf = true, examples = true }

local function json(value, where, depth, key)
  local kind = type(value)
  if kind == "string" then
    if not native.is_text(value) then
      fail(where, "a text that is not UTF-8 cannot be written as JSON")
    end
    return json_text(value)
  elseif kind == "number" then
    return json_number(value, where)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "nil" then
    return "null"
  elseif kind ~= "table" then
    fail(where, "a %s cannot be written as JSON", kind)
  end
  if depth > 32 then
    fail(where, "a table that is nested more than 32 deep (or contains itself) cannot be written as JSON")
  end
  local parts = {}
  if #value > 0 or (next(value) == nil and list_keywords[key]) then
    for i = 1, #value do
      parts[i] = json(value[i], where, depth + 1)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for i, name in ipairs(sorted_keys(value)) do
    parts[i] = json_text(tostring(name)) .. ":" .. json(value[name], where, depth + 1, name)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return { write = json, text = json_text, object = json_object }
