#!/bin/sh
# Sets up, builds and tests everything:  scripts/test.sh
#
# One line a test, and at the very end "N passed, N failed, N skipped". Exits 0 only if nothing failed.
#   FUZZ_SECONDS=N            how long each fuzz target runs (5)
#   REPARTEE_REFERENCE=DIR    reference outputs of real models, for the tests that compare against them
#   REPARTEE_MASKBENCH=DIR    schemas and texts of maskbench, likewise
#   REPARTEE_SETUP=no         skip scripts/setup.sh
# SPDX-License-Identifier: MIT
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "${1:-}" != "" ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

if [ "${REPARTEE_SETUP:-yes}" != no ]; then
    scripts/setup.sh test || exit 1
fi

processors=$(nproc)
logs=build/test-logs
rm -rf "$logs"
mkdir -p "$logs"
results=$logs/results
: >"$results"

# Tests run at the root of the tree and find big data by these.
export REPARTEE_MODEL="${REPARTEE_MODEL:-$PWD/assets/models/smollm2-135m-instruct.gguf}"
if [ -e assets/vocabularies/tekken_240718.json ]; then
    export REPARTEE_TEKKEN="${REPARTEE_TEKKEN:-$PWD/assets/vocabularies/tekken_240718.json}"
fi
export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export SDL_VIDEODRIVER="${SDL_VIDEODRIVER:-dummy}" SDL_AUDIODRIVER="${SDL_AUDIODRIVER:-dummy}"

# note pass|FAIL|skip NAME: one line, kept for the count.
note() {
    echo "$1 $2" >>"$results"
    printf '%s  %s\n' "$1" "$2"
}

# step NAME COMMAND...: a test that is one command; its output is shown only if it fails. Status 77 means skipped.
step() {
    name=$1
    shift
    log=$logs/$(echo "$name" | tr ' /' '__').log
    "$@" >"$log" 2>&1
    case $? in
    0) note pass "$name" ;;
    77) note skip "$name" ;;
    *)
        note FAIL "$name"
        tail -n 40 "$log" | sed 's/^/      /'
        ;;
    esac
}

# The last words of a test that did not end as it should.
show_log() {
    grep -v '^\[ RUN\|^\[       OK' "$1" | tail -n 30 | sed 's/^/      /'
}

# run_group CONFIG: every test program of a configuration, some at a time; then the lines of each in order.
run_group() {
    config=$1
    # From the sources: a program whose source is gone may still lie about.
    for source in tests/unit/*.c tests/scenarios/*.c; do
        grep -q "^int main" "$source" 2>/dev/null && echo "build/$config/tests/$(basename "$source" .c)"
    done >"$logs/$config.list"
    mkdir -p "$logs/$config"
    # shellcheck disable=SC2016
    xargs -P "$processors" -I{} sh -c '
        log=$1/$(basename "$2").log
        # Whole conversations of the default model take minutes under the sanitizers; the tiny model walks the same road.
        case $2 in build/sanitize/tests/test_golden | build/sanitize/tests/test_choice) REPARTEE_MODEL= ;; esac
        timeout -k 5 1200 "$2" >"$log" 2>&1
        echo $? >"$log.code"' sh "$logs/$config" {} <"$logs/$config.list"
    while read -r program; do
        name=$(basename "$program")
        log=$logs/$config/$name.log
        code=$(cat "$log.code")
        # cmocka repeats failures in its summary: only what stands between the start and the end of a group counts.
        awk -v where="$config/$name" '
            /^\[=+\] .*Running [0-9]+ test/ { inside = 1; next }
            /^\[=+\] .*test\(s\) run/ { inside = 0; next }
            !inside { next }
            /^\[       OK \] / { print "pass " where ": " $4 }
            /^\[  FAILED  \] / { print "FAIL " where ": " $4 }
            /^\[  ERROR   \] / && /setup|teardown/ { print "FAIL " where ": " $4 }
            /^\[  SKIPPED \] / { print "skip " where ": " $4 }' "$log" >"$log.lines"
        if [ "$code" -ne 0 ] && ! grep -q '^FAIL' "$log.lines"; then
            if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
                echo "FAIL $config/$name: did not end in twenty minutes" >>"$log.lines"
            else
                echo "FAIL $config/$name: exit status $code" >>"$log.lines"
            fi
        elif [ ! -s "$log.lines" ]; then
            echo "FAIL $config/$name: ran no test" >>"$log.lines"
        fi
        while read -r outcome text; do
            note "$outcome" "$text"
        done <"$log.lines"
        if grep -q '^FAIL' "$log.lines"; then
            show_log "$log"
        fi
    done <"$logs/$config.list"
}

# Each fuzz target for a few seconds, from the seeds in tests/data/fuzz/NAME if there are any.
run_fuzzers() {
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || continue
        name=$(basename "$source" .c)
        corpus=build/fuzz/corpus/$name
        mkdir -p "$corpus"
        set -- "$corpus"
        if [ -d "tests/data/fuzz/$name" ]; then
            set -- "$@" "tests/data/fuzz/$name"
        fi
        step "fuzz/$name" "build/fuzz/fuzz/$name" -max_total_time="${FUZZ_SECONDS:-5}" -timeout=20 -rss_limit_mb=3000 \
            -artifact_prefix="build/fuzz/$name-" "$@"
    done
}

# A source that does not compile fails its build; what can be built is tested all the same.
export MAKEFLAGS=k
step "build release" scripts/build.sh release
# nvcc knows no sanitizer: the emulated plugin stands for the real one there.
step "build sanitize" env REPARTEE_CUDA=off scripts/build.sh sanitize
step "no warnings from what was just compiled" sh -c '! grep -h "warning:" "$@"' sh \
    "$logs/build_release.log" "$logs/build_sanitize.log"
step "layering: the checker can fail" lua5.4 tests/layering.lua --self-test
step "layering" lua5.4 tests/layering.lua
step "style" lua5.4 tests/style.lua
step "public headers compile alone" tests/headers.sh
step "premake evaluator" lua5.4 tests/premake_evaluator.lua
step "premake evaluator agrees with premake5" tests/premake_agreement.sh
run_group release
run_group sanitize
for script in tests/cli/*.sh; do
    step "cli/$(basename "$script" .sh)" env REPARTEE=build/release/repartee "$script"
done
if [ -n "$(find tests/fuzz -name 'fuzz_*.c' 2>/dev/null)" ]; then
    # Only the fuzz targets: clang need not compile the rest.
    # shellcheck disable=SC2046
    step "build fuzz" env REPARTEE_CUDA=off scripts/build.sh fuzz $(basename -s .c -a tests/fuzz/fuzz_*.c)
    run_fuzzers
fi

passed=$(grep -c '^pass' "$results")
failed=$(grep -c '^FAIL' "$results")
skipped=$(grep -c '^skip' "$results")
if [ "$failed" -gt 0 ]; then
    echo "What failed (logs under $logs):"
    grep '^FAIL' "$results"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
