// backend/cpu/pack.c - blocks as files hold them to panels as kernels read them. Values are kept exactly.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <string.h>

// 32 columns of one row, in the terms of the row's form: stored values and up to two scales and minima.
typedef struct pack_block {
    uint8_t q[RTI_BLOCK_COLUMNS];
    uint16_t d, m;               // halves, of the block or the super-block
    float scale;                 // RTI_SCALES_FLOAT
    uint8_t scale_byte[2], minimum_byte[2];
} pack_block;

static uint16_t read_half(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

// (in[i] >> shift & mask) << left, eight bytes at a time. The mask keeps out what neighbours shift in.
static void take_bits(uint8_t *q, const uint8_t *in, int count, int shift, uint8_t mask, int left)
{
    for (int i = 0; i < count; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, sizeof word);
        word = (word >> shift & mask * UINT64_C(0x0101010101010101)) << left;
        memcpy(q + i, &word, sizeof word);
    }
}

static void add_bits(uint8_t *q, const uint8_t *in, int shift, uint8_t mask, int left)
{
    for (int i = 0; i < RTI_BLOCK_COLUMNS; i += 8) {
        uint64_t word, bits;
        memcpy(&word, q + i, sizeof word);
        memcpy(&bits, in + i, sizeof bits);
        word |= (bits >> shift & mask * UINT64_C(0x0101010101010101)) << left;
        memcpy(q + i, &word, sizeof word);
    }
}

static void low_high(uint8_t *q, const uint8_t *bytes)
{
    take_bits(q, bytes, 16, 0, 15, 0);
    take_bits(q + 16, bytes, 16, 4, 15, 0);
}

// Bit i of four bytes belongs to column i.
static void fifth_bits(uint8_t *q, const uint8_t *bits)
{
    for (int i = 0; i < 4; i++) {
        uint64_t word, each = bits[i] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        each = (each + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 3 & UINT64_C(0x1010101010101010); // a bit set anywhere in a byte
        memcpy(&word, q + 8 * i, sizeof word);
        word |= each;
        memcpy(q + 8 * i, &word, sizeof word);
    }
}

// The 6-bit scale and minimum of sub-block j of a Q4_K or Q5_K super-block.
static void k_scale(const uint8_t *s, int j, uint8_t *scale, uint8_t *minimum)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *minimum = s[j + 4] & 63;
    } else {
        *scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *minimum = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

static void read_q2_k(const uint8_t *super, int j, pack_block *b)
{
    const uint8_t *scales = super + 2 * j, *q = super + 16 + 32 * (j / 4);
    take_bits(b->q, q, 32, 2 * (j % 4), 3, 0);
    for (int h = 0; h < 2; h++) {
        b->scale_byte[h] = scales[h] & 15;
        b->minimum_byte[h] = scales[h] >> 4;
    }
    b->d = read_half(super + 80);
    b->m = read_half(super + 82);
}

static void read_q3_k(const uint8_t *super, int j, pack_block *b)
{
    const uint8_t *q = super + 32 + 32 * (j / 4), *scales = super + 96;
    take_bits(b->q, q, 32, 2 * (j % 4), 3, 0);
    add_bits(b->q, super, j, 1, 2);
    for (int h = 0; h < 2; h++) {
        int n = 2 * j + h;
        int low = n < 8 ? scales[n] & 15 : scales[n - 8] >> 4;
        int high = scales[8 + n % 4] >> (2 * (n / 4)) & 3;
        b->scale_byte[h] = (uint8_t)(int8_t)((low | high << 4) - 32);
    }
    b->d = read_half(super + 108);
}

static void read_q4_k(const uint8_t *super, int j, const uint8_t *q, pack_block *b)
{
    take_bits(b->q, q + 32 * (j / 2), 32, 4 * (j % 2), 15, 0);
    b->d = read_half(super);
    b->m = read_half(super + 2);
    k_scale(super + 4, j, &b->scale_byte[0], &b->minimum_byte[0]);
}

static void read_q6_k(const uint8_t *super, int j, pack_block *b)
{
    const uint8_t *low = super + 64 * (j / 4) + 32 * (j % 2), *high = super + 128 + 32 * (j / 4);
    take_bits(b->q, low, 32, j % 4 < 2 ? 0 : 4, 15, 0);
    add_bits(b->q, high, 2 * (j % 4), 3, 4);
    b->scale_byte[0] = super[192 + 2 * j];
    b->scale_byte[1] = super[193 + 2 * j];
    b->d = read_half(super + 208);
}

static void read_iq4_xs(const uint8_t *super, int j, pack_block *b)
{
    int low = super[4 + j / 2] >> (4 * (j % 2)) & 15;
    int high = read_half(super + 2) >> (2 * j) & 3;
    low_high(b->q, super + 8 + 16 * j);
    b->scale_byte[0] = (uint8_t)(int8_t)((low | high << 4) - 32);
    b->d = read_half(super);
}

// 2^(e - 128): MXFP4's scale, halved because the table is doubled.
static float power_of_two_scale(uint8_t e)
{
    uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// 32 columns of a block of the file's: its part j, where it holds more.
static inline __attribute__((always_inline)) void read_block(rti_type type, const uint8_t *p, int j, pack_block *b)
{
    switch (type) {
    case RTI_TYPE_Q4_0:
    case RTI_TYPE_IQ4_NL:
        b->d = read_half(p);
        low_high(b->q, p + 2);
        break;
    case RTI_TYPE_Q4_1:
        b->d = read_half(p);
        b->m = read_half(p + 2);
        low_high(b->q, p + 4);
        break;
    case RTI_TYPE_Q5_0:
        b->d = read_half(p);
        low_high(b->q, p + 6);
        fifth_bits(b->q, p + 2);
        break;
    case RTI_TYPE_Q5_1:
        b->d = read_half(p);
        b->m = read_half(p + 2);
        low_high(b->q, p + 8);
        fifth_bits(b->q, p + 4);
        break;
    case RTI_TYPE_Q8_0:
        b->d = read_half(p);
        for (int i = 0; i < 32; i++) {
            b->q[i] = p[2 + i] ^ 0x80;
        }
        break;
    case RTI_TYPE_Q2_K: read_q2_k(p, j, b); break;
    case RTI_TYPE_Q3_K: read_q3_k(p, j, b); break;
    case RTI_TYPE_Q4_K: read_q4_k(p, j, p + 16, b); break;
    case RTI_TYPE_Q5_K:
        read_q4_k(p, j, p + 48, b);
        add_bits(b->q, p + 16, j, 1, 4);
        break;
    case RTI_TYPE_Q6_K: read_q6_k(p, j, b); break;
    case RTI_TYPE_IQ4_XS: read_iq4_xs(p, j, b); break;
    case RTI_TYPE_MXFP4:
        b->scale = power_of_two_scale(p[0]);
        low_high(b->q, p + 1);
        break;
    default: break;
    }
}

static inline __attribute__((always_inline)) void write_scales(rti_scales scales, uint8_t *header, int lane, int within,
                                                               const pack_block *b)
{
    uint16_t *halves = (uint16_t *)(void *)header;
    switch (scales) {
    case RTI_SCALES_HALF: halves[within * 16 + lane] = b->d; break;
    case RTI_SCALES_HALF_MINIMUM:
        halves[lane] = b->d;
        halves[16 + lane] = b->m;
        break;
    case RTI_SCALES_FLOAT: memcpy(header + 4 * lane, &b->scale, 4); break;
    case RTI_SCALES_K32:
        halves[lane] = b->d;
        header[32 + within * 16 + lane] = b->scale_byte[0];
        break;
    case RTI_SCALES_K32_MINIMUM:
        halves[lane] = b->d;
        halves[16 + lane] = b->m;
        header[64 + within * 32 + lane] = b->scale_byte[0];
        header[64 + within * 32 + 16 + lane] = b->minimum_byte[0];
        break;
    case RTI_SCALES_K16:
        halves[lane] = b->d;
        header[32 + within * 32 + lane] = b->scale_byte[0];
        header[32 + within * 32 + 16 + lane] = b->scale_byte[1];
        break;
    case RTI_SCALES_K16_MINIMUM:
        halves[lane] = b->d;
        halves[16 + lane] = b->m;
        for (int h = 0; h < 2; h++) {
            header[64 + within * 64 + 16 * h + lane] = b->scale_byte[h];
            header[64 + within * 64 + 32 + 16 * h + lane] = b->minimum_byte[h];
        }
        break;
    case RTI_SCALES_NONE: break;
    }
}

static void put_word(uint8_t *values, int vector, int lane, uint32_t word)
{
    memcpy(values + vector * 64 + lane * 4, &word, sizeof word);
}

static inline __attribute__((always_inline)) void write_values(rti_bits bits, uint8_t *values, int lane, const uint8_t *q)
{
    uint32_t quads[RTI_BLOCK_COLUMNS / 4], upper[2] = {0, 0};
    memcpy(quads, q, sizeof quads);
    if (bits == RTI_BITS_8) {
        for (int i = 0; i < 8; i++) {
            put_word(values, i, lane, quads[i]);
        }
        return;
    }
    for (int i = 0; i < 4; i++) {
        put_word(values, i, lane, (quads[i] & 0x0f0f0f0fu) | (quads[i + 4] & 0x0f0f0f0fu) << 4);
    }
    if (bits == RTI_BITS_5) {
        for (int i = 0; i < 8; i++) {
            upper[0] |= (quads[i] >> 4 & 0x01010101u) << i;
        }
        put_word(values, 4, lane, upper[0]);
    } else if (bits == RTI_BITS_6) {
        for (int i = 0; i < 8; i++) {
            upper[i / 4] |= (quads[i] >> 4 & 0x03030303u) << (2 * (i % 4));
        }
        put_word(values, 4, lane, upper[0]);
        put_word(values, 5, lane, upper[1]);
    }
}

// A panel whose rows begin at `in`, `row_bytes` apart: header after header, so that what is written follows on. Everything
// up to `scales` is known when this is compiled.
static inline __attribute__((always_inline)) void pack_panel(rti_type type, rti_bits bits, rti_scales scales, const rti_packed *packed,
                                                             const rti_type_info *info, uint8_t *out, const uint8_t *in,
                                                             size_t row_bytes, int rows)
{
    const rti_form *form = packed->form;
    const int32_t per = info->block_values / RTI_BLOCK_COLUMNS;
    const size_t group_bytes = (size_t)form->header_bytes + (size_t)form->group * (size_t)form->block_bytes;
    for (int32_t first = 0; first < packed->blocks; first += form->group, out += group_bytes) {
        const int32_t count = RTI_MIN(form->group, packed->blocks - first);
        memset(out, 0, (size_t)form->header_bytes); // what pads it too
        for (int lane = 0; lane < rows; lane++) {
            const uint8_t *row = in + (size_t)lane * row_bytes;
            for (int32_t i = 0; i < count; i++) {
                pack_block b = {.d = 0};
                read_block(type, row + (size_t)((first + i) / per) * (size_t)info->block_bytes, (first + i) % per, &b);
                write_scales(scales, out, lane, i, &b);
                write_values(bits, out + form->header_bytes + (size_t)i * (size_t)form->block_bytes, lane, b.q);
            }
        }
    }
}

static void pack_integer_panel(const rti_packed *packed, const rti_matrix *matrix, int32_t panel)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    const size_t row_bytes = (size_t)matrix->columns / (size_t)info->block_values * (size_t)info->block_bytes;
    const int rows = RTI_MIN(RTI_PANEL_ROWS, matrix->rows - panel * RTI_PANEL_ROWS);
    const uint8_t *in = (const uint8_t *)matrix->data + (size_t)panel * RTI_PANEL_ROWS * row_bytes;
    uint8_t *out = packed->data + (size_t)panel * packed->panel_bytes;
    if (rows < RTI_PANEL_ROWS || packed->blocks % packed->form->group != 0) {
        memset(out, 0, packed->panel_bytes); // else everything is written
    }
    switch (matrix->type) {
#define PACK_CASE(type, bits, scales) \
    case type: pack_panel(type, bits, scales, packed, info, out, in, row_bytes, rows); break;
        PACK_CASE(RTI_TYPE_Q4_0, RTI_BITS_4, RTI_SCALES_HALF)
        PACK_CASE(RTI_TYPE_Q4_1, RTI_BITS_4, RTI_SCALES_HALF_MINIMUM)
        PACK_CASE(RTI_TYPE_Q5_0, RTI_BITS_5, RTI_SCALES_HALF)
        PACK_CASE(RTI_TYPE_Q5_1, RTI_BITS_5, RTI_SCALES_HALF_MINIMUM)
        PACK_CASE(RTI_TYPE_Q8_0, RTI_BITS_8, RTI_SCALES_HALF)
        PACK_CASE(RTI_TYPE_Q2_K, RTI_BITS_4, RTI_SCALES_K16_MINIMUM)
        PACK_CASE(RTI_TYPE_Q3_K, RTI_BITS_4, RTI_SCALES_K16)
        PACK_CASE(RTI_TYPE_Q4_K, RTI_BITS_4, RTI_SCALES_K32_MINIMUM)
        PACK_CASE(RTI_TYPE_Q5_K, RTI_BITS_5, RTI_SCALES_K32_MINIMUM)
        PACK_CASE(RTI_TYPE_Q6_K, RTI_BITS_6, RTI_SCALES_K16)
        PACK_CASE(RTI_TYPE_IQ4_NL, RTI_BITS_TABLE, RTI_SCALES_HALF)
        PACK_CASE(RTI_TYPE_IQ4_XS, RTI_BITS_TABLE, RTI_SCALES_K32)
        PACK_CASE(RTI_TYPE_MXFP4, RTI_BITS_TABLE, RTI_SCALES_FLOAT)
#undef PACK_CASE
    default: break;
    }
}

// out[column * 16 + lane] = in[lane][column], a block of columns at a time.
#define DEFINE_TURN(name, element)                                                                                      \
    static void name(uint8_t *out, const uint8_t *in, size_t row_bytes, int rows, int32_t columns)                      \
    {                                                                                                                   \
        element turned[RTI_BLOCK_COLUMNS * RTI_PANEL_ROWS] = {0}, row[RTI_BLOCK_COLUMNS];                               \
        for (int32_t first = 0; first < columns; first += RTI_BLOCK_COLUMNS) {                                          \
            const int32_t count = RTI_MIN(RTI_BLOCK_COLUMNS, columns - first);                                          \
            for (int lane = 0; lane < rows; lane++) {                                                                   \
                memcpy(row, in + (size_t)lane * row_bytes + (size_t)first * sizeof(element), (size_t)count * sizeof(element)); \
                for (int32_t k = 0; k < count; k++) {                                                                   \
                    turned[k * RTI_PANEL_ROWS + lane] = row[k];                                                         \
                }                                                                                                       \
            }                                                                                                           \
            memcpy(out + (size_t)first * RTI_PANEL_ROWS * sizeof(element), turned, (size_t)count * RTI_PANEL_ROWS * sizeof(element)); \
        }                                                                                                               \
    }
DEFINE_TURN(turn_halves, uint16_t)
DEFINE_TURN(turn_words, uint32_t)

// No value that is not a number: FP8's has all bits but the sign.
static bool are_numbers(const uint8_t *in, size_t count)
{
    uint8_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found |= (uint8_t)((in[i] & 0x7f) + 1); // 0x80 only there
    }
    return !(found & 0x80);
}

// Two columns of FP8 lie in 16 bits, the lower in the lower byte: half the shuffling when they are read.
static void pack_f8_panel(uint8_t *out, const uint8_t *in, size_t row_bytes, int rows, int32_t columns)
{
    turn_halves(out, in, row_bytes, rows, columns / 2);
    for (int lane = 0; lane < rows && columns % 2 != 0; lane++) {
        out[(columns - 1) * RTI_PANEL_ROWS + 2 * lane] = in[(size_t)lane * row_bytes + (size_t)columns - 1];
    }
}

static bool pack_float_panel(const rti_packed *packed, const rti_matrix *matrix, int32_t panel)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    const size_t row_bytes = (size_t)matrix->columns * (size_t)info->block_bytes;
    const int rows = RTI_MIN(RTI_PANEL_ROWS, matrix->rows - panel * RTI_PANEL_ROWS);
    const uint8_t *in = (const uint8_t *)matrix->data + (size_t)panel * RTI_PANEL_ROWS * row_bytes;
    uint8_t *out = packed->data + (size_t)panel * packed->panel_bytes;
    const size_t used = (size_t)(matrix->columns / 2 * 2) * RTI_PANEL_ROWS * (size_t)info->block_bytes;
    memset(out + used, 0, packed->panel_bytes - used);
    switch (info->block_bytes) {
    case 1: pack_f8_panel(out, in, row_bytes, rows, matrix->columns); break;
    case 2: turn_halves(out, in, row_bytes, rows, matrix->columns); break;
    default: turn_words(out, in, row_bytes, rows, matrix->columns); break;
    }
    return matrix->type != RTI_TYPE_F8_E4M3 || are_numbers(in, (size_t)rows * row_bytes);
}

bool rti_pack_panels(const rti_packed *packed, const rti_matrix *matrix, int32_t begin, int32_t end)
{
    for (int32_t panel = begin; panel < end; panel++) {
        if (packed->form->bits != RTI_BITS_FLOAT) {
            pack_integer_panel(packed, matrix, panel);
        } else if (!pack_float_panel(packed, matrix, panel)) {
            return false;
        }
    }
    return true;
}
