function f(x) after(1, function() error(x) end) return (x:gsub("(%w)[%a%-]*()%b()", "%1%2"):find("%f[%a]a-b?$")) end
local ok = pcall(string.rep, "x", 100) local co = coroutine.wrap(function(a) coroutine.yield(a) end) co(game.anything(5))
