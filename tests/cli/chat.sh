#!/bin/sh
# repartee chat, check, call and the benches: on a tiny model that talks nonsense, but the same nonsense every time.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

check "a line" run 0 chat --model "$tiny" --say "Hello" --max-tokens 12
check "shows who spoke" out_has "Marta:"
check "as JSON" run 0 chat --model "$tiny" --say "Hello" --say "And you?" --max-tokens 12 --json
reply_of() { grep -o '"reply":"[^"]*"' "$folder/out"; }
reply_of >"$folder/first"
check "two replies" test "$(wc -l <"$folder/first")" -eq 2
for other in "--budget 300" "--budget 5000" "--threads 2" "--isa scalar"; do
    # shellcheck disable=SC2086
    check "chat $other" run 0 chat --model "$tiny" --say "Hello" --say "And you?" --max-tokens 12 --json $other
    reply_of >"$folder/second"
    check "the same words with $other" cmp -s "$folder/first" "$folder/second"
done
printf 'Hello\nAnd you?\n' >"$folder/in"
check "lines from stdin" run 0 chat --model "$tiny" --max-tokens 12 --json
reply_of >"$folder/second"
check "the same words" cmp -s "$folder/first" "$folder/second"
printf 'a\377b\n' >"$folder/in"
check "a line that is not UTF-8" run 1 chat --model "$tiny" --max-tokens 4 --json
: >"$folder/in"
check "no lines" run 0 chat --model "$tiny"
check "a script sets its own length" run 2 chat --model "$tiny" --script a.lua --max-tokens 1

check "a script that is not there" run 1 chat --model "$tiny" --script "$folder/none.lua" --say a
printf 'character "a" {\n  persona = "x"\n  name = "y"\n}\n' >"$folder/bad.lua"
check "a script with a mistake" run 1 chat --model "$tiny" --script "$folder/bad.lua" --say a
check "names the line" err_has "bad.lua:3"
check "check finds it too" run 1 check "$folder/bad.lua"
check "with its line" err_has "bad.lua:3"
check "check of the examples" run 0 check lua/examples/*.lua
check "one bad among good ones" run 1 check lua/examples/types.lua "$folder/bad.lua"
printf 'while true do end\n' >"$folder/loop.lua"
check "an endless loop ends" run 1 check "$folder/loop.lua"
printf 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end\n' >"$folder/hungry.lua"
check "runaway memory ends" run 1 check "$folder/hungry.lua"
printf 'character "ann" { persona = "Ann." }\ncharacter "bob" { persona = "Bob." }\n' >"$folder/two.lua"
check "whom to talk to" run 0 chat --model "$tiny" --script "$folder/two.lua" --character bob --say Hi
check "by the script's own key" out_has "bob:"
check "with a temperature" run 0 chat --model "$tiny" --script "$folder/two.lua" --temperature 0 --say Hi --json
reply_of >"$folder/first"
check "greedy needs no seed" run 0 chat --model "$tiny" --script "$folder/two.lua" --temperature 0 --say Hi --json --seed 9
reply_of >"$folder/second"
check "the same words" cmp -s "$folder/first" "$folder/second"
check "nobody of that name" run 1 chat --model "$tiny" --script "$folder/two.lua" --character eve --say Hi
check "says who there is" err_has "ann"
printf '{"a":' >"$folder/game.json"
check "a stand-in game that is no JSON" run 1 chat --model "$tiny" --script "$folder/two.lua" --game "$folder/game.json" --say Hi

function='{"name":"a.b","description":"d","parameters":{"type":"object","properties":{"n":{"type":"integer","minimum":1,"maximum":3}},"required":["n"]}}'
give "{\"id\":\"1\",\"question\":[{\"role\":\"user\",\"content\":\"Do it\"}],\"functions\":[$function]}" \
    '{"id":"2","question":[{"role":"user","content":"Hi"}],"functions":[]}'
check "questions" run 0 call --model "$tiny"
check "an answer for each" test "$(grep -c '"calls":' "$folder/out")" -eq 2
check "under its id" out_has '"id":"1"'
give '{"id":"1","question":[],"functions":[]}' '{"id":"2","question":[{"role":"user","content":"a"}],"functions":[{}]}' 'nonsense' \
    '{"id":"4","question":[{"role":"user","content":"a"}],"functions":[{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"nonsense"}}}}]}'
check "questions that are none" run 1 call --model "$tiny"
check "each has its error" test "$(grep -c '"error":' "$folder/out")" -eq 4
: >"$folder/in"

check "bench frame" run 0 bench frame --model "$tiny" --characters 3 --frames 20 --fps 200 --json
check "has its figures" out_has '"overshoot_p99_us":'
check "no allocation in a frame" out_has '"allocations_in_update":0'
check "bench cache" run 0 bench cache --model "$tiny" --tokens 128 --runs 2 --json
check "bench tokens" run 0 bench tokens --tokenizer tests/data/tokenizers/smollm/tokenizer.gguf --runs 1 --json
printf 'rendertime_ms,x\n2.5,0\n1.0,1\n6,2\n' >"$folder/trace.csv"
check "frame" run 0 frame --model "$tiny" --trace "$folder/trace.csv" --characters 2 --fps 200 --json
for key in extra_missed_percent idle_used_percent overshoot_p99_us overshoot_p999_us noise_p99_us noise_p999_us tokens_per_second; do
    check "frame says $key" out_has "\"$key\":"
done
check "trace" run 0 trace --model "$tiny" --characters 2 --frames 30 --fps 200 --out "$folder/trace.json"
command -v python3 >/dev/null && check "trace is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))["traceEvents"][10]' "$folder/trace.json"
check "a trace that cannot be written" run 1 trace --model "$tiny" --out "$folder/none/trace.json"
printf 'a\nb\n' >"$folder/trace.csv"
check "a trace that is none" run 1 frame --model "$tiny" --trace "$folder/trace.csv"
check "names the line" err_has "line 2"
: >"$folder/trace.csv"
check "an empty trace" run 1 frame --model "$tiny" --trace "$folder/trace.csv"
finish
