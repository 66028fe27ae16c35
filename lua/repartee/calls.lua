-- calls.lua - running a tool for a character: its context, its answer now or later, and the timers it sets.
-- SPDX-License-Identifier: MIT

local native = ...
local words, json, types = native.part "words", native.part "json", native.part "types"
local fail = words.fail

-- Answers of tools, as repartee/tool.h numbers them.
local ANSWERED, LATER, VETOED, FAILED = 0, 1, 2, 3

local globals = {} -- what scripts see of this file

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

local function eligible(record, key, name, speaker)
  return not not record.when(new_context(key, name, speaker))
end

-- The JSON Schema as it is now; nil: a live enum is empty, the tool is not offered.
local function parameters(record)
  return types.schema(record.parameters)
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
local function answer_text(value, where)
  if value == nil or value == true then
    return "done"
  elseif type(value) == "string" then
    if not native.is_text(value) then
      fail(where, "the answer of a tool must be UTF-8 text")
    end
    return value
  end
  return json.write(value, where, 0)
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
  return ANSWERED, answer_text(value, where)
end

-- Runs a tool for a character. Returns the status and the words of the answer.
local function call(record, args, key, name, speaker, turn, call_index, call_generation)
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
    return answer(ANSWERED, answer_text(value, native.where()))
  end
  function ctx.fail(reason)
    return answer(FAILED, tostring(reason))
  end
  function ctx.veto(reason)
    return answer(VETOED, tostring(reason))
  end
  if record.parameters and record.parameters.fields then
    types.with_defaults(record.parameters.fields, args)
  end
  local status, text = status_of(record.call(args, ctx))
  running = false
  if early_status then
    return early_status, early_words
  end
  answered = status ~= LATER
  return status, text
end

-- Timers, in the time of the game.
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
local function due(seconds)
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

return { globals = globals, eligible = eligible, parameters = parameters, call = call, due = due }
