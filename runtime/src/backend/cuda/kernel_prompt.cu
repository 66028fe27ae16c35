// Weights times many activation rows: prompts. The sums of kernel_matrix.cu in its order, so the same bits.
//
// A warp has a tile of 16 output rows and 32 activation rows, and takes one partial sum after another; a block's eight warps read
// the same activations, from the level-1 cache after the first. Bytes moved: weights once for 32 rows, from the level-2 cache but
// for the first time (blocks that read the same ones run side by side); activations once for 128 output rows.
// SPDX-License-Identifier: MIT
#include "backend/cuda/product.cuh"

#define TILES 4
#define ASIDE (TILES * RTI_PARTIALS * RTI_WARP) // vectors of a sum that waits: one a thread and tile

typedef float tile_sums[TILES][4];

static __device__ __forceinline__ void clear(tile_sums &sum)
{
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++) sum[tile][0] = sum[tile][1] = sum[tile][2] = sum[tile][3] = 0.0f;
}

// Sums that wait for others, each thread's in shared memory: registers are for what runs.
static __device__ __forceinline__ void put_aside(const tile_sums &sum, float4 *aside)
{
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++) aside[tile * RTI_PARTIALS * RTI_WARP] = make_float4(sum[tile][0], sum[tile][1], sum[tile][2], sum[tile][3]);
}

static __device__ __forceinline__ void add_to(const float4 *aside, tile_sums &sum)
{
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++) {
        const float4 first = aside[tile * RTI_PARTIALS * RTI_WARP];
        sum[tile][0] = __fadd_rn(first.x, sum[tile][0]);
        sum[tile][1] = __fadd_rn(first.y, sum[tile][1]);
        sum[tile][2] = __fadd_rn(first.z, sum[tile][2]);
        sum[tile][3] = __fadd_rn(first.w, sum[tile][3]);
    }
}

static __device__ __forceinline__ void copy(const tile_sums &from, tile_sums &to)
{
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++)
        for (int i = 0; i < 4; i++) to[tile][i] = from[tile][i];
}

static __device__ __forceinline__ void add_to(const tile_sums &first, tile_sums &sum)
{
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++)
        for (int i = 0; i < 4; i++) sum[tile][i] = __fadd_rn(first[tile][i], sum[tile][i]);
}

// How many of the three sums that may wait do so in shared memory: the third where registers are scarce.
template <class F, int PLANES> static __host__ __device__ constexpr int sums_aside()
{
    return F::has_halves && PLANES == 2 ? 3 : 2;
}

template <class F, int PLANES>
static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2)
matrix_prompt(rti_matrix_work work, rti_rounded in, rti_pass_rows rows)
{
    RTI_SHARED(float4, shared); // [sums_aside][TILES][thread]
    const rti_pass_header header = rti_read_header(rows);
    const int warp = (int)threadIdx.x / RTI_WARP, lane = (int)threadIdx.x % RTI_WARP;
    const rti_share share = rti_find_share<RTI_PARTIALS>(work, (int)blockIdx.y);
    const int group = share.group + warp, row_count = work.logits_rows ? header.logits_count : header.row_count;
    const int row_begin = (int)blockIdx.x * TILES * RTI_TOKEN_TILE;
    if (rti_stopped(header) || row_begin >= row_count || group >= share.group_end) return;
    const uint8_t *records = share.values + (size_t)group * (size_t)work.blocks * F::record_bytes;
    const uint8_t *super = F::is_k ? share.supers + (size_t)group * (size_t)((work.blocks + 7) / 8) * RTI_SUPER_BYTES : NULL;
    float4 *pair = shared + threadIdx.x, *four = pair + ASIDE, *one = four + ASIDE;
    tile_sums sum, single;
    clear(single);
    // The tree ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)) of partial sums, leaf by leaf: one sum of each height waits.
    for (int leaf = 0; leaf < RTI_PARTIALS; leaf++) {
        const int partial = (leaf & 1) << 2 | (leaf & 2) | leaf >> 2, steps = (work.blocks - partial + RTI_PARTIALS - 1) / RTI_PARTIALS;
        clear(sum);
        add_blocks<F, TILES, PLANES>(records + (size_t)partial * F::record_bytes, super, lane, steps,
                              find_activations<TILES, PLANES>(in, row_begin, row_count, partial, lane), sum);
        if (!(leaf & 1)) {
            if (sums_aside<F, PLANES>() > 2) put_aside(sum, one);
            else copy(sum, single);
            continue;
        }
        if (sums_aside<F, PLANES>() > 2) add_to(one, sum);
        else add_to(single, sum);
        if (!(leaf & 2)) {
            put_aside(sum, pair);
            continue;
        }
        add_to(pair, sum);
        if (!(leaf & 4)) put_aside(sum, four);
        else add_to(four, sum);
    }
    const unsigned seen = rti_look_far(rows);
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++)
        for (int i = 0; i < 4; i++) {
            int row = row_begin + tile * RTI_TOKEN_TILE + 2 * (lane % 4) + (i & 1), output = group * RTI_GROUP + lane / 4 + 8 * (i / 2);
            if (row < row_count && output < share.rows) rti_finish(work, share, output, row, sum[tile][i]);
        }
    rti_leave_word(rows, header, seen);
}

template <class F, int PLANES>
static void launch_planes(const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    // Rows first: the blocks that read the same weights run side by side.
    dim3 grid((unsigned)((max_rows + TILES * RTI_TOKEN_TILE - 1) / (TILES * RTI_TOKEN_TILE)), (unsigned)rti_block_count<RTI_PARTIALS>(work));
    size_t shared = sizeof(float4) * ASIDE * sums_aside<F, PLANES>();
    RTI_LAUNCH((matrix_prompt<F, PLANES>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, work, in, rows);
}

template <class F> struct many_rows {
    static void launch(const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
    {
        if constexpr (F::is_float) launch_planes<F, SPLIT>(work, in, rows, max_rows, stream);
        else if (in.planes == 2) launch_planes<F, 2>(work, in, rows, max_rows, stream);
        else launch_planes<F, 1>(work, in, rows, max_rows, stream);
    }
};

cudaError_t rti_launch_prompt(const rti_device_matrix &first, const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows,
                              int max_rows, cudaStream_t stream)
{
    rti_with_form<many_rows>(first, work, in, rows, max_rows, stream);
    return cudaGetLastError();
}
