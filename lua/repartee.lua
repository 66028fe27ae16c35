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

local types, define, calls = native.part "types", native.part "define", native.part "calls"

local globals = {} -- what scripts see
for _, part in ipairs { types, define, calls } do
  for name, value in next, part.globals do
    globals[name] = value
  end
end

-- What the host calls.
return {
  globals = globals, commit = define.commit, discard = define.discard, eligible = calls.eligible, parameters = calls.parameters,
  call = calls.call, due = calls.due,
}
