#!/bin/sh
# Everything there is to know about Repartee on this machine's NVIDIA GPU, in one command and under ten minutes:
#   scripts/gpu_report.sh [OUT_DIR] [--minutes N] [--weight MS] [--scratch DIR] [--no-build] [--build DIR] [--emulated]
#   scripts/gpu_report.sh --pack DIR
#
# Builds; runs the tests of the CUDA backend on the device; compares its logits with the CPU's; measures the device itself (its
# copy, bare cuBLAS products); decodes and reads prompts with synthetic Mistral NeMo 12B, Minitron 8B and Nemotron 4B in Q4_K,
# Q8_0, FP8 and BF16, batch 1 to 32; plays frames beside an OpenGL load; runs compute-sanitizer where there is one. Leaves
# report.md, report.json, decode.csv, frames.csv, frames.svg and the logs in OUT_DIR (build/gpu-report).
#
# What fails or is missing is noted, and the rest goes on; what there is no time for is noted too. Exits 0 if every step that
# was begun succeeded. Without nvcc a plugin that lies in build/release already is used.
#   --minutes N    all of it, default 9.5       --weight MS   GPU milliseconds a frame of the load, default 6
#   --scratch DIR  where models of up to some 8 GB are put and removed, default OUT_DIR
#   --no-build     measure what is in build/release
#   --pack DIR     puts what lies in build/release, and the libraries it needs, into DIR (25 MB), for a machine with a GPU on which
#                  nothing can be built; there --build DIR measures it
#   --emulated     on the processor, with tiny models, in a minute or two: shows that the road is open, measures nothing
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,19s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
if ! command -v python3 >/dev/null 2>&1; then
    echo "gpu_report.sh: python3 is missing (nothing beyond its own library is needed)" >&2
    exit 1
fi
exec python3 scripts/gpu_report/main.py "$@"
