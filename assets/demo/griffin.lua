-- The people of the Gilded Griffin and what they may do.
--
-- The game offers: game.cellar() -> drinks that are left, game.pour(drink, cups), game.give_key(), game.give_map(),
-- game.serve_soup(), game.play(song), and ctx.speaker.gold, .has_key, .has_map, .has_soup through its function "speaker".

local repartee = require "repartee"

tool "pour_drink" {
  description = "Pour the guest a drink. It costs two gold a cup.",
  parameters = {
    drink = enum(function() return game.cellar() end), -- live: what is in the cellar now
    cups  = integer { min = 1, max = 3, default = 1 },
  },
  when = function(ctx) return ctx.speaker.gold >= 2 end,
  cooldown = 2,
  call = function(args) return game.pour(args.drink, args.cups) end,
}

tool "give_room_key" {
  description = "Rent the guest a room and hand over its key. It costs five gold.",
  when = function(ctx) return ctx.speaker.gold >= 5 and not ctx.speaker.has_key end,
  call = function() return game.give_key() end,
}

tool "cook_soup" {
  description = "Bring the hungry guest a bowl of hot soup",
  when = function(ctx) return not ctx.speaker.has_soup end,
  timeout = 30,
  call = function(args, ctx)
    after(2, function() ctx.answer(game.serve_soup()) end) -- the kitchen takes two seconds; the room goes on
    return later()
  end,
}

tool "open_cellar" {
  description = "Unlock the door of the cellar",
  call = function()
    return veto "The cellar stays locked at night." -- the house has its rules
  end,
}

tool "give_map" {
  description = "Give the guest the map of the sea",
  when = function(ctx) return not ctx.speaker.has_map end,
  call = function() return game.give_map() end,
}

tool "play_song" {
  description = "Play a song on the lute",
  parameters = { song = enum { "a merry jig", "a sad ballad", "a sea shanty" } },
  cooldown = 5,
  call = function(args) return game.play(args.song) end,
}

repartee.character "marta" {
  name = "Marta",
  persona = [[
    Innkeeper of the Gilded Griffin. Friendly, with a dry wit.
    You answer your guest in one short sentence.
  ]],
  knows = { "lore/griffin.md" },
  emotions = { "neutral", "amused", "warm", "stern" },
  tools = { "pour_drink", "give_room_key", "cook_soup", "open_cellar" },
  temperature = 0.4,
  repetition_penalty = 1.15,
  max_history_turns = 4,
  max_reply_tokens = 48,
  fallback = { "One moment, love. The barrel is stuck." },
  opening = { -- how she talks
    { "Hello.", "Evening, love. Sit down and warm your hands." },
    { "A bit of bread, please.", "Fresh from the oven. Mind your fingers." },
    { "Who are you?", "Marta. This is my house, so wipe your boots." },
  },
  look = "marta",
}

repartee.character "harker" {
  name = "Captain Harker",
  persona = [[
    An old sailor who sits by the fire and loves the sea.
    You answer in one short sentence.
  ]],
  knows = { "lore/harker.md" },
  emotions = { "neutral", "amused", "sad" },
  tools = { "give_map" },
  temperature = 0.4,
  repetition_penalty = 1.15,
  max_history_turns = 4,
  max_reply_tokens = 48,
  fallback = { "Hm. The wind has my tongue." },
  opening = {
    { "Hello.", "Aye. Pull up a chair, the fire is free." },
    { "Who are you?", "Harker. I had a ship once." },
    { "A cold night.", "Colder out there, on the rocks." },
  },
  look = "harker",
}

repartee.character "lysa" {
  name = "Lysa",
  persona = [[
    A young bard with a lute. You are cheerful and love songs.
    You answer in one short sentence.
  ]],
  emotions = { "neutral", "amused", "warm", "sad" },
  tools = { "play_song" },
  temperature = 0.4,
  repetition_penalty = 1.15,
  max_history_turns = 4,
  max_reply_tokens = 48,
  fallback = { "Let me tune this string first." },
  opening = {
    { "Hello.", "Hello, stranger! Do you like music?" },
    { "Who are you?", "Lysa. I sing for my supper." },
    { "You sing well.", "Thank you! The lute does half the work." },
  },
  look = "lysa",
}

-- What the three say to each other while nobody talks to them: { to, from, line }.
local chatter = {
  { "harker", "Lysa", "How is the sea tonight, Captain?" },
  { "lysa", "Marta", "Your songs are lovely tonight, Lysa." },
  { "marta", "Captain Harker", "A cold night, Marta." },
  { "harker", "Marta", "Tell us about the Petrel, Captain." },
  { "lysa", "Captain Harker", "Where did you learn to play, girl?" },
  { "marta", "Lysa", "Is the house full tonight, Marta?" },
}
local said = 0

-- Called by the game: who is spoken to next, by whom, and what is said.
function next_chatter()
  said = said % #chatter + 1
  return chatter[said]
end
