#!/bin/sh
# premake5 and scripts/premake.lua give the same compile and link lines, but for the names of objects. Exits 77 where
# there is no premake5 to compare with.
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."
command -v premake5 >/dev/null 2>&1 || exit 77

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A copy, because both write into build/: the scripts, and every source that git knows or could know, empty.
git ls-files -co --exclude-standard | while read -r name; do
    mkdir -p "$folder/tree/$(dirname "$name")"
    case $name in
    *.lua | scripts/* | *.h | tests/*.c) cp "$name" "$folder/tree/$name" ;;
    *) : >"$folder/tree/$name" ;;
    esac
done

# The lines that a makefile would run: object names lose their path and stem, since premake5 numbers sources of one name.
# The archives are there beforehand, because premake5's makefiles do not know how their siblings' come to be.
lines() {
    for config in debug release sanitize threads fuzz; do
        mkdir -p build/$config
        for name in runtime middleware lua; do
            : >build/$config/librepartee_$name.a
        done
        make -n -B -k --no-print-directory -C build config=$config verbose=1 2>/dev/null || true
    done | sed 's/ *|| *{.*//; s/^[[:space:]]*//; s/^rm -f "[^"]*" && //' |
        grep -E '^(gcc|clang|ar|\(echo|[^ ]*nvcc) ' |
        sed -E 's#[^ "]*/obj/([^ /"]*)/[^ "]*\.(o|d)#\1/*.\2#g; s/[[:space:]]+/ /g; s/ $//' | sort
}

cd "$folder/tree"
premake5 gmake >/dev/null
lines >"$folder/premake5"
rm -rf build
lua5.4 scripts/premake.lua gmake >/dev/null
lines >"$folder/evaluator"
wc -l <"$folder/premake5" | sed 's/$/ lines compared/'
[ -s "$folder/premake5" ] && diff "$folder/premake5" "$folder/evaluator"
