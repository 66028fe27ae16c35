-- define.lua - character "key" { ... } and tool "key" { ... }: noted while a script runs, made when it has ended well.
-- SPDX-License-Identifier: MIT

local native = ...
local words, types = native.part "words", native.part "types"
local fail, nearest, sorted_keys, kind_of = words.fail, words.nearest, words.sorted_keys, words.kind_of
local is_type, is_live, type_schema = types.is_type, types.is_live, types.schema
local floor = math.floor

local globals = {} -- what scripts see of this file

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
    or { kind = "object", options = {}, where = draft.where, fields = types.ordered_fields(value, draft.where, what) }
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
local function commit()
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

local function discard()
  drafts = {}
end

return { globals = globals, commit = commit, discard = discard }
