#!/bin/sh
# Every public header compiles alone, as C11 and as C++17, without a word from the compiler.
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
count=0
include="-Iruntime/include -Imiddleware/include -Ibindings/lua/include -Ibindings/load/include"
warnings="-Wall -Wextra -pedantic -Werror -fsyntax-only"
external=$(pkg-config --cflags-only-I lua5.4 | sed 's/-I/-isystem /g')

for header in $(find runtime/include middleware/include bindings/lua/include bindings/load/include -name '*.h' | sort); do
    printf '#include "%s"\n#include "%s"\n' "$PWD/$header" "$PWD/$header" >"$folder/twice.c"
    cp "$folder/twice.c" "$folder/twice.cpp"
    count=$((count + 1))
    # shellcheck disable=SC2086
    "${CC:-gcc}" -std=c11 $warnings $include $external "$folder/twice.c" || failed=1
    # shellcheck disable=SC2086
    "${CXX:-g++}" -std=c++17 $warnings $include $external "$folder/twice.cpp" || failed=1
done
echo "headers: $count public headers, each as C11 and as C++17"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
