// cuda/quantised.cuh - how quantised weights lie in device memory, and a lane's share of them.
//
// A record is a tile's block: 16 output rows by 32 columns, their values, then their scales. Values lie lane after lane as the
// tensor core takes them, so that a warp reads a record's values in one load a lane, its scales in another. Lane = 4 g + t has
// rows g and g + 8, columns 4t .. 4t+3 and 16+4t .. 16+4t+3.
//   values   INT4: 8 bytes a lane: row g's nibbles (lower ones: the first columns), row g + 8's. INT8: 16 bytes: row g's first four
//            columns, row g + 8's, row g's others, row g + 8's
//   scales   for each g. F16: two float16, of rows g and g + 8 (then two offsets). K: four bytes: scales of g and g + 8 and their
//            offsets; INT8_HALF: both of g's scales, both of g + 8's
// Beside the records, for RTI_SCALE_K: for each 8 blocks and g the float16 that scales and offsets of row g are multiplied by, and
// those of row g + 8.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_QUANTISED_CUH
#define RTI_CUDA_QUANTISED_CUH

#include "backend/cuda/kernels.cuh"

static __host__ __device__ constexpr int rti_value_bytes(rti_layout layout)
{
    return layout == RTI_LAYOUT_INT4 ? 256 : layout == RTI_LAYOUT_F16 || layout == RTI_LAYOUT_BF16 ? 1024 : 512;
}

static __host__ __device__ constexpr int rti_scale_bytes(rti_scale_kind kind, bool has_offsets)
{
    return kind == RTI_SCALE_F16 && has_offsets ? 64 : 32;
}

static __host__ __device__ constexpr int rti_record_bytes(rti_layout layout, rti_scale_kind kind, bool has_offsets)
{
    return rti_value_bytes(layout) + (layout > RTI_LAYOUT_F32 ? 0 : rti_scale_bytes(kind, has_offsets)); // F16, BF16, F8 have none
}

#define RTI_SUPER_BYTES 64 // of 8 blocks of a tile

// Where in a record row r's byte i is: INT4 has 16 bytes a row (columns i and i + 16), INT8 32.
static __host__ __device__ __forceinline__ int rti_value_at(rti_layout layout, int r, int i)
{
    int lane = r % 8 * 4 + i % 16 / 4;
    return layout == RTI_LAYOUT_INT4 ? lane * 8 + r / 8 * 4 + i % 4 : lane * 16 + (r / 8 + i / 16 * 2) * 4 + i % 4;
}

// Where in a record row r's scale (of the first or, INT8_HALF, the second half) or offset begins.
static __host__ __device__ __forceinline__ int rti_scale_at(rti_layout layout, rti_scale_kind kind, bool has_offsets, int r, int half, bool is_offset)
{
    int each = rti_scale_bytes(kind, has_offsets) / 8, size = kind == RTI_SCALE_F16 ? 2 : 1;
    int number = layout == RTI_LAYOUT_INT8_HALF ? r / 8 * 2 + half : r / 8 + (is_offset ? 2 : 0);
    return rti_value_bytes(layout) + r % 8 * each + number * size;
}

#endif
