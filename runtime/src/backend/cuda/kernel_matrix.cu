// Weights times up to 32 activation rows: decoding.
//
// Bytes moved: a tile's weights once, the next records on their way while one is worked on.
// SPDX-License-Identifier: MIT
#include "backend/cuda/product.cuh"

// Blocks that a multiprocessor is to have room for, and records on their way in each warp.
#define FEW_BLOCKS(F, TILES, PLANES) ((TILES) <= 1 && F::is_int4 && F::is_k && (PLANES) == 1 ? 3 : 2)
#define FEW_DEPTH(F, TILES, PLANES) \
    ((TILES) <= 1 ? (F::is_int4 && FEW_BLOCKS(F, TILES, PLANES) == 2 ? 6 : F::is_float && !F::is_f8 ? 3 : 4) : (TILES) == 2 ? 3 : 2)

// A block has one tile of 16 output rows; warp w takes every eighth block from w on, so that it holds partial sum w.
template <class F, int TILES, int PLANES>
static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, FEW_BLOCKS(F, TILES, PLANES))
matrix_decode(rti_matrix_work work, rti_rounded in, rti_pass_rows rows)
{
    RTI_SHARED(float, parts);
    constexpr int depth = FEW_DEPTH(F, TILES, PLANES), tiles = tile_count(TILES);
    constexpr bool is_slow = TILES == 4 && !F::is_float; // a step takes longer than a load
    const rti_pass_header header = rti_read_header(rows);
    const int warp = (int)threadIdx.x / RTI_WARP, lane = (int)threadIdx.x % RTI_WARP;
    const rti_share share = rti_find_share<1>(work, (int)blockIdx.y);
    const int steps = (work.blocks - warp + RTI_PARTIALS - 1) / RTI_PARTIALS;
    const uint8_t *record = share.values + ((size_t)share.group * (size_t)work.blocks + (size_t)warp) * F::record_bytes;
    const uint8_t *super = F::is_k ? share.supers + (size_t)share.group * (size_t)((work.blocks + 7) / 8) * RTI_SUPER_BYTES : NULL;
    raw_record<F> raw[depth];
    if (!is_slow) begin_rounds<F, depth>(record, super, lane, steps, raw); // before the header is here
    const int row_count = work.logits_rows ? header.logits_count : header.row_count, row_begin = (int)blockIdx.x * tiles * RTI_TOKEN_TILE;
    if (rti_stopped(header) || row_begin >= row_count) return;

    float sum[tiles][4];
    RTI_UNROLL
    for (int i = 0; i < tiles; i++) sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = 0.0f;
    const activation_reader<PLANES> reader = find_activations<TILES, PLANES>(in, row_begin, row_count, warp, lane);
    if (is_slow) add_blocks<F, TILES, PLANES>(record, super, lane, steps, reader, sum);
    else run_rounds<F, TILES, PLANES, depth>(record, super, lane, steps, raw, reader, sum);
    const unsigned seen = rti_look_far(rows);
    RTI_UNROLL
    for (int tile = 0; tile < tiles; tile++)
        *(float4 *)(parts + warp * tiles * 128 + tile * 128 + lane * 4) = make_float4(sum[tile][0], sum[tile][1], sum[tile][2], sum[tile][3]);
    __syncthreads();
    rti_combine_partials<tiles>(work, share, parts, share.group, row_begin, row_count);
    rti_leave_word(rows, header, seen);
}

template <class F, int TILES>
static void launch_tiles(const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    constexpr int rows_each = tile_count(TILES) * RTI_TOKEN_TILE;
    dim3 grid((unsigned)((max_rows + rows_each - 1) / rows_each), (unsigned)rti_block_count<1>(work));
    size_t shared = sizeof(float) * RTI_PARTIALS * rows_each * RTI_GROUP;
    if constexpr (F::is_float) RTI_LAUNCH((matrix_decode<F, TILES, SPLIT>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, work, in, rows);
    else if (in.planes == 2) RTI_LAUNCH((matrix_decode<F, TILES, 2>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, work, in, rows);
    else RTI_LAUNCH((matrix_decode<F, TILES, 1>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, work, in, rows);
}

template <class F> struct few_rows {
    static void launch(const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
    {
        if (max_rows <= 1) launch_tiles<F, SINGLE_ROW>(work, in, rows, max_rows, stream);
        else if (max_rows <= 8) launch_tiles<F, 1>(work, in, rows, max_rows, stream);
        else if (max_rows <= 16) launch_tiles<F, 2>(work, in, rows, max_rows, stream);
        else launch_tiles<F, 4>(work, in, rows, max_rows, stream);
    }
};

cudaError_t rti_launch_tiles(const rti_device_matrix &first, const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows,
                                 int max_rows, cudaStream_t stream)
{
    if (max_rows > RTI_FEW_ROWS) return rti_launch_prompt(first, work, in, rows, max_rows, stream);
    rti_with_form<few_rows>(first, work, in, rows, max_rows, stream);
    return cudaGetLastError();
}
