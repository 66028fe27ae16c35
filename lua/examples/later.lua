-- Calls that the game refuses, that fail, and that answer later, while the game goes on.

tool "cook_soup" {
  description = "Have a bowl of soup made in the kitchen",
  timeout = 20, -- seconds; then the call counts as failed
  call = function(args, ctx)
    after(2, function()                -- two seconds of the game's time (rp_lua_advance)
      ctx.answer("the soup is served") -- true, or nil and why not: the guest may have left by then
    end)
    return later()
  end,
}

tool "open_cellar" {
  description = "Let the guest into the cellar",
  call = function(args, ctx)
    if ctx.speaker.name ~= "the owner" then
      return veto "only the owner may go down there" -- refused: the character learns why
    end
    return "the cellar is open"
  end,
}

tool "throw_dice" {
  description = "Throw two dice",
  once_per_turn = false, -- may be called again in the same reply
  pure = true,           -- changes nothing in the game
  call = function()
    local a, b = math.random(6), math.random(6)
    if a + b < 2 then
      return nil, "the dice fell off the table" -- failed: the character makes its excuses
    end
    return { a, b } -- tables are given to the model as JSON
  end,
}

character "cook" {
  persona = "You are Ada, cook of the Gilded Griffin. Few words, a warm heart.",
  tools = { "cook_soup", "open_cellar", "throw_dice" },
}

-- The game may call global functions: rp_lua_call(lua, "on_night", ...).
function on_night(hour)
  print("it is night, " .. hour .. " o'clock") -- goes to the game's log, with file and line
end
