#!/usr/bin/env python3
"""Makes tests/data/models/blocks: raw blocks of every type and the float32 values that the `gguf` package reads from them,
and float32 values with the blocks that it writes for them.

    pip install gguf numpy
    python3 tests/reference/make_blocks.py tests/data/models/blocks

Two runs give the same bytes. SPDX-License-Identifier: MIT
"""
import pathlib
import sys

import gguf
import numpy as np

READ = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]
WRITTEN = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]


def read_blocks(folder, name, rng):
    kind = gguf.GGMLQuantizationType[name]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    count = 6 if values == 256 else 512 if values == 1 else 16
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if values > 1:
        blocks[0] = 0
    flat = blocks.reshape(-1)
    with np.errstate(all="ignore"):
        decoded = gguf.dequantize(flat.reshape(1, -1), kind).astype(np.float32).reshape(-1)
    flat.tofile(folder / f"{name}.blocks")
    decoded.tofile(folder / f"{name}.values")


def written_blocks(folder, rng):
    scale = np.exp2(rng.integers(-20, 4, (24, 1))).astype(np.float32)
    values = (rng.standard_normal((24, 32)).astype(np.float32) * scale).reshape(-1)
    values[:32] = 0
    values[32:64] = 1.5
    values[64] = 65504.0
    values[96:100] = [5.9604645e-08, -2.9802322e-08, 6.1035156e-05, 2.0 ** -26]
    values.tofile(folder / "written.values")
    for name in WRITTEN:
        with np.errstate(all="ignore"):
            gguf.quantize(values.reshape(-1, 32), gguf.GGMLQuantizationType[name]).tofile(folder / f"{name}.written")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20240718)
    for name in READ:
        read_blocks(folder, name, rng)
    written_blocks(folder, rng)


main()
