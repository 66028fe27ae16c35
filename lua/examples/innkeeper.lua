-- An innkeeper who pours what is in the cellar, to whoever can pay.
--
-- The game registers: game.cellar() -> list of drinks, game.pour(drink, cups) -> text, and speaker(name, field), which answers
-- ctx.speaker.gold.

local repartee = require "repartee" -- the globals `character`, `tool`, `enum` ... are the same

tool "pour_drink" {
  description = "Pour the guest a drink and take the money",
  parameters = {
    drink = enum(function() return game.cellar() end), -- asked when the turn starts: only what is there can be poured
    cups  = integer { min = 1, max = 4, default = 1 },
  },
  when = function(ctx) return (ctx.speaker.gold or 0) >= 2 end, -- otherwise the model never sees it
  cooldown = 5,
  call = function(args)
    return game.pour(args.drink, args.cups)
  end,
}

repartee.character "innkeeper" {
  name = "Marta Voss",
  persona = [[
    You are Marta Voss, innkeeper of the Gilded Griffin.
    Dry wit. You remember every debt.
  ]],
  emotions = { "neutral", "amused", "stern" },
  tools = { "pour_drink" },
  temperature = 0.6,
  max_reply_tokens = 48,
  fallback = { "One moment, love, the barrel is stuck." }, -- said when the model cannot serve
  look = "innkeeper",                                     -- not Repartee's: kept for the game
}
