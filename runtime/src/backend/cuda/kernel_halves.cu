// Matrix products of F16, BF16 and FP8 weights on the tensor cores: operands of bfloat16, sums of float32.
//
// An activation is two bfloat16, its rounding and what that leaves: 16 bits. So is an F16 weight, without loss; BF16 and FP8 are one
// as they are. One kernel for one row or five hundred, blocks and partial sums in the order of kernels.cuh, so that prompt
// processing gives the bits that decoding gives. Bytes moved: a tile's weights once for up to TILES * 8 activation rows.
// SPDX-License-Identifier: MIT
#include "backend/cuda/matrix.cuh"

// D (16 x 8, float) = A (16 x 16, bfloat16) B (16 x 8, bfloat16) + D. Lane = 4 g + t holds (PTX ISA, "Matrix Fragments for
// mma.m16n8k16"), two neighbours in a register:
//   A: a0 row g, columns 2t, 2t+1;  a1 row g + 8, the same;  a2 row g, columns 2t+8, 2t+9;  a3 row g + 8, the same
//   B: b0 rows 2t, 2t+1 of column g;  b1 rows 2t+8, 2t+9 of column g
//   D: d0 row g, column 2t;  d1 row g, column 2t+1;  d2 row g + 8, column 2t;  d3 row g + 8, column 2t+1
static __device__ __forceinline__ void multiply_tile(const unsigned a[4], const unsigned b[2], float d[4])
{
#if defined(RTI_CUDA_EMULATION)
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    unsigned fragment[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    rti_emulation::warp_publish(fragment, sizeof fragment);
    for (int k = 0; k < 16; k++) { // the hardware's own order is not said; any will do, so long as it is one
        const unsigned *from_a = (const unsigned *)rti_emulation::warp_peek(g * 4 + k % 8 / 2);
        for (int i = 0; i < 4; i++) {
            const unsigned *from_b = (const unsigned *)rti_emulation::warp_peek((2 * t + i % 2) * 4 + k % 8 / 2) + 4;
            unsigned x = from_a[i / 2 + k / 8 * 2], y = from_b[k / 8];
            d[i] = __fmaf_rn(__uint_as_float(k % 2 ? x & 0xffff0000u : x << 16), __uint_as_float(k % 2 ? y & 0xffff0000u : y << 16), d[i]);
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    (void)a, (void)b, (void)d; // never launched: Turing has no products of bfloat16
#endif
}

// Two floats to bfloat16, to nearest even, the first in the lower half.
static __device__ __forceinline__ unsigned pack(float first, float second)
{
#if !defined(RTI_CUDA_EMULATION) && __CUDA_ARCH__ >= 800
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    return packed;
#else
    unsigned a = __float_as_uint(first), b = __float_as_uint(second);
    a = (a + 0x7fffu + (a >> 16 & 1u)) >> 16;
    b = (b + 0x7fffu + (b >> 16 & 1u)) & 0xffff0000u;
    return a | b;
#endif
}

// What rounding to bfloat16 has left of two floats.
static __device__ __forceinline__ unsigned pack_rest(float first, float second, unsigned packed)
{
    return pack(__fadd_rn(first, -__uint_as_float(packed << 16)), __fadd_rn(second, -__uint_as_float(packed & 0xffff0000u)));
}

// A lane's share of a block as it lies in memory.
struct loaded_block {
    uint4 words[2]; // F8: only the first
};

static __device__ __forceinline__ loaded_block load_block(rti_layout layout, const uint8_t *values, size_t block, int lane)
{
    loaded_block loaded;
    if (layout == RTI_LAYOUT_F8) {
        loaded.words[0] = ((const uint4 *)values)[block * 32 + (size_t)lane];
        loaded.words[1] = loaded.words[0];
    } else {
        loaded.words[0] = ((const uint4 *)values)[block * 64 + (size_t)lane];
        loaded.words[1] = ((const uint4 *)values)[block * 64 + 32 + (size_t)lane];
    }
    return loaded;
}

// 16 columns (half 0 or 1) as operands: `rest` is for F16.
static __device__ __forceinline__ void unpack(rti_layout layout, const loaded_block &loaded, int half, unsigned a[4], unsigned rest[4])
{
    const uint4 &w = loaded.words[half];
    if (layout == RTI_LAYOUT_F8) {
        unsigned pairs[2] = {half ? w.z : w.x, half ? w.w : w.y};
        for (int i = 0; i < 4; i++) {
            unsigned pair = pairs[i / 2] >> 16 * (i % 2);
            a[i] = pack(rti_f8_bits_to_float((uint8_t)pair), rti_f8_bits_to_float((uint8_t)(pair >> 8)));
        }
        return;
    }
    a[0] = w.x, a[1] = w.y, a[2] = w.z, a[3] = w.w;
    if (layout == RTI_LAYOUT_BF16) return;
    for (int i = 0; i < 4; i++) {
        float first = rti_half_bits_to_float((uint16_t)a[i]), second = rti_half_bits_to_float((uint16_t)(a[i] >> 16));
        a[i] = pack(first, second);
        rest[i] = pack_rest(first, second, a[i]);
    }
}

// Two neighbouring activations of a row; past the last column zeros.
static __device__ __forceinline__ float2 load_pair(const float *row, int column, int columns)
{
    if (columns % 2 == 0 && column + 1 < columns) return *(const float2 *)(row + column);
    return make_float2(column < columns ? row[column] : 0.0f, column + 1 < columns ? row[column + 1] : 0.0f);
}

template <int TILES>
static __device__ __forceinline__ void accumulate_block(rti_layout layout, int columns, const float *values, const loaded_block &loaded, int b,
                                                        int row_begin, int row_count, int lane, float (*sum)[4])
{
    int g = lane / 4, t = lane % 4;
    RTI_UNROLL
    for (int half = 0; half < 2; half++) {
        unsigned a[4], rest[4];
        unpack(layout, loaded, half, a, rest);
        RTI_UNROLL
        for (int tile = 0; tile < TILES; tile++) {
            int row = row_begin + tile * RTI_TOKEN_TILE + g, column = b * 32 + half * 16 + 2 * t;
            float2 x = make_float2(0.0f, 0.0f), y = x;
            if (row < row_count) {
                const float *in = values + (size_t)row * (size_t)columns;
                x = load_pair(in, column, columns);
                y = load_pair(in, column + 8, columns);
            }
            unsigned upper[2] = {pack(x.x, x.y), pack(y.x, y.y)};
            unsigned lower[2] = {pack_rest(x.x, x.y, upper[0]), pack_rest(y.x, y.y, upper[1])};
            multiply_tile(a, upper, sum[tile]);
            multiply_tile(a, lower, sum[tile]);
            if (layout == RTI_LAYOUT_F16) multiply_tile(rest, upper, sum[tile]);
        }
    }
}

template <int TILES>
static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2)
matrix_halves(rti_layout layout, rti_matrix_work work, const float *values, rti_pass_rows rows)
{
    RTI_SHARED(float, parts);
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(rows, header)) return;
    int row_count = work.logits_rows ? header.logits_count : header.row_count;
    int row_begin = (int)blockIdx.x * TILES * RTI_TOKEN_TILE;
    if (row_begin >= row_count) return;
    int warp = (int)threadIdx.x / RTI_WARP, lane = (int)threadIdx.x % RTI_WARP;
    const rti_share share = rti_find_share<1>(work, (int)blockIdx.y);
    const size_t first_block = (size_t)share.group * (size_t)work.blocks;
    float sum[TILES][4];
    RTI_UNROLL
    for (int i = 0; i < TILES; i++) sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = 0.0f;
    // Several blocks are on their way while one is worked on.
    const int depth = TILES == 1 ? 4 : 2;
    for (int first = warp; first < work.blocks; first += RTI_PARTIALS * depth) {
        loaded_block loaded[depth];
        RTI_UNROLL
        for (int i = 0; i < depth; i++)
            if (first + RTI_PARTIALS * i < work.blocks) loaded[i] = load_block(layout, share.values, first_block + (size_t)(first + RTI_PARTIALS * i), lane);
        RTI_UNROLL
        for (int i = 0; i < depth; i++) {
            int b = first + RTI_PARTIALS * i;
            if (b < work.blocks) accumulate_block<TILES>(layout, work.columns, values, loaded[i], b, row_begin, row_count, lane, sum);
        }
    }
    RTI_UNROLL
    for (int tile = 0; tile < TILES; tile++)
        for (int i = 0; i < 4; i++) parts[warp * TILES * 128 + tile * 128 + lane * 4 + i] = sum[tile][i];
    __syncthreads();
    rti_combine_partials<TILES>(work, share, parts, share.group, row_begin, row_count);
}

template <int TILES>
static void launch(rti_layout layout, const rti_matrix_work &work, const float *values, const rti_pass_rows &rows, int max_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)((max_rows + TILES * RTI_TOKEN_TILE - 1) / (TILES * RTI_TOKEN_TILE)), (unsigned)rti_block_count<1>(work));
    size_t shared = sizeof(float) * RTI_PARTIALS * TILES * 128;
    RTI_LAUNCH(matrix_halves<TILES>, grid, RTI_PARTIALS * RTI_WARP, shared, stream, layout, work, values, rows);
}

cudaError_t rti_launch_halves(const rti_device_matrix &first, const rti_matrix_work &work, const float *values, const rti_pass_rows &rows,
                              int max_rows, cudaStream_t stream)
{
    if (max_rows <= 8) launch<1>(first.layout, work, values, rows, max_rows, stream);
    else if (max_rows <= 16) launch<2>(first.layout, work, values, rows, max_rows, stream);
    else launch<4>(first.layout, work, values, rows, max_rows, stream);
    return cudaGetLastError();
}
