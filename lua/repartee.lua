-- repartee.lua - what authors write against: characters, the tools they may call, the types of a tool's parameters.
--
--     local repartee = require "repartee"       -- or simply the globals of the same names
--
--     character "marta" {
--       name = "Marta Voss",
--       persona = [[ Innkeeper of the Gilded Griffin. Dry wit, remembers every debt. ]],
--       tools = { "pour_drink" },
--     }
--
--     tool "pour_drink" {
--       description = "Pour the guest a drink",
--       parameters = {
--         drink = enum(function() return game.cellar() end),      -- live: what is in the cellar now
--         cups  = integer { min = 1, max = 4, default = 1 },
--       },
--       when = function(ctx) return ctx.speaker.gold >= 2 end,    -- otherwise the model never sees it
--       cooldown = 5,
--       call = function(args, ctx) return game.pour(args.drink, args.cups) end,
--     }
--
-- docs/scripting.md is the manual. Everything that is wrong is an error at load, with file and line and what to do.
--
-- SPDX-License-Identifier: MIT

local native = ...

local unpack, floor, huge = table.unpack, math.floor, math.huge

local globals = {}   -- what scripts see
local library = { globals = globals }

-- Answers of tools, as repartee/tool.h numbers them.
local ANSWERED, LATER, VETOED, FAILED = 0, 1, 2, 3

---------------------------------------------------------------------------------------------------------------------------
-- Errors that say where and what to do
---------------------------------------------------------------------------------------------------------------------------

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

---------------------------------------------------------------------------------------------------------------------------
-- JSON
---------------------------------------------------------------------------------------------------------------------------

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

---------------------------------------------------------------------------------------------------------------------------
-- Types of parameters
---------------------------------------------------------------------------------------------------------------------------

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
  return new_type { kind = "schema", options = {}, json = json(definition, where, 0) }
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
      required[#required + 1] = json_text(field.name)
    end
  end
  return json_object {
    { "type", '"object"' },
    { "properties", json_object(properties) },
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
  local fields = { { "type", json_text(t.kind == "enum" and "string" or t.kind == "list" and "array" or t.kind) } }
  if t.kind == "enum" then
    local values = current_values(t)
    if not values then
      return nil
    end
    local parts = {}
    for i, value in ipairs(values) do
      parts[i] = json_text(value)
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
      fields[#fields + 1] = { keyword[2], json(value, t.where, 0) }
    end
  end
  return json_object(fields)
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

---------------------------------------------------------------------------------------------------------------------------
-- Definitions
---------------------------------------------------------------------------------------------------------------------------

local drafts = {} -- of the script that is being loaded

-- kind "key" { ... }
local function definer(kind, example, define)
  return function(key)
    local where = native.where()
    if type(key) ~= "string" or key == "" then
      fail(where, "%s needs a name, as in %s", kind, example)
    end
    return function(fields)
      where = native.where()
      if native.in_callback() then
        fail(where, "%s '%s': not while a tool is being called; define it when the script loads", kind, key)
      end
      if type(fields) ~= "table" then
        fail(where, "%s '%s' needs a table, as in %s", kind, key, example)
      end
      drafts[#drafts + 1] = { kind = kind, key = key, fields = fields, where = where, define = define }
    end
  end
end

globals.character = definer("character", 'character "marta" { persona = "..." }', nil)
globals.tool = definer("tool", 'tool "pour_drink" { description = "...", call = function(args) ... end }', nil)

function globals.world()
  fail(native.where(), "the world exists already when a script is loaded: its lore, player name and seed are set by the game "
    .. "(rp_world_def); texts for one character go into knows = { \"file\" }")
end

-- Reads draft.fields[name]; its kind must be `wanted` ("text", "number", "integer", "boolean", "function", "table").
local function field(draft, name, wanted)
  local value = draft.fields[name]
  if value == nil then
    return nil
  end
  local kind = type(value)
  local fits = wanted == "text" and kind == "string" or wanted == kind
    or wanted == "integer" and kind == "number" and value == floor(value)
  if not fits then
    fail(draft.where, "'%s' of %s '%s' must be a %s, not %s", name, draft.kind, draft.key, wanted, kind_of(value))
  end
  if wanted == "text" and not native.is_text(value) then
    fail(draft.where, "'%s' of %s '%s' is not UTF-8 text", name, draft.kind, draft.key)
  end
  return wanted == "integer" and floor(value) or value
end

-- A list of texts.
local function text_list(draft, name)
  local list = field(draft, name, "table")
  local copy = {}
  for key in next, list or {} do
    if math.type(key) ~= "integer" or key < 1 or key > #list then
      fail(draft.where, "'%s' of %s '%s' must be a list, as in { \"one\", \"two\" }", name, draft.kind, draft.key)
    end
  end
  for i = 1, #(list or {}) do
    if type(list[i]) ~= "string" or not native.is_text(list[i]) then
      fail(draft.where, "'%s' of %s '%s': element %d must be a text, not %s", name, draft.kind, draft.key, i, kind_of(list[i]))
    end
    copy[i] = list[i]
  end
  return list and copy
end

-- A text written over several indented lines, as it was meant.
local function plain(text)
  return text and (text:gsub("\r\n?", "\n"):gsub("[ \t]*\n[ \t]*", "\n"):gsub("^%s+", ""):gsub("%s+$", ""))
end

local character_fields = {
  "name", "persona", "knows", "knowledge", "emotions", "tools", "temperature", "top_k", "top_p", "min_p",
  "repetition_penalty", "repetition_window", "seed", "max_reply_tokens", "max_history_turns", "opening", "fallback", "settings",
}
local is_character_field = {}
for _, name in ipairs(character_fields) do
  is_character_field[name] = true
end

-- Fields that Repartee does not know are the game's: "look", "voice". One that is nearly a known one is a slip.
local function settings_of(draft)
  local settings, list = {}, {}
  for _, name in ipairs(sorted_keys(draft.fields)) do
    if type(name) ~= "string" then
      fail(draft.where, "character '%s': every field needs a name; found %s without one", draft.key, kind_of(draft.fields[name]))
    elseif not is_character_field[name] then
      local meant = nearest(name, character_fields)
      if meant then
        fail(draft.where, "unknown field '%s' in character '%s': did you mean '%s'? (a field of the game's own that is called so "
          .. "goes into settings = { %s = ... })", name, draft.key, meant, name)
      end
      settings[name] = draft.fields[name]
    end
  end
  for name, value in next, field(draft, "settings", "table") or {} do
    settings[name] = value
  end
  for i, name in ipairs(sorted_keys(settings)) do
    local value = settings[name]
    if type(value) == "table" or type(value) == "function" or type(name) ~= "string" then
      fail(draft.where, "field '%s' in character '%s' is %s: the game can be told texts, numbers and booleans", tostring(name),
        draft.key, kind_of(value))
    end
    list[i] = { name, tostring(value) }
  end
  return list
end

-- Exchanges that have been spoken before the game begins: { { "what was said", "what was answered" }, ... }.
local function opening_of(draft)
  local list, copy = field(draft, "opening", "table") or {}, {}
  for i, exchange in ipairs(list) do
    local line, reply
    if type(exchange) == "table" then
      line, reply = exchange[1], exchange[2]
    end
    if type(line) ~= "string" or type(reply) ~= "string" or not native.is_text(line) or not native.is_text(reply) then
      fail(draft.where, "'opening' of character '%s': element %d must be { \"what was said\", \"the answer\" }", draft.key, i)
    end
    copy[i] = { line, reply }
  end
  return copy
end

local function knowledge_of(draft)
  local parts = { plain(field(draft, "knowledge", "text")) }
  for _, path in ipairs(text_list(draft, "knows") or {}) do
    local fine, text = pcall(native.read_text, path)
    if not fine then
      fail(draft.where, "'knows' of character '%s': %s", draft.key, text)
    end
    parts[#parts + 1] = plain(text)
  end
  return #parts > 0 and table.concat(parts, "\n\n") or nil
end

local function define_character(draft)
  local persona = field(draft, "persona", "text")
  if not persona then
    fail(draft.where, "character '%s' needs a persona: who is this, in a sentence or two?", draft.key)
  end
  local tools = text_list(draft, "tools") or {}
  for i, name in ipairs(tools) do
    if not native.has_tool(name) then
      local meant = nearest(name, native.tool_names())
      fail(draft.where, "character '%s' may call '%s', but no tool has that name%s", draft.key, name,
        meant and (": did you mean '" .. meant .. "'?") or "; define it with tool \"" .. name .. "\" { ... }")
    end
    for j = 1, i - 1 do
      if tools[j] == name then
        fail(draft.where, "'tools' of character '%s' has '%s' twice", draft.key, name)
      end
    end
  end
  native.create_character {
    where = draft.where, key = draft.key, name = field(draft, "name", "text") or draft.key, persona = plain(persona),
    knowledge = knowledge_of(draft), tools = tools, emotions = text_list(draft, "emotions"),
    opening = opening_of(draft), fallback = text_list(draft, "fallback"), settings = settings_of(draft),
    temperature = field(draft, "temperature", "number"), top_k = field(draft, "top_k", "integer"),
    top_p = field(draft, "top_p", "number"), min_p = field(draft, "min_p", "number"),
    repetition_penalty = field(draft, "repetition_penalty", "number"),
    repetition_window = field(draft, "repetition_window", "integer"), seed = field(draft, "seed", "integer"),
    max_reply_tokens = field(draft, "max_reply_tokens", "integer"),
    max_history_turns = field(draft, "max_history_turns", "integer"),
  }
end

local tool_fields = {
  "description", "parameters", "result", "when", "call", "cooldown", "timeout", "once_per_turn", "pure",
}

local function check_tool_fields(draft)
  local known = {}
  for _, name in ipairs(tool_fields) do
    known[name] = true
  end
  for _, name in ipairs(sorted_keys(draft.fields)) do
    if not known[name] then
      local meant = type(name) == "string" and nearest(name, tool_fields)
      fail(draft.where, "unknown field '%s' in tool '%s'%s", tostring(name), draft.key,
        meant and (": did you mean '" .. meant .. "'?") or "; a tool has: " .. table.concat(tool_fields, ", "))
    end
  end
end

-- The JSON Schema of a field that may be a type or a table of types, and the type.
local function schema_field(draft, name)
  local value = draft.fields[name]
  if value == nil then
    return nil
  end
  local what = ("'%s' of tool '%s'"):format(name, draft.key)
  local t = is_type[value] and value
    or { kind = "object", options = {}, where = draft.where, fields = ordered_fields(value, draft.where, what) }
  return t
end

local function define_tool(draft)
  check_tool_fields(draft)
  local call = field(draft, "call", "function")
  if not call then
    fail(draft.where, "tool '%s' needs call = function(args, ctx) ... end: what does it do?", draft.key)
  end
  local description = field(draft, "description", "text")
  if not description then
    fail(draft.where, "tool '%s' needs a description: the model chooses by it", draft.key)
  end
  local parameters, result = schema_field(draft, "parameters"), schema_field(draft, "result")
  if result and is_live(result) then
    fail(draft.where, "'result' of tool '%s' cannot have a live enum", draft.key)
  end
  for _, name in ipairs { "cooldown", "timeout" } do
    local seconds = field(draft, name, "number")
    if seconds and not (seconds >= 0) then
      fail(draft.where, "'%s' of tool '%s' is a number of seconds, 0 or more", name, draft.key)
    end
  end
  local live = parameters ~= nil and is_live(parameters)
  local record = { name = draft.key, where = draft.where, call = call, when = field(draft, "when", "function"),
    parameters = parameters }
  native.create_tool({
    where = draft.where, name = draft.key, description = plain(description),
    parameters = parameters and not live and type_schema(parameters) or nil, live = live,
    result = result and type_schema(result), has_when = record.when ~= nil,
    cooldown = draft.fields.cooldown, timeout = draft.fields.timeout,
    once_per_turn = field(draft, "once_per_turn", "boolean"), pure = field(draft, "pure", "boolean"),
  }, record)
end

-- Makes what the script defined: tools first, so that characters may name those that come after them.
function library.commit()
  local all = drafts
  drafts = {}
  for _, draft in ipairs(all) do
    if draft.kind == "tool" then
      define_tool(draft)
    end
  end
  for _, draft in ipairs(all) do
    if draft.kind == "character" then
      define_character(draft)
    end
  end
end

function library.discard()
  drafts = {}
end

---------------------------------------------------------------------------------------------------------------------------
-- Calls
---------------------------------------------------------------------------------------------------------------------------

-- Whoever speaks: a name, and whatever the game says about it.
local Speaker = {
  __metatable = false,
  __index = function(speaker, field_name)
    return native.speaker(rawget(speaker, "name"), field_name)
  end,
}

local function new_context(key, name, speaker)
  return { character = key, name = name, speaker = setmetatable({ name = speaker }, Speaker) }
end

function library.eligible(record, key, name, speaker)
  return not not record.when(new_context(key, name, speaker))
end

-- The JSON Schema as it is now; nil: a live enum is empty, the tool is not offered.
function library.parameters(record)
  return type_schema(record.parameters)
end

local later_mark, veto_mark = {}, {}

-- return later(): the answer comes with ctx.answer(...), frames from now
function globals.later()
  return later_mark
end

-- return veto "the cellar is locked": the call is refused, and the character learns why
function globals.veto(reason)
  if type(reason) ~= "string" then
    fail(native.where(), "veto needs a reason in words, as in veto \"the cellar is locked\"")
  end
  return setmetatable({ reason = reason }, veto_mark)
end

-- What a call returned as words for the model.
local function words(value, where)
  if value == nil or value == true then
    return "done"
  elseif type(value) == "string" then
    if not native.is_text(value) then
      fail(where, "the answer of a tool must be UTF-8 text")
    end
    return value
  end
  return json(value, where, 0)
end

local function status_of(value, reason, where)
  if value == later_mark then
    return LATER
  elseif type(value) == "table" and getmetatable(value) == veto_mark then
    return VETOED, value.reason
  elseif value == nil and reason ~= nil then
    return FAILED, tostring(reason)
  elseif value == false then
    return FAILED, reason ~= nil and tostring(reason) or "it did not work"
  end
  return ANSWERED, words(value, where)
end

-- Runs a tool for a character. Returns the status and the words of the answer.
function library.call(record, args, key, name, speaker, turn, call_index, call_generation)
  local ctx = new_context(key, name, speaker)
  ctx.tool, ctx.turn = record.name, turn
  local running, early_status, early_words = true, nil, nil
  local answered = false
  local function answer(status, text)
    if answered then
      return nil, "this call has been answered already"
    end
    answered = true
    if running then
      early_status, early_words = status, text
      return true
    end
    return native.answer(call_index, call_generation, status, text)
  end
  -- ctx.answer(value), ctx.fail(reason), ctx.veto(reason): once, now or frames from now. They return true, or nil and why not
  -- (the turn may have ended or timed out).
  function ctx.answer(value)
    return answer(ANSWERED, words(value, native.where()))
  end
  function ctx.fail(reason)
    return answer(FAILED, tostring(reason))
  end
  function ctx.veto(reason)
    return answer(VETOED, tostring(reason))
  end
  if record.parameters and record.parameters.fields then
    with_defaults(record.parameters.fields, args)
  end
  local status, text = status_of(record.call(args, ctx))
  running = false
  if early_status then
    return early_status, early_words
  end
  answered = status ~= LATER
  return status, text
end

---------------------------------------------------------------------------------------------------------------------------
-- Time
---------------------------------------------------------------------------------------------------------------------------

local timers, now, frame, timers_made = {}, 0, 0, 0

-- after(2, function() ctx.answer("The soup is hot.") end): once, when that many seconds of the game have passed
function globals.after(seconds, run)
  if type(seconds) ~= "number" or not (seconds >= 0) or type(run) ~= "function" then
    fail(native.where(), "after needs a number of seconds and a function, as in after(2, function() ... end)")
  end
  if #timers >= 10000 then
    fail(native.where(), "more than 10000 timers wait: does one set another in a loop?")
  end
  timers_made = timers_made + 1
  timers[#timers + 1] = { at = now + seconds, run = run, frame = frame, number = timers_made }
end

-- Lets time pass (a number below 0: the same frame) and takes out one timer that is due and older than this frame.
function library.due(seconds)
  if seconds >= 0 then
    now = now + seconds
    frame = frame + 1
  end
  local first
  for i, timer in ipairs(timers) do
    if timer.at <= now and timer.frame < frame then
      local other = timers[first]
      if not other or timer.at < other.at or (timer.at == other.at and timer.number < other.number) then
        first = i
      end
    end
  end
  return first and table.remove(timers, first).run
end

return library
