#!/bin/sh
# Configures and builds:  scripts/build.sh [debug|release|sanitize|threads|fuzz] [TARGET...]
#
# Leaves build/CONFIG/repartee, griffin, librepartee.so, librepartee.a, tests/ and fuzz/. `threads` finds races
# (ThreadSanitizer). `fuzz` is clang with libFuzzer; elsewhere the fuzz targets replay the files they are given. With
# targets, builds only those (and what they need); a source elsewhere that does not compile is then left out of its library
# rather than in the way.
#   REPARTEE_CUDA=DIR|off   where CUDA lies (else CUDA_HOME, else nvcc on the PATH)
#   JOBS=N                  how many compilers at once (else one a processor)
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

config=debug
case "${1:-}" in
debug | release | sanitize | threads | fuzz)
    config=$1
    shift
    ;;
-h | --help)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

mkdir -p build
# Two builds of one configuration would write the same files; the makefiles are everybody's.
exec 8>"build/.lock-$config" 9>build/.lock
flock 8
flock 9

cuda=${REPARTEE_CUDA:+--cuda=$REPARTEE_CUDA}
if command -v premake5 >/dev/null 2>&1; then
    premake5 gmake ${cuda:+"$cuda"}
else
    lua5.4 scripts/premake.lua gmake ${cuda:+"$cuda"}
fi

flock -u 9

if [ $# -gt 0 ]; then
    set -- KEEP_GOING=1 "$@"
fi
exec make --no-print-directory -C build -j"${JOBS:-$(nproc)}" config="$config" "$@"
