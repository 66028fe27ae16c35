-- Every type that a parameter can have. Properties reach the model in the order in which they are written here.

tool "send_letter" {
  description = "Write a letter and send it with the next coach",
  parameters = {
    to       = enum { "the mayor", "the guard", "the harbour" },            -- one of these
    subject  = string { min_length = 1, max_length = 40 },                   -- text { ... } is the same
    seal     = string { pattern = "^[A-Z]{2}$", description = "Initials" },
    copies   = integer { min = 1, max = 3, default = 1 },                    -- a default makes it optional
    postage  = number { min = 0.5, max = 10 },
    urgent   = boolean { default = false },
    address  = object { street = string {}, house = integer { min = 1 } },   -- a table with fields
    enclosed = list { enum { "coin", "map", "ring" }, max_items = 3 },       -- a list of one type
    remark   = optional(string { max_length = 80 }),                         -- nil where it was left out
  },
  result = { arrives = string {} },                                          -- what `call` returns is checked against this
  call = function(args)
    return { arrives = args.urgent and "tonight" or "on Friday" }
  end,
}

-- The order can be given as a list, and anything else that JSON Schema can say as a schema.
tool "set_watch" {
  description = "Say when to be woken",
  parameters = {
    { "time", schema { type = "string", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$" } },
    { "knock", boolean {} },
  },
  call = function(args)
    return "the boy knocks at " .. args.time
  end,
}
