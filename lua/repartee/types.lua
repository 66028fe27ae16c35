-- types.lua - the types of a tool's parameters, and the JSON Schema that each stands for at the moment.
-- SPDX-License-Identifier: MIT

local native = ...
local words, json = native.part "words", native.part "json"
local fail, nearest, sorted_keys, kind_of = words.fail, words.nearest, words.sorted_keys, words.kind_of
local floor = math.floor

local globals = {} -- what scripts see of this file

local Type = { __metatable = false, __name = "parameter type" }
local is_type = setmetatable({}, { __mode = "k" })
local made = 0 -- types are numbered as they are made: that is the order in which a script lists them

local function new_type(t)
  made = made + 1
  t.order = made
  t.where = native.where()
  is_type[t] = true
  return setmetatable(t, Type)
end

-- Checks the options that a type was given: every name known, every value of its kind.
local function check_options(what, options, kinds)
  local where = native.where()
  if type(options) ~= "table" or is_type[options] then
    fail(where, "%s takes a table of options, as in %s { description = \"...\" }; it was given %s", what, what, kind_of(options))
  end
  for _, name in ipairs(sorted_keys(options)) do
    local wanted, value = kinds[name], options[name]
    if not wanted then
      local meant = type(name) == "string" and nearest(name, sorted_keys(kinds))
      fail(where, "unknown option '%s' of %s%s", tostring(name), what, meant and (": did you mean '" .. meant .. "'?")
        or "; it has: " .. table.concat(sorted_keys(kinds), ", "))
    end
    if wanted == "integer" and math.type(value) == "float" and value == floor(value) then
      options[name] = floor(value)
    elseif wanted == "integer" and math.type(value) ~= "integer" or wanted ~= "any" and wanted ~= "integer"
      and type(value) ~= wanted then
      fail(where, "option '%s' of %s must be a %s, not %s", name, what, wanted == "string" and "text" or wanted, kind_of(value))
    end
  end
  return options, where
end

local function check_range(where, what, options, low, high)
  if options[low] and options[high] and options[low] > options[high] then
    fail(where, "%s: %s = %s is larger than %s = %s", what, low, options[low], high, options[high])
  end
end

-- text { min_length, max_length, pattern, default, description }; also written string { ... }
function globals.text(options)
  local where
  options, where = check_options("string", options or {}, {
    min_length = "integer", max_length = "integer", pattern = "string", default = "string", description = "string",
  })
  check_range(where, "string", options, "min_length", "max_length")
  return new_type { kind = "string", options = options }
end

local function number_type(kind)
  return function(options)
    local number = kind == "integer" and "integer" or "number"
    local where
    options, where = check_options(kind, options or {}, { min = number, max = number, default = number, description = "string" })
    check_range(where, kind, options, "min", "max")
    local default = options.default
    if default and (options.min and default < options.min or options.max and default > options.max) then
      fail(where, "%s: default = %s is outside of its own range", kind, default)
    end
    return new_type { kind = kind, options = options }
  end
end

globals.integer = number_type "integer"   -- integer { min, max, default, description }
globals.number = number_type "number"     -- number { min, max, default, description }

function globals.boolean(options)         -- boolean { default, description }
  return new_type { kind = "boolean",
    options = check_options("boolean", options or {}, { default = "boolean", description = "string" }) }
end

-- The texts of an enum, or nil and what is wrong with them.
local function enum_values(list)
  if type(list) ~= "table" then
    return nil, "must be a list of texts, not " .. kind_of(list)
  end
  local values, seen = {}, {}
  for i = 1, #list do
    local value = list[i]
    if math.type(value) == "integer" then
      value = tostring(value)
    end
    if type(value) ~= "string" or not native.is_text(value) then
      return nil, ("has %s as element %d: each must be a text"):format(kind_of(list[i]), i)
    end
    if not seen[value] then
      seen[value] = true
      values[#values + 1] = value
    end
  end
  return values
end

-- enum { "ale", "mead" }; enum(function() return game.cellar() end); enum { values = <either>, default, description }
function globals.enum(values)
  local where = native.where()
  local options = {}
  if type(values) == "table" and values.values ~= nil then
    options = check_options("enum", values, { values = "any", default = "string", description = "string" })
    values = options.values
  end
  if type(values) == "function" then
    return new_type { kind = "enum", options = options, live = values }
  end
  local list, wrong = enum_values(values)
  if not list then
    fail(where, "enum %s", wrong)
  elseif #list == 0 then
    fail(where, "enum needs at least one value, or a function that returns them")
  end
  return new_type { kind = "enum", options = options, values = list }
end

-- Fields in the order in which their types were written, or in the order of a list { {"name", type}, ... }.
local function ordered_fields(fields, where, what)
  local ordered = {}
  if type(fields) ~= "table" or is_type[fields] then
    fail(where, "%s must be a table, as in { drink = enum { \"ale\" } }, not %s", what, kind_of(fields))
  end
  for _, key in ipairs(sorted_keys(fields)) do
    local name, one = key, fields[key]
    if math.type(key) == "integer" then
      if type(one) ~= "table" or is_type[one] or type(one[1]) ~= "string" then
        fail(where, "%s: element %d must be { \"name\", type }", what, key)
      end
      name, one = one[1], one[2]
    elseif type(key) ~= "string" then
      fail(where, "%s: a name must be a text, not %s", what, kind_of(key))
    end
    if not is_type[one] then
      local hint = (one == string or type(one) == "function") and "; write it with options, as in string {} or integer {}" or ""
      fail(where, "%s: '%s' must be a type such as integer { min = 1 }, not %s%s", what, name, kind_of(one), hint)
    end
    ordered[#ordered + 1] = { name = name, type = one, position = math.type(key) == "integer" and key or nil }
  end
  table.sort(ordered, function(a, b)
    if a.position and b.position then
      return a.position < b.position
    end
    if a.type.order ~= b.type.order then
      return a.type.order < b.type.order
    end
    return a.name < b.name -- one type under two names
  end)
  for i = 2, #ordered do
    for j = 1, i - 1 do
      if ordered[i].name == ordered[j].name then
        fail(where, "%s: '%s' is there twice", what, ordered[i].name)
      end
    end
  end
  return ordered
end

-- object { field = type, ... }: a table with these fields
function globals.object(fields)
  return new_type { kind = "object", options = {}, fields = ordered_fields(fields or {}, native.where(), "object") }
end

-- list { type, min_items = 1, max_items = 3 }
function globals.list(options)
  local where = native.where()
  if is_type[options] then
    options = { options }
  end
  if type(options) ~= "table" or not is_type[options[1]] then
    fail(where, "list needs the type of its elements, as in list { integer { min = 1 }, max_items = 3 }")
  end
  local element = options[1]
  local rest = {}
  for key, value in next, options do
    if key ~= 1 then
      rest[key] = value
    end
  end
  check_options("list", rest, { min_items = "integer", max_items = "integer", description = "string" })
  check_range(where, "list", rest, "min_items", "max_items")
  return new_type { kind = "list", options = rest, element = element }
end

-- optional(type): may be left out; then it is nil in the call
function globals.optional(inner)
  if not is_type[inner] then
    fail(native.where(), "optional needs a type, as in optional(integer { min = 1 })")
  end
  return new_type { kind = "optional", options = {}, element = inner }
end

-- schema { ... } or schema [[ JSON ]]: any JSON Schema, passed on as it is
function globals.schema(definition)
  local where = native.where()
  if type(definition) == "string" then
    local fine, message = pcall(native.json, definition)
    if not fine then
      fail(where, "schema: %s", message)
    end
    return new_type { kind = "schema", options = {}, json = definition }
  end
  if type(definition) ~= "table" or is_type[definition] then
    fail(where, "schema takes a table or a JSON text, not %s", kind_of(definition))
  end
  return new_type { kind = "schema", options = {}, json = json.write(definition, where, 0) }
end

local function is_optional(t)
  return t.kind == "optional" or t.options.default ~= nil
end

local function is_live(t)
  if t.live then
    return true
  end
  for _, field in ipairs(t.fields or {}) do
    if is_live(field.type) then
      return true
    end
  end
  return t.element ~= nil and is_live(t.element)
end

local type_schema

local function object_schema(fields)
  local properties, required = {}, {}
  for i, field in ipairs(fields) do
    local schema = type_schema(field.type)
    if not schema then
      return nil
    end
    properties[i] = { field.name, schema }
    if not is_optional(field.type) then
      required[#required + 1] = json.text(field.name)
    end
  end
  return json.object {
    { "type", '"object"' },
    { "properties", json.object(properties) },
    { "required", "[" .. table.concat(required, ",") .. "]" },
    { "additionalProperties", "false" },
  }
end

-- The values of an enum now; nil when there are none.
local function current_values(t)
  local list = t.values
  if t.live then
    local wrong
    list, wrong = enum_values(t.live())
    if not list then
      fail(t.where, "what the function of this enum returned %s", wrong)
    end
  end
  return #list > 0 and list or nil
end

local schema_keywords = {
  { "description", "description" }, { "default", "default" }, { "min", "minimum" }, { "max", "maximum" },
  { "min_length", "minLength" }, { "max_length", "maxLength" }, { "pattern", "pattern" },
  { "min_items", "minItems" }, { "max_items", "maxItems" },
}

-- The JSON Schema of a type as it is now; nil when a live enum in it is empty.
function type_schema(t)
  if t.kind == "optional" then
    return type_schema(t.element)
  elseif t.kind == "schema" then
    return t.json
  elseif t.kind == "object" then
    return object_schema(t.fields)
  end
  local fields = { { "type", json.text(t.kind == "enum" and "string" or t.kind == "list" and "array" or t.kind) } }
  if t.kind == "enum" then
    local values = current_values(t)
    if not values then
      return nil
    end
    local parts = {}
    for i, value in ipairs(values) do
      parts[i] = json.text(value)
    end
    fields[2] = { "enum", "[" .. table.concat(parts, ",") .. "]" }
  elseif t.kind == "list" then
    local element = type_schema(t.element)
    if not element then
      return nil
    end
    fields[2] = { "items", element }
  end
  for _, keyword in ipairs(schema_keywords) do
    local value = t.options[keyword[1]]
    if value ~= nil then
      fields[#fields + 1] = { keyword[2], json.write(value, t.where, 0) }
    end
  end
  return json.object(fields)
end

-- Fills in defaults where the model left something out.
local function with_defaults(fields, values)
  for _, field in ipairs(fields) do
    local t = field.type
    if values[field.name] == nil then
      values[field.name] = t.options.default
    elseif t.fields and type(values[field.name]) == "table" then
      with_defaults(t.fields, values[field.name])
    end
  end
  return values
end

return {
  globals = globals, is_type = is_type, ordered_fields = ordered_fields, is_live = is_live, schema = type_schema,
  with_defaults = with_defaults,
}
