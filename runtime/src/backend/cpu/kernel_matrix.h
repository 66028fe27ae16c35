// backend/cpu/kernel_matrix.h - matrix times activations, written once, compiled for each instruction set.
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_KERNEL_MATRIX_H
#define RTI_CPU_KERNEL_MATRIX_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/lanes.h"

// Vector i and its upper bits as two quads of whole bytes: quad i and quad i + 4.
ALWAYS_INLINE void quads_unpack(rti_bits bits, const uint8_t *values, const uint8_t *table, int i, vi *low, vi *high)
{
    const vi nibble = vi_set_bytes(15);
    if (bits == RTI_BITS_8) {
        *low = vi_load(values + 64 * i);
        *high = vi_load(values + 64 * (i + 4));
        return;
    }
    vi v = vi_load(values + 64 * i);
    *low = vi_and(v, nibble);
    *high = vi_and(vi_right(v, 4), nibble);
    if (bits == RTI_BITS_5) {
        vi fifth = vi_load(values + 256);
        *low = vi_or(*low, vi_and(vi_left(fifth, 4 - i), vi_set_bytes(16)));
        *high = vi_or(*high, vi_and(vi_right(fifth, i), vi_set_bytes(16)));
    } else if (bits == RTI_BITS_6) {
        vi upper_low = vi_load(values + 256), upper_high = vi_load(values + 320);
        upper_low = i < 2 ? vi_left(upper_low, 4 - 2 * i) : vi_right(upper_low, 2 * i - 4);
        upper_high = i < 2 ? vi_left(upper_high, 4 - 2 * i) : vi_right(upper_high, 2 * i - 4);
        *low = vi_or(*low, vi_and(upper_low, vi_set_bytes(48)));
        *high = vi_or(*high, vi_and(upper_high, vi_set_bytes(48)));
    } else if (bits == RTI_BITS_TABLE) {
        *low = vi_lookup(table, *low);
        *high = vi_lookup(table, *high);
    }
}

ALWAYS_INLINE bool scales_halves(rti_scales scales)
{
    return scales == RTI_SCALES_K16 || scales == RTI_SCALES_K16_MINIMUM;
}

ALWAYS_INLINE bool scales_minimum(rti_scales scales)
{
    return scales == RTI_SCALES_HALF_MINIMUM || scales == RTI_SCALES_K32_MINIMUM || scales == RTI_SCALES_K16_MINIMUM;
}

typedef struct block_scales {
    vf d[2], m[2]; // value = d * q + m, of the block or of its two halves
} block_scales;

// Scales of block `within` of a header, for the lanes from `lane` on. Products of a half and a byte are exact.
ALWAYS_INLINE block_scales scales_load(rti_scales scales, const uint8_t *header, int within, int lane)
{
    block_scales s;
    const vf minus = vf_set(-1.0f);
    const uint8_t *halves = header + 2 * lane;
    if (scales == RTI_SCALES_HALF) {
        s.d[0] = vf_from_half(halves + within * 32);
    } else if (scales == RTI_SCALES_HALF_MINIMUM) {
        s.d[0] = vf_from_half(halves);
        s.m[0] = vf_from_half(halves + 32);
    } else if (scales == RTI_SCALES_FLOAT) {
        s.d[0] = vf_load((const float *)(const void *)(header + 4 * lane));
    } else if (scales == RTI_SCALES_K32) {
        s.d[0] = vf_mul(vf_from_half(halves), vf_from_s8(header + 32 + within * 16 + lane));
    } else if (scales == RTI_SCALES_K32_MINIMUM) {
        const uint8_t *bytes = header + 64 + within * 32 + lane;
        s.d[0] = vf_mul(vf_from_half(halves), vf_from_u8(bytes));
        s.m[0] = vf_mul(vf_mul(vf_from_half(halves + 32), minus), vf_from_u8(bytes + 16));
    } else if (scales == RTI_SCALES_K16) {
        const uint8_t *bytes = header + 32 + within * 32 + lane;
        vf d = vf_from_half(halves);
        s.d[0] = vf_mul(d, vf_from_s8(bytes));
        s.d[1] = vf_mul(d, vf_from_s8(bytes + 16));
    } else { // RTI_SCALES_K16_MINIMUM
        const uint8_t *bytes = header + 64 + within * 64 + lane;
        vf d = vf_from_half(halves), m = vf_mul(vf_from_half(halves + 32), minus);
        s.d[0] = vf_mul(d, vf_from_u8(bytes));
        s.d[1] = vf_mul(d, vf_from_u8(bytes + 16));
        s.m[0] = vf_mul(m, vf_from_u8(bytes + 32));
        s.m[1] = vf_mul(m, vf_from_u8(bytes + 48));
    }
    return s;
}

#if defined(__AVX2__)
#define MAX_TILE 8
#else
#define MAX_TILE 1
#endif

ALWAYS_INLINE int32_t load_quad(const int8_t *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}

ALWAYS_INLINE int32_t load_pair(const int16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}

// Panels follow each other in memory: what is read some blocks ahead is always wanted next, or harmless. First into the second
// cache, which has three times as many requests under way as the first, and decoding waits for memory (an eighth faster); from
// there into the first before it is needed (another twelfth, most where a block takes many instructions).
#define AHEAD 8192
#define NEAR_AHEAD 4096
ALWAYS_INLINE void prefetch_ahead(const uint8_t *values, int bytes)
{
#if defined(__AVX2__)
UNROLL(16)
    for (int i = 0; i < bytes; i += 64) {
        __builtin_prefetch(values + AHEAD + i, 0, 2);
        __builtin_prefetch(values + NEAR_AHEAD + i, 0, 3);
    }
#else
    (void)values, (void)bytes;
#endif
}

// Where a panel takes two vectors, the second loads its activations again: what the compiler would keep from the first it puts
// aside in memory and fetches, which is more work (an eighth of the time of 8 rows).
ALWAYS_INLINE void forget_loads(void)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    __asm__ volatile("" ::: "memory");
#endif
}

// Activations of a tile's rows in one block, at its first column; `low` and `words` where they are taken.
typedef struct tile_input {
    const int8_t *q, *low;
    const int16_t *words;
    size_t stride;
} tile_input;

// Quads [4 * half, 4 * half + 4) of a block where its halves have scales of their own (half 0 or 1), all eight otherwise (-1).
ALWAYS_INLINE void quads_take(const int half, const int i, vi low, vi high, const int8_t *q, vi *sum)
{
    if (half <= 0) {
        *sum = vi_dot(*sum, low, load_quad(q + 4 * i));
    }
    if (half != 0) {
        *sum = vi_dot(*sum, high, load_quad(q + 16 + 4 * i));
    }
}

// The same as words.
ALWAYS_INLINE void words_take(const int half, const int i, const vi low[2], const vi high[2], const int16_t *words, vi *sum)
{
UNROLL(2)
    for (int pair = 0; pair < 2; pair++) {
        if (half <= 0) {
            *sum = vi_dot_words(*sum, low[pair], load_pair(words + 4 * i + 2 * pair));
        }
        if (half != 0) {
            *sum = vi_dot_words(*sum, high[pair], load_pair(words + 16 + 4 * i + 2 * pair));
        }
    }
}

// The same onto sums of 16 bits, which are joined after the last; five bits fit only four quads of them.
ALWAYS_INLINE void pairs_take(const int half, const bool five, const int i, vi low, vi high, const int8_t *q, vi pairs[2], vi *sum)
{
    const int apart = half < 0 && five ? 1 : 0;
    if (half <= 0) {
        vi first = vi_pairs(low, load_quad(q + 4 * i));
        pairs[0] = i == 0 ? first : vi_add_pairs(pairs[0], first);
    }
    if (half != 0) {
        vi second = vi_pairs(high, load_quad(q + 16 + 4 * i));
        pairs[apart] = i == 0 && (apart || half == 1) ? second : vi_add_pairs(pairs[apart], second);
    }
    if (i == 3) {
        *sum = vi_add(*sum, vi_join_pairs(pairs[0]));
    }
    if (i == 3 && apart) {
        *sum = vi_add(*sum, vi_join_pairs(pairs[1]));
    }
}

// sum[r] += the products of one vector of output rows with row r of the tile, over a block or a half of it. With two planes that
// are summed apart sum[r] takes the lower one and upper[r] the other.
ALWAYS_INLINE void panel_sums(const rti_bits bits, const int half, const bool words, const bool two, const int rows, const uint8_t *values,
                              const uint8_t *table, const tile_input *in, vi sum[MAX_TILE], vi upper[MAX_TILE])
{
    const bool five = bits == RTI_BITS_5, brief = BRIEF_SUMS && !words && (bits == RTI_BITS_4 || five);
    vi pairs[MAX_TILE][2], upper_pairs[MAX_TILE][2];
UNROLL(4)
    for (int i = 0; i < 4; i++) {
        vi low, high, low_words[2], high_words[2];
        quads_unpack(bits, values, table, i, &low, &high);
        if (words) {
            vi_quad_to_words(low, low_words);
            vi_quad_to_words(high, high_words);
        }
UNROLL(16)
        for (int r = 0; r < rows; r++) {
            const int8_t *q = in->q + (size_t)r * in->stride, *q_low = two ? in->low + (size_t)r * in->stride : NULL;
            if (words) {
                words_take(half, i, low_words, high_words, in->words + (size_t)r * in->stride, &sum[r]);
            } else if (brief) {
                pairs_take(half, five, i, low, high, two ? q_low : q, pairs[r], &sum[r]);
                if (two) {
                    pairs_take(half, five, i, low, high, q, upper_pairs[r], &upper[r]);
                }
            } else {
                quads_take(half, i, low, high, two ? q_low : q, &sum[r]);
                if (two) {
                    quads_take(half, i, low, high, q, &upper[r]);
                }
            }
        }
    }
}

// What rounding left of a tile's rows, and their sums.
typedef struct tile_scales {
    const rti_act_scale *scale;
    const int32_t *minus_sum;
    const rti_act_halves *halves;
    size_t stride;
} tile_scales;

// acc[r] += the products of one vector of output rows with row r, over a block or a half of it, times their scales.
ALWAYS_INLINE void half_times_rows(const rti_bits bits, const int offset, const int half, const bool words, const bool two, const int rows,
                                   const uint8_t *values, const uint8_t *table, vf weight_scale, const tile_input *in,
                                   const tile_scales *scales, vf acc[MAX_TILE][PARTS], const int part)
{
    const int offset_bits = offset ? __builtin_ctz((unsigned)offset) : 0;
    vi sum[MAX_TILE], upper[MAX_TILE];
UNROLL(16)
    for (int r = 0; r < rows; r++) {
        const size_t at = (size_t)r * scales->stride;
        sum[r] = upper[r] = vi_set(0);
        if (offset) {
            sum[r] = vi_left(vi_set(half >= 0 ? scales->halves[at].minus_sum[half] : scales->minus_sum[at]), offset_bits);
        }
    }
    panel_sums(bits, half, words, two, rows, values, table, in, sum, upper);
UNROLL(16)
    for (int r = 0; r < rows; r++) {
        const vf d = vf_mul(weight_scale, vf_set(scales->scale[(size_t)r * scales->stride].d));
        acc[r][part] = vf_fma(d, vf_from_int(two ? vi_add(vi_left(upper[r], 8), sum[r]) : sum[r]), acc[r][part]);
    }
}

// One panel times R rows of activations. Everything up to `rows` is known when this is compiled.
ALWAYS_INLINE void panel_times_rows(const rti_bits bits, const rti_scales scales, const int offset, const int group,
                                    const int header_bytes, const int block_bytes, const int planes, const int rows,
                                    const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, float *out,
                                    size_t out_stride)
{
    const bool halves = scales_halves(scales), minimum = scales_minimum(scales);
    // Weights of four and five bits times two planes are no fewer instructions as words.
    const bool words = WORD_PRODUCTS && (bits == RTI_BITS_8 || bits == RTI_BITS_TABLE || (bits == RTI_BITS_6 && planes == 2));
    const bool two = planes == 2 && !words; // planes, summed apart
    const size_t first = (size_t)row * in->stride, scale_at = (size_t)row * in->scale_stride;
    const rti_act_rounding *rounding = &in->rounding[planes - 1];
    tile_input tile = {in->q + first, two ? in->low + first : NULL, words ? in->words[planes - 1] + first : NULL, in->stride};
    tile_scales left = {rounding->scales + scale_at, rounding->minus_sums + scale_at, rounding->halves + scale_at, in->scale_stride};
    const uint8_t *header = m->data + (size_t)panel * m->panel_bytes, *table = m->form->table;
    vf acc[MAX_TILE][PARTS];
UNROLL(16)
    for (int r = 0; r < rows; r++) {
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            acc[r][p] = vf_set(0.0f);
        }
    }
    for (int32_t block = 0, within = 0; block < m->blocks; block++) {
        const uint8_t *values = header + header_bytes + within * block_bytes;
        prefetch_ahead(values, block_bytes + header_bytes / group);
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            forget_loads();
            const block_scales s = scales_load(scales, header, within, p * LANES);
            const uint8_t *vectors = values + p * LANES * 4;
            half_times_rows(bits, offset, halves ? 0 : -1, words, two, rows, vectors, table, s.d[0], &tile, &left, acc, p);
            if (halves) {
                half_times_rows(bits, offset, 1, words, two, rows, vectors, table, s.d[1], &tile, &left, acc, p);
            }
UNROLL(16)
            for (int r = 0; r < rows; r++) {
                const size_t at = (size_t)r * left.stride;
                if (minimum && halves) {
                    acc[r][p] = vf_fma(s.m[0], vf_set(left.halves[at].s[0]), acc[r][p]);
                    acc[r][p] = vf_fma(s.m[1], vf_set(left.halves[at].s[1]), acc[r][p]);
                } else if (minimum) {
                    acc[r][p] = vf_fma(s.m[0], vf_set(left.scale[at].s), acc[r][p]);
                }
            }
        }
        tile.q += RTI_BLOCK_COLUMNS;
        tile.low += two ? RTI_BLOCK_COLUMNS : 0;
        tile.words += words ? RTI_BLOCK_COLUMNS : 0;
        left.scale++, left.minus_sum++, left.halves++;
        if (++within == group) {
            within = 0;
            header += header_bytes + group * block_bytes;
        }
    }
UNROLL(16)
    for (int r = 0; r < rows; r++) {
UNROLL(2)
        for (int p = 0; p < PARTS; p++) {
            vf_store(out + (size_t)r * out_stride + p * LANES, acc[r][p]);
        }
    }
}

// name, bits, scales, offset, blocks a header, header bytes, block bytes: as in form.c
#define INTEGER_FORMS(X)                                                    \
    X(q4_0, RTI_BITS_4, RTI_SCALES_HALF, 8, 2, 64, 256)                     \
    X(q4_1, RTI_BITS_4, RTI_SCALES_HALF_MINIMUM, 0, 1, 64, 256)             \
    X(q5_0, RTI_BITS_5, RTI_SCALES_HALF, 16, 2, 64, 320)                    \
    X(q5_1, RTI_BITS_5, RTI_SCALES_HALF_MINIMUM, 0, 1, 64, 320)             \
    X(q8_0, RTI_BITS_8, RTI_SCALES_HALF, 128, 2, 64, 512)                   \
    X(q2_k, RTI_BITS_4, RTI_SCALES_K16_MINIMUM, 0, 8, 576, 256)             \
    X(q3_k, RTI_BITS_4, RTI_SCALES_K16, 4, 8, 320, 256)                     \
    X(q4_k, RTI_BITS_4, RTI_SCALES_K32_MINIMUM, 0, 8, 320, 256)             \
    X(q5_k, RTI_BITS_5, RTI_SCALES_K32_MINIMUM, 0, 8, 320, 320)             \
    X(q6_k, RTI_BITS_6, RTI_SCALES_K16, 32, 8, 320, 384)                    \
    X(iq4_nl, RTI_BITS_TABLE, RTI_SCALES_HALF, 128, 2, 64, 256)             \
    X(iq4_xs, RTI_BITS_TABLE, RTI_SCALES_K32, 128, 8, 192, 256)             \
    X(mxfp4, RTI_BITS_TABLE, RTI_SCALES_FLOAT, 128, 1, 64, 256)

typedef void panel_function(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, float *out, size_t out_stride);

#define DEFINE_TILE(name, bits, scales, offset, group, header, block, planes, rows)                                      \
    static void name##_##planes##x##rows(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, float *out, \
                                         size_t out_stride)                                                              \
    {                                                                                                                    \
        panel_times_rows(bits, scales, offset, group, header, block, planes, rows, m, panel, in, row, out, out_stride);  \
    }
// Portable C takes one row at a time; the others 8, 4, 2 or 1 (two planes: 8 in AVX-512, 4 or 1).
#if defined(__AVX2__)
#define DEFINE_FORM(name, bits, scales, offset, group, header, block)   \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 1, 1) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 1, 2) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 1, 4) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 1, 8) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 2, 1) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 2, 4) \
    DEFINE_LARGEST(name, bits, scales, offset, group, header, block)
#if defined(__AVX512F__)
#define DEFINE_LARGEST(name, bits, scales, offset, group, header, block) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 2, 8)
#define LARGEST(name) name##_2x8
#else
#define DEFINE_LARGEST(name, bits, scales, offset, group, header, block)
#define LARGEST(name) NULL
#endif
#define FORM_TILES(name) {{name##_1x1, name##_1x2, name##_1x4, name##_1x8}, {name##_2x1, NULL, name##_2x4, LARGEST(name)}}
#else
#define DEFINE_FORM(name, bits, scales, offset, group, header, block)   \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 1, 1) \
    DEFINE_TILE(name, bits, scales, offset, group, header, block, 2, 1)
#define FORM_TILES(name) {{name##_1x1, NULL, NULL, NULL}, {name##_2x1, NULL, NULL, NULL}}
#endif
INTEGER_FORMS(DEFINE_FORM)

#define TILE_COUNT 4 // rows 1, 2, 4, 8
static panel_function *panel_find(rti_type type, int32_t planes, int size)
{
#define FORM_CASE(tag, name)                                                                \
    case tag: {                                                                             \
        static panel_function *const table[2][TILE_COUNT] = FORM_TILES(name);               \
        return table[planes - 1][size];                                                     \
    }
    switch (type) {
        FORM_CASE(RTI_TYPE_Q4_0, q4_0)
        FORM_CASE(RTI_TYPE_Q4_1, q4_1)
        FORM_CASE(RTI_TYPE_Q5_0, q5_0)
        FORM_CASE(RTI_TYPE_Q5_1, q5_1)
        FORM_CASE(RTI_TYPE_Q8_0, q8_0)
        FORM_CASE(RTI_TYPE_Q2_K, q2_k)
        FORM_CASE(RTI_TYPE_Q3_K, q3_k)
        FORM_CASE(RTI_TYPE_Q4_K, q4_k)
        FORM_CASE(RTI_TYPE_Q5_K, q5_k)
        FORM_CASE(RTI_TYPE_Q6_K, q6_k)
        FORM_CASE(RTI_TYPE_IQ4_NL, iq4_nl)
        FORM_CASE(RTI_TYPE_IQ4_XS, iq4_xs)
        FORM_CASE(RTI_TYPE_MXFP4, mxfp4)
    default: return NULL;
    }
#undef FORM_CASE
}

static void matrix_fast(const rti_packed *m, int32_t panel, int32_t planes, const rti_act *in, int32_t row, int32_t count,
                        float *out, size_t out_stride)
{
    for (int size = TILE_COUNT - 1; size >= 0; size--) {
        int32_t rows = 1 << size;
        panel_function *function = count >= rows ? panel_find(m->form->type, planes, size) : NULL;
        for (; count >= rows && function; count -= rows, row += rows, out += (size_t)rows * out_stride) {
            function(m, panel, in, row, out, out_stride);
        }
    }
}

#endif
