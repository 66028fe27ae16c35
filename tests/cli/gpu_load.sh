#!/bin/sh
# repartee frame --gpu-load: how it is asked, and, where OpenGL can be had (Mesa's software one will do), what it draws and
# says. No figure is judged.
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/common"

check "no weight" run 2 frame --gpu-load
check "a weight of nothing" run 2 frame --gpu-load 0
check "a weight below nothing" run 2 frame --gpu-load -1
check "a weight that is no number" run 2 frame --gpu-load heavy
check "a weight past the most" run 2 frame --gpu-load 1001
check "a load and a trace" run 2 frame --gpu-load 5 --trace "$folder/trace.csv"
check "a load by a thread's clock" run 2 frame --gpu-load 5 --clock thread
check "frames of a trace are not written" run 2 frame --trace "$folder/trace.csv" --frames-to "$folder/frames.csv"
check "a picture of a trace is not drawn" run 2 frame --trace "$folder/trace.csv" --picture "$folder/picture.ppm"

griffin=$(dirname "$repartee")/griffin
if [ -x "$griffin" ]; then
    repartee=$griffin
    check "griffin: a weight of nothing" run 2 --gpu-load 0
    check "griffin: an unknown backend" run 2 --backend abacus
    repartee=$(dirname "$griffin")/repartee
fi

# Large enough for processors that draw in software.
set -- frame --gpu-load 60 --frames 4 --characters 1 --model "$tiny"
if ! run 0 "$@" --json --frames-to "$folder/frames.csv" --picture "$folder/picture.ppm" >/dev/null; then
    check "without OpenGL it fails" [ "$code" -eq 1 ]
    check "and says what is missing" err_has "--gpu-load: "
    echo "ok - skipped: this machine draws nothing"
    finish
fi
check "who draws" out_has '"renderer":"'
check "the load alone" out_has '"run":"load alone"'
check "a character beside it" out_has '"run":"1 character"'
check "a loop without budget beside it" out_has '"run":"1 character, no budget"'
check "every frame is written" [ "$(wc -l <"$folder/frames.csv")" -eq 13 ]
check "the picture is one" [ "$(head -c 2 "$folder/picture.ppm")" = P6 ]
colours=$(tail -c +20 "$folder/picture.ppm" | od -An -v -tu1 -w3 | sort -u | wc -l)
check "and not of one colour" [ "$colours" -gt 50 ]
check "a table without --json" run 0 "$@"
check "has its heads" out_has "p99.9 ms"
check "a model that is not there" run 1 frame --gpu-load 60 --model "$folder/nothing.gguf"
check "frames that cannot be written" run 1 "$@" --frames-to "$folder/no/frames.csv"
finish
