#!/bin/sh
# How every command is asked: --help, unknown words, missing and repeated values; 0, 1 and 2 where they belong.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

check "no command is bad usage" run 2
check "and says so on stderr only" empty out
check "--help" run 0 --help
check "lists the commands" out_has "tokens"
check "--version" run 0 --version
check "an unknown command" run 2 nonsense
commands=$("$repartee" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
for command in $commands; do
    check "$command --help" run 0 "$command" --help
    check "$command --help is on stdout" out_has "repartee $command"
    check "$command --help says nothing on stderr" empty err
    [ "$command" = bench ] && continue
    check "$command: unknown option" run 2 "$command" --no-such-option
    check "$command: the words are on stderr" err_has "no-such-option"
    check "$command: and stdout is empty" empty out
    check "$command: short options are unknown" run 2 "$command" -x
done
check "bench alone" run 2 bench
check "bench nonsense" run 2 bench nonsense
for bench in $("$repartee" bench --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    check "bench $bench --help" run 0 bench "$bench" --help
    check "bench $bench: unknown option" run 2 bench "$bench" --no-such-option
done
check "a value that is missing" run 2 tokens --model
check "an option twice" run 2 tokens --model a --model b
check "a flag with a value" run 2 tokens --decode=yes
check "an operand too many" run 2 tokens file
check "two vocabularies" run 2 tokens --model a --tokenizer b
check "an unknown format" run 2 prompt --format nonsense
check "numbers: none" run 2 logits --threads two
check "numbers: out of range" run 2 logits --threads 65
check "numbers: trailing words" run 2 logits --threads 2x
check "a choice that is none" run 2 logits --isa mmx
check "logits without what it needs" run 2 logits
check "ids that are none" run 2 logits --ids "1,,2" --out "$folder/a.npy"
check "ids below zero" run 2 logits --ids "-1" --out "$folder/a.npy"
check "ids that end early" run 2 logits --ids "1," --out "$folder/a.npy"
check "frame without a trace" run 2 frame
check "check without files" run 2 check
check "a measurement that is none" run 2 bench model --only pp128,nonsense
check "quantize without files" run 2 quantize --type Q8_0
check "synth without a shape" run 2 synth --out "$folder/a.gguf"
check "options end at --" run 1 check -- --help
finish
