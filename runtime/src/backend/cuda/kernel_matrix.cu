// Matrix products: quantised weights on the tensor cores with exact sums inside a block; float32 weights, and every type in exact
// mode, on the ordinary ones. kernel_halves.cu has F16, BF16 and F8.
//
// Bytes moved: each tile of 16 output rows reads its weights once for up to TILES * 8 activation rows.
// SPDX-License-Identifier: MIT
#include "backend/cuda/matrix.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// The tensor-core product: D (16 x 8, int32) = A (16 x 32, int8) B (32 x 8, int8) + C
// ---------------------------------------------------------------------------------------------------------------------
//
// Lane = 4 g + t holds (PTX ISA, "Matrix Fragments for mma.m16n8k32"):
//   A: a0 row g, columns 4t..4t+3;  a1 row g + 8, the same;  a2 row g, columns 16+4t..;  a3 row g + 8, columns 16+4t..
//   B: b0 rows 4t..4t+3 of column g;  b1 rows 16+4t.. of column g
//   D: d0 row g, column 2t;  d1 row g, column 2t+1;  d2 row g + 8, column 2t;  d3 row g + 8, column 2t+1
// SECOND half only / FIRST half only: the other half's A registers are given as 0.

static __device__ __forceinline__ void multiply_tile(const int a[4], const int b[2], int d[4])
{
#if defined(RTI_CUDA_EMULATION)
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int fragment[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    rti_emulation::warp_publish(fragment, sizeof fragment);
    for (int i = 0; i < 4; i++) d[i] = 0;
    for (int step = 0; step < 4; step++) { // step: whose columns of A and rows of B come next
        const int *from_a = (const int *)rti_emulation::warp_peek(g * 4 + step);
        for (int i = 0; i < 4; i++) {
            const int *from_b = (const int *)rti_emulation::warp_peek((2 * t + i % 2) * 4 + step) + 4;
            d[i] = __dp4a(from_a[i / 2], from_b[0], __dp4a(from_a[2 + i / 2], from_b[1], d[i]));
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(0));
#else
    // Turing: four products of 8 x 8 x 16. Their fragments are the quarters of the ones above.
    for (int r = 0; r < 2; r++) {
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%4, %4};"
            : "=r"(d[2 * r]), "=r"(d[2 * r + 1]) : "r"(a[r]), "r"(b[0]), "r"(0));
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
            : "+r"(d[2 * r]), "+r"(d[2 * r + 1]) : "r"(a[2 + r]), "r"(b[1]));
    }
#endif
}

// ---------------------------------------------------------------------------------------------------------------------
// Quantised weights
// ---------------------------------------------------------------------------------------------------------------------

// Four bytes with a nibble each, made signed where the layout has no offsets (Q4_0: value - 8).
static __device__ __forceinline__ int center(int nibbles, bool has_offsets)
{
    if (has_offsets) return nibbles;
    // Bytes 0..15 minus 8, without borrow between bytes: set bit 7 first, clear it after by xor.
    unsigned x = ((unsigned)nibbles | 0x80808080u) - 0x08080808u;
    return (int)(x ^ 0x80808080u);
}

// A lane's share of a tile's block: rows g and g + 8, columns 4t..4t+3 and 16+4t..16+4t+3.
static __device__ __forceinline__ void load_weights(const rti_device_matrix &m, size_t block, int g, int t, int a[4])
{
    if (m.layout == RTI_LAYOUT_INT4) {
        const int *values = (const int *)(m.values + block * RTI_GROUP * 16);
        int low = values[g * 4 + t], high = values[(g + 8) * 4 + t];
        bool has_offsets = m.offsets != NULL;
        a[0] = center(low & 0x0f0f0f0f, has_offsets);
        a[1] = center(high & 0x0f0f0f0f, has_offsets);
        a[2] = center((int)((unsigned)low >> 4) & 0x0f0f0f0f, has_offsets);
        a[3] = center((int)((unsigned)high >> 4) & 0x0f0f0f0f, has_offsets);
    } else {
        const int *values = (const int *)(m.values + block * RTI_GROUP * 32);
        a[0] = values[g * 8 + t];
        a[1] = values[(g + 8) * 8 + t];
        a[2] = values[g * 8 + 4 + t];
        a[3] = values[(g + 8) * 8 + 4 + t];
    }
}

// product[0] is of all 32 columns, or of the first 16 with the rest in product[1]. The second plane: 256 times the first's and its own.
static __device__ __forceinline__ void multiply_plane(const int a[4], const int bits[2], bool halves, bool is_second, int (*product)[4])
{
    int first[4] = {a[0], a[1], halves ? 0 : a[2], halves ? 0 : a[3]}, d[4];
    multiply_tile(first, bits, d);
    for (int i = 0; i < 4; i++) product[0][i] = is_second ? product[0][i] * 256 + d[i] : d[i];
    if (!halves) return;
    int second[4] = {0, 0, a[2], a[3]};
    multiply_tile(second, bits, d);
    for (int i = 0; i < 4; i++) product[1][i] = is_second ? product[1][i] * 256 + d[i] : d[i];
}

// What a lane needs of one block of 32 columns of one tile.
struct weight_block {
    int a[4];
    float scale[2][2], offset[2]; // [row g or g + 8][half]
};

static __device__ __forceinline__ void load_block(const rti_device_matrix &m, int group, int b, int lane, weight_block *w)
{
    int g = lane / 4;
    size_t block = (size_t)group * (size_t)m.blocks + (size_t)b;
    load_weights(m, block, g, lane % 4, w->a);
    bool halves = m.layout == RTI_LAYOUT_INT8_HALF;
    for (int r = 0; r < 2; r++) {
        int row = g + 8 * r;
        size_t at = block * RTI_GROUP + (size_t)row;
        w->scale[r][0] = rti_scale_of(m, m.scales, halves ? at * 2 : at, group, b, row, 0);
        w->scale[r][1] = halves ? rti_scale_of(m, m.scales, at * 2 + 1, group, b, row, 0) : 0.0f;
        w->offset[r] = m.offsets ? rti_scale_of(m, m.offsets, at, group, b, row, 1) : 0.0f;
    }
}

// One block into the accumulators of TILES tiles of 8 activation rows.
template <int TILES, int PLANES>
static __device__ __forceinline__ void accumulate_block(const rti_device_matrix &m, const rti_activations &in, const weight_block &w, int b,
                                                        int row_begin, int row_count, int lane, float (*sum)[4])
{
    int g = lane / 4, t = lane % 4;
    bool halves = m.layout == RTI_LAYOUT_INT8_HALF;
    for (int tile = 0; tile < TILES; tile++) {
        int load_row = row_begin + tile * RTI_TOKEN_TILE + g;
        int product[2][4];
        for (int plane = 0; plane < PLANES; plane++) {
            int bits[2] = {0, 0};
            if (load_row < row_count) {
                size_t at = ((size_t)load_row * (size_t)m.blocks + (size_t)b) * RTI_BLOCK_COLUMNS;
                const int *q = (const int *)((plane == 0 ? in.rounded.upper : in.rounded.lower) + at);
                bits[0] = q[t];
                bits[1] = q[4 + t];
            }
            multiply_plane(w.a, bits, halves, plane > 0, product);
        }
        for (int i = 0; i < 4; i++) {
            int row = row_begin + tile * RTI_TOKEN_TILE + 2 * t + (i & 1);
            if (row >= row_count) continue;
            size_t at = (size_t)row * (size_t)m.blocks + (size_t)b;
            float step = in.rounded.scales[at];
            float s = sum[tile][i];
            s = __fmaf_rn(__fmul_rn(w.scale[i / 2][0], step), __int2float_rn(product[0][i]), s);
            if (halves) s = __fmaf_rn(__fmul_rn(w.scale[i / 2][1], step), __int2float_rn(product[1][i]), s);
            if (m.offsets) s = __fmaf_rn(w.offset[i / 2], in.rounded.sums[at], s);
            sum[tile][i] = s;
        }
    }
}

template <int TILES, int PLANES>
static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2)
matrix_quantised(rti_device_matrix m, rti_activations in, int group_begin, rti_matrix_target to, rti_pass_rows rows, bool logits_rows)
{
    RTI_SHARED(float, parts);
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(rows, header)) return;
    int row_count = logits_rows ? header.logits_count : header.row_count;
    int row_begin = (int)blockIdx.y * TILES * RTI_TOKEN_TILE;
    if (row_begin >= row_count) return;
    int warp = (int)threadIdx.x / RTI_WARP, lane = (int)threadIdx.x % RTI_WARP;
    int group = group_begin + (int)blockIdx.x;
    float sum[TILES][4];
    for (int i = 0; i < TILES; i++) sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = 0.0f;
    // Several blocks are on their way while one is worked on: it takes that many bytes in flight to fill the memory's time.
    const int depth = TILES == 1 ? 4 : 2;
    for (int first = warp; first < m.blocks; first += RTI_PARTIALS * depth) {
        weight_block w[depth];
        RTI_UNROLL
        for (int i = 0; i < depth; i++)
            if (first + RTI_PARTIALS * i < m.blocks) load_block(m, group, first + RTI_PARTIALS * i, lane, &w[i]);
        RTI_UNROLL
        for (int i = 0; i < depth; i++) {
            int b = first + RTI_PARTIALS * i;
            if (b < m.blocks) accumulate_block<TILES, PLANES>(m, in, w[i], b, row_begin, row_count, lane, sum);
        }
    }
    for (int tile = 0; tile < TILES; tile++)
        for (int i = 0; i < 4; i++) parts[warp * TILES * 128 + tile * 128 + lane * 4 + i] = sum[tile][i];
    __syncthreads();
    rti_combine_partials<TILES>(m, to, parts, group, row_begin, row_count, false);
}

// ---------------------------------------------------------------------------------------------------------------------
// Float activations (float weights; every type in exact mode): a warp an output row, lanes over columns
// ---------------------------------------------------------------------------------------------------------------------

#define FLOAT_ROWS 8 // activation rows a warp carries at once

static __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP)
matrix_float(rti_device_matrix m, rti_activations in, int output_begin, int output_end, rti_matrix_target to, rti_pass_rows rows, bool logits_rows)
{
    const rti_pass_header header = rti_read_header(rows);
    if (rti_stopped(rows, header)) return;
    int row_count = logits_rows ? header.logits_count : header.row_count;
    int row_begin = (int)blockIdx.y * FLOAT_ROWS;
    int output_row = output_begin + (int)blockIdx.x * RTI_PARTIALS + (int)threadIdx.x / RTI_WARP;
    if (row_begin >= row_count || output_row >= output_end || output_row >= m.rows) return;
    int lane = (int)threadIdx.x % RTI_WARP;
    float sum[FLOAT_ROWS] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    for (int column = lane; column < m.columns; column += RTI_WARP) {
        float w = rti_element(m, output_row, column);
        for (int r = 0; r < FLOAT_ROWS; r++)
            if (row_begin + r < row_count) sum[r] = __fmaf_rn(w, in.values[(size_t)(row_begin + r) * (size_t)m.columns + (size_t)column], sum[r]);
    }
    for (int r = 0; r < FLOAT_ROWS; r++) {
        float total = rti_warp_sum(sum[r]);
        if (lane == 0 && row_begin + r < row_count) rti_finish(m, to, output_row, row_begin + r, total);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Launching
// ---------------------------------------------------------------------------------------------------------------------

template <int TILES>
static void launch_quantised(const rti_device_matrix &m, const rti_activations &in, int group_begin, int group_end, const rti_matrix_target &to,
                             const rti_pass_rows &rows, int max_rows, bool logits_rows, cudaStream_t stream)
{
    dim3 grid((unsigned)(group_end - group_begin), (unsigned)((max_rows + TILES * RTI_TOKEN_TILE - 1) / (TILES * RTI_TOKEN_TILE)));
    size_t shared = sizeof(float) * RTI_PARTIALS * TILES * 128;
    if (in.rounded.lower)
        RTI_LAUNCH((matrix_quantised<TILES, 2>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, m, in, group_begin, to, rows, logits_rows);
    else
        RTI_LAUNCH((matrix_quantised<TILES, 1>), grid, RTI_PARTIALS * RTI_WARP, shared, stream, m, in, group_begin, to, rows, logits_rows);
}

cudaError_t rti_launch_matrix(const rti_device_matrix &m, const rti_activations &in, int group_begin, int group_end, const float *bias,
                              float *y, int y_stride, rti_matrix_output output, float softcap, const rti_pass_rows &rows, int max_rows,
                              bool logits_rows, cudaStream_t stream)
{
    if (group_end <= group_begin) return cudaSuccess;
    rti_matrix_target to = {bias, y, y_stride, (int)output, softcap};
    if (m.by_tensor_cores) return rti_launch_halves(m, in.values, group_begin, group_end, to, rows, max_rows, logits_rows, stream);
    if (m.layout >= RTI_LAYOUT_F32 || !in.rounded.upper) {
        int outputs = (group_end - group_begin) * RTI_GROUP;
        dim3 grid((unsigned)((outputs + RTI_PARTIALS - 1) / RTI_PARTIALS), (unsigned)((max_rows + FLOAT_ROWS - 1) / FLOAT_ROWS));
        RTI_LAUNCH(matrix_float, grid, RTI_PARTIALS * RTI_WARP, 0, stream, m, in, group_begin * RTI_GROUP, group_end * RTI_GROUP, to, rows,
                   logits_rows);
    } else if (max_rows <= 8) {
        launch_quantised<1>(m, in, group_begin, group_end, to, rows, max_rows, logits_rows, stream);
    } else if (max_rows <= 16) {
        launch_quantised<2>(m, in, group_begin, group_end, to, rows, max_rows, logits_rows, stream);
    } else {
        launch_quantised<4>(m, in, group_begin, group_end, to, rows, max_rows, logits_rows, stream);
    }
    return cudaGetLastError();
}
