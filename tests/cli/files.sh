#!/bin/sh
# What a stranger's machine does: files that are missing, folders, empty, cut off or no such thing; places that cannot be
# written, a full disk. Each is an exit code of 1 and a message that names the file; nothing but a file is ever replaced.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

mkdir "$folder/empty_folder"
: >"$folder/nothing"
printf 'nonsense\n' >"$folder/words"
head -c 3000 tests/data/tokenizers/smollm/tokenizer.gguf >"$folder/cut.gguf"

for input in missing empty_folder nothing words cut.gguf; do
    file=$folder/$input
    check "chat: model $input" run 1 chat --model "$file" --say Hi
    check "chat names it: $input" err_has "$file: "
    check "tokens: tokenizer $input" run 1 tokens --tokenizer "$file"
    check "tokens names it: $input" err_has "$file: "
    check "quantize: $input" run 1 quantize "$file" "$folder/out.gguf" --type Q8_0
    check "quantize names it: $input" err_has "$file: "
    check "and leaves nothing behind" test ! -e "$folder/out.gguf"
    check "mask: tests $input" run 1 mask --tokenizer "$tiny" --tests "$file"
    check "mask names it: $input" err_has "$file: "
    check "sample: schemas $input" run 1 sample --model "$tiny" --schemas "$file"
    check "sample names it: $input" err_has "$file: "
    check "frame: trace $input" run 1 frame --model "$tiny" --trace "$file"
    check "frame names it: $input" err_has "$file: "
    check "replay: $input" run 1 replay "$file" --model "$tiny"
    check "replay names it: $input" err_has "$file"
    [ "$input" = nothing ] && continue # an empty script is one that defines nothing
    check "check: $input" run 1 check "$file"
    check "check names it: $input" err_has "$file"
done
check "an unknown --each" run 1 mask --tokenizer "$tiny" --tests "$folder/words" --each "$folder/none/each"
check "names it" err_has "$folder/none/each: cannot be written: "
give '{"id":"a"}'
cp "$folder/in" "$folder/no_schema"
check "a line without a schema" run 1 mask --tokenizer "$tiny" --tests "$folder/no_schema"
check "names the line" err_has "line 1"
check "nor a sample" run 1 sample --model "$tiny" --schemas "$folder/no_schema"
check "names the line" err_has "line 1"
printf '{"schema":{"const":1}}\n' >"$folder/schemas"
check "a schema without an id" run 0 sample --model "$tiny" --schemas "$folder/schemas" --samples 2 --random
check "has its line's number" out_has '"id":1'
check "a prompt too long for samples" run 1 sample --model "$tiny" --schemas "$folder/schemas" \
    --prompt "$(printf 'word %.0s' $(seq 60))"
check "says how long" err_has "--prompt: "
check "a game without a script" run 2 chat --model "$tiny" --game "$folder/words" --say Hi
: >"$folder/in"

# The default model, where it was never fetched.
repartee=$(realpath "$repartee")
cd "$folder" || exit 1
unset REPARTEE_MODEL
check "no model at all" run 1 chat --say Hi
check "says how to get one" err_has "scripts/setup.sh"
check "no tokenizer at all" run 1 tokens
check "says how to get one" err_has "scripts/setup.sh"
cd "$OLDPWD" || exit 1

for place in "$folder/none/x" "$folder/empty_folder"; do
    check "logits to $place" run 1 logits --model "$tiny" --ids 1 --out "$place"
    check "names it" err_has "$place: "
    check "synth to $place" run 1 synth --arch smollm2-135m --quant Q4_0 --layers 1 --quiet --out "$place"
    check "names it" err_has "$place"
    check "trace to $place" run 1 trace --model "$tiny" --frames 1 --characters 1 --out "$place"
    check "names it" err_has "$place"
done

# A disk that is full; the device is looked at again, since a command could have moved a file in its place.
if [ -c /dev/full ]; then
    check "logits to a full disk" run 1 logits --model "$tiny" --ids 1 --out /dev/full
    check "synth to a device" run 1 synth --arch smollm2-135m --quant Q4_0 --layers 1 --quiet --out /dev/full
    check "trace to a device" run 1 trace --model "$tiny" --frames 1 --characters 1 --out /dev/full
    check "mask's lines to a full disk" run 1 mask --tokenizer "$tiny" --tests "$folder/schemas" --each /dev/full
    check "mask's times to a full disk" run 1 mask --tokenizer "$tiny" --tests "$folder/schemas" --times /dev/full
    check "the device is still one" test -c /dev/full
    full() {
        "$repartee" "$@" >/dev/full 2>"$folder/err" <"$folder/in"
        [ $? -eq 1 ] && grep -q stdout "$folder/err"
    }
    check "help to a full disk" full --help
    check "a command's help" full chat --help
    check "the version" full --version
    check "a reply" full chat --model "$tiny" --say Hi --max-tokens 2
    check "a list" full prompt --list
    check "a check" full check lua/examples/types.lua
    printf '{"text":"a"}\n' >"$folder/in"
    check "tokens" full tokens --tokenizer "$tiny"
fi
finish
