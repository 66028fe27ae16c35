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

static void low_high(uint8_t *q, const uint8_t *bytes)
{
    for (int i = 0; i < 16; i++) {
        q[i] = bytes[i] & 15;
        q[i + 16] = bytes[i] >> 4;
    }
}

static void fifth_bits(uint8_t *q, const uint8_t *bits)
{
    for (int i = 0; i < 32; i++) {
        q[i] |= (uint8_t)((bits[i / 8] >> (i % 8) & 1) << 4);
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
    for (int i = 0; i < 32; i++) {
        b->q[i] = q[i] >> (2 * (j % 4)) & 3;
    }
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
    for (int i = 0; i < 32; i++) {
        b->q[i] = (uint8_t)((q[i] >> (2 * (j % 4)) & 3) | (super[i] >> j & 1) << 2);
    }
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
    for (int i = 0; i < 32; i++) {
        b->q[i] = j % 2 ? q[32 * (j / 2) + i] >> 4 : q[32 * (j / 2) + i] & 15;
    }
    b->d = read_half(super);
    b->m = read_half(super + 2);
    k_scale(super + 4, j, &b->scale_byte[0], &b->minimum_byte[0]);
}

static void read_q6_k(const uint8_t *super, int j, pack_block *b)
{
    const uint8_t *low = super + 64 * (j / 4) + 32 * (j % 2), *high = super + 128 + 32 * (j / 4);
    for (int i = 0; i < 32; i++) {
        int l = j % 4 < 2 ? low[i] & 15 : low[i] >> 4;
        b->q[i] = (uint8_t)(l | (high[i] >> (2 * (j % 4)) & 3) << 4);
    }
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

// Block `block` of a row that begins at `row`.
static void read_block(rti_type type, const uint8_t *row, int32_t block, pack_block *b)
{
    const rti_type_info *info = rti_type_find((uint32_t)type);
    int32_t per = info->block_values / RTI_BLOCK_COLUMNS;
    const uint8_t *p = row + (size_t)(block / per) * (size_t)info->block_bytes;
    int j = block % per;
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
        for (int i = 0; i < 32; i++) {
            b->q[i] |= (uint8_t)((p[16 + i] >> j & 1) << 4);
        }
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

static void write_scales(const rti_form *form, uint8_t *header, int lane, int within, const pack_block *b)
{
    uint16_t *halves = (uint16_t *)(void *)header;
    switch (form->scales) {
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

// Adds bits to four neighbouring bytes at once.
static void put_bits(uint8_t *at, uint32_t bits)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    word |= bits;
    memcpy(at, &word, sizeof word);
}

static void write_values(const rti_form *form, uint8_t *values, int lane, const uint8_t *q)
{
    for (int quad = 0; quad < RTI_BLOCK_COLUMNS / 4; quad++) {
        uint32_t four;
        memcpy(&four, q + 4 * quad, sizeof four);
        if (form->bits == RTI_BITS_8) {
            memcpy(values + quad * 64 + lane * 4, &four, sizeof four);
            continue;
        }
        put_bits(values + quad % 4 * 64 + lane * 4, (four & 0x0f0f0f0fu) << (quad / 4 * 4));
        if (form->bits == RTI_BITS_5) {
            put_bits(values + 256 + lane * 4, (four >> 4 & 0x01010101u) << quad);
        } else if (form->bits == RTI_BITS_6) {
            put_bits(values + 256 + quad / 4 * 64 + lane * 4, (four >> 4 & 0x03030303u) << (2 * (quad % 4)));
        }
    }
}

static bool pack_float_panel(const rti_packed *packed, const rti_matrix *matrix, int32_t panel)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t size = (size_t)info->block_bytes;
    uint8_t *out = packed->data + (size_t)panel * packed->panel_bytes;
    memset(out, 0, packed->panel_bytes);
    for (int lane = 0; lane < RTI_PANEL_ROWS; lane++) {
        int32_t row = panel * RTI_PANEL_ROWS + lane;
        if (row >= matrix->rows) {
            break;
        }
        const uint8_t *in = (const uint8_t *)matrix->data + (size_t)row * (size_t)matrix->columns * size;
        for (int32_t k = 0; k < matrix->columns; k++) {
            memcpy(out + ((size_t)k * RTI_PANEL_ROWS + (size_t)lane) * size, in + (size_t)k * size, size);
            if (matrix->type == RTI_TYPE_F8_E4M3 && (in[k] & 0x7f) == 0x7f) {
                return false;
            }
        }
    }
    return true;
}

bool rti_pack_panels(const rti_packed *packed, const rti_matrix *matrix, int32_t begin, int32_t end)
{
    const rti_form *form = packed->form;
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    for (int32_t panel = begin; panel < end; panel++) {
        if (form->bits == RTI_BITS_FLOAT) {
            if (!pack_float_panel(packed, matrix, panel)) {
                return false;
            }
            continue;
        }
        memset(packed->data + (size_t)panel * packed->panel_bytes, 0, packed->panel_bytes);
        size_t row_bytes = (size_t)matrix->columns / (size_t)info->block_values * (size_t)info->block_bytes;
        for (int lane = 0; lane < RTI_PANEL_ROWS; lane++) {
            int32_t row = panel * RTI_PANEL_ROWS + lane;
            if (row >= matrix->rows) {
                break;
            }
            const uint8_t *in = (const uint8_t *)matrix->data + (size_t)row * row_bytes;
            for (int32_t block = 0; block < packed->blocks; block++) {
                uint8_t *header = (uint8_t *)(uintptr_t)rti_packed_header(packed, panel, block);
                int within = block % form->group;
                pack_block b = {0};
                read_block(matrix->type, in, block, &b);
                write_scales(form, header, lane, within, &b);
                write_values(form, header + form->header_bytes + (size_t)within * (size_t)form->block_bytes, lane, b.q);
            }
        }
    }
    return true;
}
