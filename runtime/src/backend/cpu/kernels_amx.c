// backend/cpu/kernels_amx.c - the AVX-512 kernels, with AMX-INT8 tiles where there are enough rows of activations.
//
// A block of a panel is a tile of weights as it stands: 8 quads of 16 rows are 8 tile rows of 64 bytes. So one tile product
// gives the exact integer sums of a block for 16 rows of activations; what follows is the same as everywhere, so the bits are
// the same too.
//
// SPDX-License-Identifier: MIT
#if defined(__x86_64__)
#include "backend/cpu/kernel_table.h"

#define TILE_ROWS 16
#define AMX_LEAST_ROWS 8 // fewer are faster without tiles

typedef struct tile_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t column_bytes[16];
    uint8_t rows[16];
} tile_configuration;

// Tile 0: sums, rows x 16 lanes. 1: activations, rows x 32 columns. 2: weights, 8 quads x 16 lanes. 3, 4: the second plane.
static void tiles_configure(int32_t rows)
{
    tile_configuration configuration __attribute__((aligned(64))) = {.palette = 1};
    const uint8_t height[5] = {(uint8_t)rows, (uint8_t)rows, 8, (uint8_t)rows, (uint8_t)rows};
    const uint16_t width[5] = {64, 32, 64, 64, 32};
    memcpy(configuration.rows, height, sizeof height);
    memcpy(configuration.column_bytes, width, sizeof width);
    // Some compilers believe that only part of it is read.
    __asm__ volatile("" : : "r"(&configuration) : "memory");
    _tile_loadconfig(&configuration);
}

// Integer sums of one block (both halves of its columns apart where `halves`), for `rows` rows: sums[half][row][lane].
ALWAYS_INLINE void block_sums(const int planes, const bool halves, const int8_t *q, const int8_t *low, size_t stride,
                              const uint8_t quads[8 * 64], const uint8_t parted[2][8 * 64], int32_t sums[2][TILE_ROWS][16],
                              int32_t low_sums[2][TILE_ROWS][16])
{
    for (int half = 0; half < (halves ? 2 : 1); half++) {
        _tile_loadd(2, halves ? parted[half] : quads, 64);
        _tile_zero(0);
        _tile_loadd(1, q, (long)stride);
        _tile_dpbsud(0, 1, 2);
        _tile_stored(0, sums[half], 64);
        if (planes == 2) {
            _tile_zero(3);
            _tile_loadd(4, low, (long)stride);
            _tile_dpbsud(3, 4, 2);
            _tile_stored(3, low_sums[half], 64);
        }
    }
}

ALWAYS_INLINE void panel_times_tile(const rti_bits bits, const rti_scales scales, const int offset, const int group,
                                    const int header_bytes, const int block_bytes, const int planes, const rti_packed *m, int32_t panel,
                                    const rti_act *in, int32_t row, int32_t rows, float *out, size_t out_stride)
{
    const bool halves = scales_halves(scales), minimum = scales_minimum(scales);
    const rti_act_rounding *rounding = &in->rounding[planes - 1];
    const uint8_t *header = m->data + (size_t)panel * m->panel_bytes;
    uint8_t quads[8 * 64] __attribute__((aligned(64))), parted[2][8 * 64] __attribute__((aligned(64)));
    int32_t sums[2][TILE_ROWS][16] __attribute__((aligned(64))), low_sums[2][TILE_ROWS][16] __attribute__((aligned(64)));
    vf acc[TILE_ROWS];
    memset(parted, 0, sizeof parted);
    for (int32_t r = 0; r < rows; r++) {
        acc[r] = vf_set(0.0f);
    }
    for (int32_t block = 0, within = 0; block < m->blocks; block++) {
        const uint8_t *values = header + header_bytes + within * block_bytes;
        const size_t at = (size_t)row * in->stride + (size_t)block * RTI_BLOCK_COLUMNS;
UNROLL(4)
        for (int i = 0; i < 4; i++) {
            vi low, high;
            quads_unpack(bits, values, m->form->table, i, &low, &high);
            _mm512_store_si512(halves ? parted[0] + 64 * i : quads + 64 * i, low);
            _mm512_store_si512(halves ? parted[1] + 64 * (i + 4) : quads + 64 * (i + 4), high);
        }
        block_sums(planes, halves, in->q + at, planes == 2 ? in->low + at : NULL, in->stride, quads, (const uint8_t(*)[8 * 64])parted, sums, low_sums);
        const block_scales s = scales_load(scales, header, within, 0);
        for (int32_t r = 0; r < rows; r++) {
            const size_t k = (size_t)(row + r) * in->scale_stride + (size_t)block;
            const vf d = vf_set(rounding->scales[k].d);
            for (int half = 0; half < (halves ? 2 : 1); half++) {
                vi sum = vi_load(sums[half][r]);
                if (planes == 2) {
                    sum = vi_add(vi_left(sum, 8), vi_load(low_sums[half][r]));
                }
                int32_t minus = halves ? rounding->halves[k].minus_sum[half] : rounding->minus_sums[k];
                sum = vi_add(sum, vi_set(offset * minus));
                acc[r] = vf_fma(vf_mul(s.d[half], d), vf_from_int(sum), acc[r]);
            }
            if (minimum && halves) {
                acc[r] = vf_fma(s.m[0], vf_set(rounding->halves[k].s[0]), acc[r]);
                acc[r] = vf_fma(s.m[1], vf_set(rounding->halves[k].s[1]), acc[r]);
            } else if (minimum) {
                acc[r] = vf_fma(s.m[0], vf_set(rounding->scales[k].s), acc[r]);
            }
        }
        if (++within == group) {
            within = 0;
            header += header_bytes + group * block_bytes;
        }
    }
    for (int32_t r = 0; r < rows; r++) {
        vf_store(out + (size_t)r * out_stride, acc[r]);
    }
}

#define DEFINE_TILED(name, bits, scales, offset, group, header, block)                                                           \
    static void name##_tiled(const rti_packed *m, int32_t panel, int32_t planes, const rti_act *in, int32_t row, int32_t rows,   \
                             float *out, size_t out_stride)                                                                      \
    {                                                                                                                            \
        if (planes == 2) {                                                                                                       \
            panel_times_tile(bits, scales, offset, group, header, block, 2, m, panel, in, row, rows, out, out_stride);           \
        } else {                                                                                                                 \
            panel_times_tile(bits, scales, offset, group, header, block, 1, m, panel, in, row, rows, out, out_stride);           \
        }                                                                                                                        \
    }
INTEGER_FORMS(DEFINE_TILED)

static void one_tile(const rti_packed *m, int32_t panel, int32_t planes, const rti_act *in, int32_t row, int32_t rows, float *out, size_t out_stride)
{
    switch (m->form->type) {
#define TILED_CASE(tag, name) \
    case tag: name##_tiled(m, panel, planes, in, row, rows, out, out_stride); break;
        TILED_CASE(RTI_TYPE_Q4_0, q4_0)
        TILED_CASE(RTI_TYPE_Q4_1, q4_1)
        TILED_CASE(RTI_TYPE_Q5_0, q5_0)
        TILED_CASE(RTI_TYPE_Q5_1, q5_1)
        TILED_CASE(RTI_TYPE_Q8_0, q8_0)
        TILED_CASE(RTI_TYPE_Q2_K, q2_k)
        TILED_CASE(RTI_TYPE_Q3_K, q3_k)
        TILED_CASE(RTI_TYPE_Q4_K, q4_k)
        TILED_CASE(RTI_TYPE_Q5_K, q5_k)
        TILED_CASE(RTI_TYPE_Q6_K, q6_k)
        TILED_CASE(RTI_TYPE_IQ4_NL, iq4_nl)
        TILED_CASE(RTI_TYPE_IQ4_XS, iq4_xs)
        TILED_CASE(RTI_TYPE_MXFP4, mxfp4)
#undef TILED_CASE
    default: break;
    }
}

static void matrix_tiled(const rti_packed *m, int32_t panel, int32_t planes, const rti_act *in, int32_t row, int32_t count, float *out,
                         size_t out_stride)
{
    bool configured = false;
    while (count >= AMX_LEAST_ROWS) {
        int32_t rows = RTI_MIN(count, TILE_ROWS);
        tiles_configure(rows);
        configured = true;
        one_tile(m, panel, planes, in, row, rows, out, out_stride);
        count -= rows;
        row += rows;
        out += (size_t)rows * out_stride;
    }
    if (configured) {
        _tile_release(); // a thread that keeps tiles costs more to switch
    }
    if (count > 0) {
        matrix_fast(m, panel, planes, in, row, count, out, out_stride);
    }
}

const rti_kernels rti_kernels_amx = KERNEL_TABLE_WITH(RT_ISA_AMX, "amx, avx512, vnni", matrix_tiled);
#endif
