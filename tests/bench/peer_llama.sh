#!/usr/bin/env bash
# `repartee bench model` beside llama.cpp on the same file, one after the other in the same minutes.
#   tests/bench/peer_llama.sh LLAMA_BENCH [MODEL.gguf]
# LLAMA_BENCH is llama.cpp's llama-bench; llama-batched-bench, for batch8 and batch32, lies beside it.
# Environment: REPARTEE=build/release/repartee  ISA=auto  THREADS="1 2"  ROUNDS=5  ONLY="pp128 pp512 tg64 tg64_d512 batch8 batch32"
#   BUSY=N: another process keeps processor N busy meanwhile
# Prints, for each figure, the medians of both (tokens a second) and the median, least and most of the rounds' ratios: what the
# machine does to one it does to the other, so ratios stay true where the speeds do not.
# SPDX-License-Identifier: MIT
set -euo pipefail

bench=${1:?usage: peer_llama.sh LLAMA_BENCH [MODEL.gguf]}
batched=$(dirname "$bench")/llama-batched-bench
model=${2:-assets/models/smollm2-135m-instruct.gguf}
repartee=${REPARTEE:-build/release/repartee}
isa=${ISA:-auto}
rounds=${ROUNDS:-5}

if [ -n "${BUSY:-}" ]; then
    taskset -c "$BUSY" sh -c 'while :; do :; done' &
    busy=$!
    trap 'kill $busy' EXIT
fi

llama() { # metric threads: tokens a second
    local arguments
    case $1 in
    pp128) arguments="-p 128 -n 0" ;;
    pp512) arguments="-p 512 -n 0" ;;
    tg64) arguments="-p 0 -n 64" ;;
    tg64_d512) arguments="-p 0 -n 64 -d 512" ;;
    batch*)
        "$batched" -m "$model" -t "$2" -tb "$2" -ngl 0 -c 4096 -npp 1 -ntg 32 -npl "${1#batch}" --output-format jsonl 2>/dev/null |
            sed -n 's/.*"speed_tg": *\([0-9.]*\).*/\1/p'
        return
        ;;
    esac
    # shellcheck disable=SC2086
    "$bench" -m "$model" -t "$2" -r 1 -ngl 0 -o jsonl $arguments 2>/dev/null | sed -n 's/.*"avg_ts": *\([0-9.]*\).*/\1/p'
}

ours() { # metric threads
    "$repartee" bench model --model "$model" --threads "$2" --isa "$isa" --runs 1 --only "$1" --json |
        sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"
}

echo "# cpu $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1); load before $(cut -d' ' -f1 /proc/loadavg); isa $isa; $rounds rounds"
printf '%-10s %7s %10s %10s   %s\n' figure threads repartee llama.cpp "ratio (least to most)"
for threads in ${THREADS:-1 2}; do
    for metric in ${ONLY:-pp128 pp512 tg64 tg64_d512}; do
        for ((round = 0; round < rounds; round++)); do
            echo "$(ours "$metric" "$threads") $(llama "$metric" "$threads")"
        done | awk -v metric="$metric" -v threads="$threads" '
            function median(values, n,    i, j, t) {
                for (i = 1; i <= n; i++)
                    for (j = i + 1; j <= n; j++)
                        if (values[j] < values[i]) { t = values[i]; values[i] = values[j]; values[j] = t }
                return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
            }
            NF == 2 && $2 > 0 { n++; a[n] = $1; b[n] = $2; ratio[n] = $1 / $2 }
            END {
                if (!n) { print metric, "failed"; exit 1 }
                middle = median(ratio, n)
                printf "%-10s %7s %10.1f %10.1f   %.2f (%.2f to %.2f)\n", metric, threads, median(a, n), median(b, n), middle, ratio[1], ratio[n]
            }'
    done
done
