#!/bin/sh
# repartee tokens and repartee prompt: text to ids and back, and lines that are no use to anybody.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

vocabulary=tests/data/tokenizers/smollm/tokenizer.gguf
ids_of() { sed 's/.*"ids":\(\[[^]]*\]\).*/{"ids":\1}/'; }

give '{"text":"Hello there, ünïcode 😀!"}' '{"text":""}' '{"text":"a\u0000b"}' '{"text":"<|im_start|>system"}'
cp "$folder/in" "$folder/texts"
check "texts to ids" run 0 tokens --tokenizer "$vocabulary"
check "a line for each" test "$(wc -l <"$folder/out")" -eq 4
check "nothing on stderr" empty err
check "an empty text has no ids" grep -qxF '{"ids":[]}' "$folder/out"
cp "$folder/out" "$folder/in"
check "ids to texts" run 0 tokens --tokenizer "$vocabulary" --decode
check "the same texts" cmp -s "$folder/texts" "$folder/out"

give '{"text":"a"' '{"text":5}' '[]' '{"text":"ok"}' 'null' '{"txt":"a"}' ''
check "bad lines fail the command" run 1 tokens --tokenizer "$vocabulary"
check "but every line has its answer" test "$(wc -l <"$folder/out")" -eq 7
check "the good one among them" test "$(grep -c '"ids"' "$folder/out")" -eq 1
check "errors name the line" err_has "line 2"
give '{"ids":[99999999]}' '{"ids":[-1]}' '{"ids":["a"]}' '{"ids":[1.5]}' '{"ids":{}}'
check "bad ids" run 1 tokens --tokenizer "$vocabulary" --decode
check "each has its error" test "$(grep -c '"error"' "$folder/out")" -eq 5
printf '{"text":"\377\376"}\n' >"$folder/in"
check "broken UTF-8 in a line" run 1 tokens --tokenizer "$vocabulary"
: >"$folder/in"
check "no lines at all" run 0 tokens --tokenizer "$vocabulary"
awk 'BEGIN { printf "{\"text\":\""; for (i = 0; i < 200000; i++) printf "["; print "\"}" }' >"$folder/in"
check "a long line" run 0 tokens --tokenizer "$vocabulary"
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "["; print "" }' >"$folder/in"
check "a deep line" run 1 tokens --tokenizer "$vocabulary"

check "no such file" run 1 tokens --tokenizer "$folder/none"
check "says which" err_has "none"
head -c 3000 "$vocabulary" >"$folder/cut.gguf"
check "a file that was cut off" run 1 tokens --tokenizer "$folder/cut.gguf"
check "a script is no vocabulary" run 1 tokens --tokenizer tests/cli/tokens.sh
check "a folder without one" run 1 tokens --tokenizer tests/cli

give '{"messages":[{"role":"user","content":"Hi"}]}'
check "a prompt" run 0 prompt --tokenizer "$vocabulary" --format chatml
check "as text" out_has '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n'
check "a closed one" run 0 prompt --tokenizer "$vocabulary" --format chatml --closed
check "has no open reply" sh -c '! grep -qF assistant "$1"' sh "$folder/out"
give '{"messages":[{"role":"user","content":"a"}]} {"messages":[{"role":"user","content":"b"}]}'
check "several prompts" run 0 prompt --tokenizer "$vocabulary" --format mistral-v3-tekken
check "a line for each" test "$(wc -l <"$folder/out")" -eq 2
for bad in '' '{' '[]' '{"messages":{}}' '{"messages":[3]}' '{"messages":[{"role":"king","content":"a"}]}' \
    '{"messages":[{"role":"user"}]}' '{"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}' \
    '{"messages":[],"tools":[{"function":{}}]}' '{"messages":[],"tools":3}'; do
    give "$bad"
    check "no conversation: $bad" run 1 prompt --tokenizer "$vocabulary" --format mistral-v3-tekken
done
check "the formats there are" run 0 prompt --list
check "with ChatML among them" out_has "chatml"

# The goldens again, through the command.
cut_to_messages() { sed -n 's/.*\("messages": .*\)/{\1/p' "$1"; }
if [ -r "$model" ]; then
    cut_to_messages tests/data/prompts/smollm2.jsonl >"$folder/in"
    check "prompts of the default model" run 0 prompt --model "$model"
    tr -d ' ' <tests/data/prompts/smollm2.jsonl | ids_of >"$folder/expected"
    ids_of <"$folder/out" >"$folder/given"
    check "token for token" cmp -s "$folder/expected" "$folder/given"
fi
if [ -r "${REPARTEE_TEKKEN:-/none}" ]; then
    cut_to_messages tests/data/prompts/mistral_v3_tekken.jsonl >"$folder/in"
    check "prompts of Mistral NeMo" run 0 prompt --tokenizer "$REPARTEE_TEKKEN" --closed
    tr -d ' ' <tests/data/prompts/mistral_v3_tekken.jsonl | ids_of >"$folder/expected"
    ids_of <"$folder/out" >"$folder/given"
    check "token for token" cmp -s "$folder/expected" "$folder/given"
fi
finish
