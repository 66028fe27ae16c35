// backend/cpu/kernel_float.h - matrix times float activations: float weights, and every type where exactness is asked for.
//
// A few rows take float weights as they come from memory; more rows have a block made floats once. The sums are the same ones
// in the same order: cpu.h has the contract.
//
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_KERNEL_FLOAT_H
#define RTI_CPU_KERNEL_FLOAT_H

#include "backend/cpu/kernel_matrix.h"

ALWAYS_INLINE void decode_integer(const rti_bits bits, const rti_scales scales, const int offset, const uint8_t *header,
                                  const uint8_t *values, int within, const uint8_t *table, float *out)
{
    const bool halves = scales_halves(scales), minimum = scales_minimum(scales);
    const vi byte = vi_set(255), zero = vi_set(offset);
    for (int p = 0; p < PARTS; p++) {
        block_scales s = scales_load(scales, header, within, p * LANES);
        for (int i = 0; i < 4; i++) {
            vi quad[2];
            quads_unpack(bits, values + p * LANES * 4, table, i, &quad[0], &quad[1]);
            for (int h = 0; h < 2; h++) {
                for (int c = 0; c < 4; c++) {
                    vf q = vf_from_int(vi_sub(vi_and(vi_right(quad[h], 8 * c), byte), zero));
                    vf w = vf_mul(s.d[halves ? h : 0], q);
                    if (minimum) {
                        w = vf_add(w, s.m[halves ? h : 0]);
                    }
                    vf_store(out + (4 * (i + 4 * h) + c) * 16 + p * LANES, w);
                }
            }
        }
    }
}

// A block of a panel as floats: out[column * 16 + lane].
static void block_decode(const rti_packed *m, int32_t panel, int32_t block, float *out)
{
    const rti_form *form = m->form;
    const uint8_t *header = rti_packed_header(m, panel, block);
    int within = block % form->group;
    const uint8_t *values = header + form->header_bytes + (size_t)within * (size_t)form->block_bytes;
    switch (form->type) {
#define DECODE_CASE(tag, bits, scales, offset) \
    case tag: decode_integer(bits, scales, offset, header, values, within, form->table, out); break;
        DECODE_CASE(RTI_TYPE_Q4_0, RTI_BITS_4, RTI_SCALES_HALF, 8)
        DECODE_CASE(RTI_TYPE_Q4_1, RTI_BITS_4, RTI_SCALES_HALF_MINIMUM, 0)
        DECODE_CASE(RTI_TYPE_Q5_0, RTI_BITS_5, RTI_SCALES_HALF, 16)
        DECODE_CASE(RTI_TYPE_Q5_1, RTI_BITS_5, RTI_SCALES_HALF_MINIMUM, 0)
        DECODE_CASE(RTI_TYPE_Q8_0, RTI_BITS_8, RTI_SCALES_HALF, 128)
        DECODE_CASE(RTI_TYPE_Q2_K, RTI_BITS_4, RTI_SCALES_K16_MINIMUM, 0)
        DECODE_CASE(RTI_TYPE_Q3_K, RTI_BITS_4, RTI_SCALES_K16, 4)
        DECODE_CASE(RTI_TYPE_Q4_K, RTI_BITS_4, RTI_SCALES_K32_MINIMUM, 0)
        DECODE_CASE(RTI_TYPE_Q5_K, RTI_BITS_5, RTI_SCALES_K32_MINIMUM, 0)
        DECODE_CASE(RTI_TYPE_Q6_K, RTI_BITS_6, RTI_SCALES_K16, 32)
        DECODE_CASE(RTI_TYPE_IQ4_NL, RTI_BITS_TABLE, RTI_SCALES_HALF, 128)
        DECODE_CASE(RTI_TYPE_IQ4_XS, RTI_BITS_TABLE, RTI_SCALES_K32, 128)
        DECODE_CASE(RTI_TYPE_MXFP4, RTI_BITS_TABLE, RTI_SCALES_FLOAT, 128)
#undef DECODE_CASE
    case RTI_TYPE_F32: memcpy(out, values, 32 * 16 * sizeof(float)); break;
    case RTI_TYPE_F16:
        for (int i = 0; i < 32 * 16; i += LANES) {
            vf_store(out + i, vf_from_half(values + 2 * i));
        }
        break;
    case RTI_TYPE_BF16:
        for (int i = 0; i < 32 * 16; i += LANES) {
            vf_store(out + i, vf_from_bfloat(values + 2 * i));
        }
        break;
    case RTI_TYPE_F8_E4M3:
        for (int k = 0; k < RTI_BLOCK_COLUMNS; k += 2) {
            for (int p = 0; p < PARTS; p++) {
                vf first, second;
                vf_pair_from_f8(values + k * 16 + 2 * p * LANES, &first, &second);
                vf_store(out + k * 16 + p * LANES, vf_mul(first, vf_set(256.0f)));
                vf_store(out + (k + 1) * 16 + p * LANES, vf_mul(second, vf_set(256.0f)));
            }
        }
        break;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// A few rows: weights are converted on their way from memory
// ---------------------------------------------------------------------------------------------------------------------

#if LANES == 16
#define STREAMED_ROWS 4 // four sums a row: as many as there are registers for
#else
#define STREAMED_ROWS 2
#endif

// Part p of columns k and k + 1. FP8 is read as halves, which are 2^8 too small: `streamed_input` makes up for it, exactly.
ALWAYS_INLINE void columns_load(const rti_type type, const uint8_t *values, int k, int p, vf pair[2])
{
    if (type == RTI_TYPE_F8_E4M3) {
        vf_pair_from_f8(values + k * 16 + 2 * p * LANES, &pair[0], &pair[1]);
        return;
    }
UNROLL(2)
    for (int i = 0; i < 2; i++) {
        const int at = (k + i) * 16 + p * LANES;
        pair[i] = type == RTI_TYPE_F16    ? vf_from_half(values + 2 * at)
                  : type == RTI_TYPE_BF16 ? vf_from_bfloat(values + 2 * at)
                                          : vf_load((const float *)(const void *)(values + 4 * at));
    }
}

ALWAYS_INLINE const float *streamed_input(const rti_type type, const float *x, float scaled[RTI_BLOCK_COLUMNS])
{
    if (type != RTI_TYPE_F8_E4M3) {
        return x;
    }
    for (int i = 0; i < RTI_BLOCK_COLUMNS; i += LANES) {
        vf_store(scaled + i, vf_mul(vf_load(x + i), vf_set(256.0f)));
    }
    return scaled;
}

// One panel times `rows` rows. Type and rows are known when this is compiled.
ALWAYS_INLINE void panel_streamed(const rti_type type, const int block_bytes, const int rows, const rti_packed *m, int32_t panel,
                                  const rti_act *in, int32_t row, float *out, size_t out_stride)
{
    const uint8_t *values = m->data + (size_t)panel * m->panel_bytes;
    vf acc[STREAMED_ROWS][PARTS];
UNROLL(4)
    for (int r = 0; r < rows; r++) {
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            acc[r][p] = vf_set(0.0f);
        }
    }
    for (int32_t block = 0; block < m->blocks; block++, values += block_bytes) {
        float scaled[STREAMED_ROWS][RTI_BLOCK_COLUMNS];
        const float *x[STREAMED_ROWS];
UNROLL(4)
        for (int r = 0; r < rows; r++) {
            x[r] = streamed_input(type, in->values + (size_t)(row + r) * in->stride + (size_t)block * RTI_BLOCK_COLUMNS, scaled[r]);
        }
        prefetch_ahead(values, block_bytes);
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            vf t[STREAMED_ROWS][4], pair[2];
UNROLL(8)
            for (int k = 0; k < RTI_BLOCK_COLUMNS; k += 4) {
UNROLL(4)
                for (int j = 0; j < 4; j++) {
                    if (j % 2 == 0) {
                        columns_load(type, values, k + j, p, pair);
                    }
UNROLL(4)
                    for (int r = 0; r < rows; r++) {
                        t[r][j] = vf_fma(pair[j % 2], vf_set(x[r][k + j]), k == 0 ? vf_set(0.0f) : t[r][j]);
                    }
                }
            }
UNROLL(4)
            for (int r = 0; r < rows; r++) {
                acc[r][p] = vf_add(acc[r][p], vf_add(vf_add(t[r][0], t[r][1]), vf_add(t[r][2], t[r][3])));
            }
        }
    }
UNROLL(4)
    for (int r = 0; r < rows; r++) {
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            vf_store(out + (size_t)r * out_stride + p * LANES, acc[r][p]);
        }
    }
}

#define DEFINE_STREAMED(name, type, block_bytes)                                                                            \
    static void name##_streamed(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, int32_t count, float *out,     \
                                size_t out_stride)                                                                                \
    {                                                                                                                             \
        for (; count >= STREAMED_ROWS; count -= STREAMED_ROWS, row += STREAMED_ROWS, out += STREAMED_ROWS * out_stride) {         \
            panel_streamed(type, block_bytes, STREAMED_ROWS, m, panel, in, row, out, out_stride);                                 \
        }                                                                                                                         \
        for (; count > 0; count--, row++, out += out_stride) {                                                                    \
            panel_streamed(type, block_bytes, 1, m, panel, in, row, out, out_stride);                                             \
        }                                                                                                                         \
    }
DEFINE_STREAMED(f32, RTI_TYPE_F32, 2048)
DEFINE_STREAMED(f16, RTI_TYPE_F16, 1024)
DEFINE_STREAMED(bf16, RTI_TYPE_BF16, 1024)
DEFINE_STREAMED(f8, RTI_TYPE_F8_E4M3, 512)
#undef DEFINE_STREAMED

// ---------------------------------------------------------------------------------------------------------------------
// More rows: a block is made floats once
// ---------------------------------------------------------------------------------------------------------------------

#if LANES == 16
#define BLOCK_ROWS 8 // independent sums: as many as two multipliers with a latency of four need
#else
#define BLOCK_ROWS 4
#endif

// Columns j, j + 4 .. of a decoded block times `rows` rows.
ALWAYS_INLINE void block_columns(const int rows, const int j, const float *w, const float *x, size_t stride, vf t[BLOCK_ROWS][PARTS])
{
UNROLL(8)
    for (int k = j; k < RTI_BLOCK_COLUMNS; k += 4) {
        vf column[PARTS];
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            column[p] = vf_load(w + k * 16 + p * LANES);
        }
UNROLL(8)
        for (int r = 0; r < rows; r++) {
            const vf value = vf_set(x[(size_t)r * stride + (size_t)k]);
UNROLL(2)
            for (int p = 0; p < PARTS; p++) {
                t[r][p] = vf_fma(column[p], value, k == j ? vf_set(0.0f) : t[r][p]);
            }
        }
    }
}

// One decoded block times `rows` rows: out += (t0 + t1) + (t2 + t3).
ALWAYS_INLINE void float_block(const int rows, const float *w, const float *x, size_t stride, float *out, size_t out_stride)
{
    vf t[4][BLOCK_ROWS][PARTS];
UNROLL(4)
    for (int j = 0; j < 4; j++) {
        block_columns(rows, j, w, x, stride, t[j]);
    }
UNROLL(8)
    for (int r = 0; r < rows; r++) {
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            float *o = out + (size_t)r * out_stride + p * LANES;
            vf_store(o, vf_add(vf_load(o), vf_add(vf_add(t[0][r][p], t[1][r][p]), vf_add(t[2][r][p], t[3][r][p]))));
        }
    }
}

// Any type, a decoded block at a time.
static void panel_decoded(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, int32_t count, float *out, size_t out_stride)
{
    float w[RTI_BLOCK_COLUMNS * 16] __attribute__((aligned(64)));
    for (int32_t r = 0; r < count; r++) {
        memset(out + (size_t)r * out_stride, 0, 16 * sizeof(float));
    }
    for (int32_t block = 0; block < m->blocks; block++) {
        const float *x = in->values + (size_t)row * in->stride + (size_t)block * RTI_BLOCK_COLUMNS;
        int32_t r = 0;
        prefetch_ahead(rti_packed_header(m, panel, block) + (size_t)(block % m->form->group) * (size_t)m->form->block_bytes,
                       m->form->block_bytes);
        block_decode(m, panel, block, w);
        for (; r + BLOCK_ROWS <= count; r += BLOCK_ROWS) {
            float_block(BLOCK_ROWS, w, x + (size_t)r * in->stride, in->stride, out + (size_t)r * out_stride, out_stride);
        }
        for (; r < count; r++) {
            float_block(1, w, x + (size_t)r * in->stride, in->stride, out + (size_t)r * out_stride, out_stride);
        }
    }
}

static void matrix_float(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, int32_t count, float *out,
                         size_t out_stride)
{
    const int32_t decoded = m->form->bits == RTI_BITS_FLOAT ? count / BLOCK_ROWS * BLOCK_ROWS : count;
    if (decoded > 0) {
        panel_decoded(m, panel, in, row, decoded, out, out_stride);
    }
    row += decoded;
    count -= decoded;
    out += (size_t)decoded * out_stride;
    switch (m->form->type) {
    case RTI_TYPE_F32: f32_streamed(m, panel, in, row, count, out, out_stride); break;
    case RTI_TYPE_F16: f16_streamed(m, panel, in, row, count, out, out_stride); break;
    case RTI_TYPE_BF16: bf16_streamed(m, panel, in, row, count, out, out_stride); break;
    case RTI_TYPE_F8_E4M3: f8_streamed(m, panel, in, row, count, out, out_stride); break;
    default: break;
    }
}

static void row_decode(const rti_packed *m, int32_t row, float scale, float *out)
{
    float w[RTI_BLOCK_COLUMNS * 16] __attribute__((aligned(64)));
    int32_t panel = row / RTI_PANEL_ROWS, lane = row % RTI_PANEL_ROWS;
    float row_scale = m->row_scale ? m->row_scale[row] : 1.0f;
    for (int32_t block = 0; block < m->blocks; block++) {
        block_decode(m, panel, block, w);
        for (int k = 0; k < RTI_BLOCK_COLUMNS; k++) {
            out[block * RTI_BLOCK_COLUMNS + k] = w[k * 16 + lane] * row_scale * scale;
        }
    }
}

#endif
