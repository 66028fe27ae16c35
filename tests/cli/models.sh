#!/bin/sh
# repartee logits, quantize and synth: the same bits however they were computed, and files that are no models.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

ids=1,5,9,200,17,3,44,8,8,8,90,31
check "logits" run 0 logits --model "$tiny" --ids "$ids" --all --out "$folder/a.npy"
check "nothing on stdout" empty out
check "nothing on stderr" empty err
check "an .npy file" sh -c 'head -c 6 "$1" | od -An -tx1 | grep -q "93 4e 55 4d 50 59"' sh "$folder/a.npy"
check "of float32 rows" grep -aq "'<f4'.*(12, " "$folder/a.npy"
for other in "--rows 1" "--rows 5" "--threads 2" "--isa scalar"; do
    # shellcheck disable=SC2086
    check "logits $other" run 0 logits --model "$tiny" --ids "$ids" --all --out "$folder/b.npy" $other
    check "the same bits with $other" cmp -s "$folder/a.npy" "$folder/b.npy"
done
check "the last row only" run 0 logits --model "$tiny" --ids "$ids" --out "$folder/c.npy"
size=$(($(wc -c <"$folder/c.npy") - 128))
tail -c $size "$folder/a.npy" >"$folder/last"
tail -c $size "$folder/c.npy" >"$folder/alone"
check "is the last of all" cmp -s "$folder/last" "$folder/alone"
check "exact" run 0 logits --model "$tiny" --ids "$ids" --exact --out "$folder/d.npy"
check "at a position" run 0 logits --model "$tiny" --ids "$ids" --at 20 --out "$folder/e.npy"
check "an id past the vocabulary" run 1 logits --model "$tiny" --ids 99999999 --out "$folder/f.npy"
check "leaves no file" test ! -e "$folder/f.npy"
check "a place that cannot be written" run 1 logits --model "$tiny" --ids 1 --out "$folder/none/f.npy"
check "no such model" run 1 logits --model "$folder/none.gguf" --ids 1 --out "$folder/f.npy"
check "says which" err_has "none.gguf"
good=tests/data/models/phi3/model-q8_0.gguf
for bytes in 0 3 100 4000 79000; do
    head -c $bytes "$good" >"$folder/cut.gguf"
    check "a model cut to $bytes bytes" run 1 logits --model "$folder/cut.gguf" --ids 1 --out "$folder/f.npy"
done
check "leaves no file" test ! -e "$folder/f.npy"

check "quantize" run 0 quantize "$good" "$folder/q.gguf" --type Q4_0 --quiet
check "the result is a model" run 0 logits --model "$folder/q.gguf" --ids 1,2,3 --out "$folder/g.npy"
check "quantize --json" run 0 quantize "$good" "$folder/q.gguf" --type F16 --quiet --json
check "has the error of each tensor" out_has '"relative_error"'
check "quantize what is not there" run 1 quantize "$folder/none" "$folder/r.gguf" --type Q8_0
check "leaves no file" test ! -e "$folder/r.gguf"
check "quantize to nonsense" run 2 quantize "$good" "$folder/r.gguf" --type Q3
check "the shapes there are" run 0 synth --list
check "synth of an unknown shape" run 1 synth --arch nonsense --quant Q8_0 --out "$folder/s.gguf"
check "leaves no file" test ! -e "$folder/s.gguf"
finish
