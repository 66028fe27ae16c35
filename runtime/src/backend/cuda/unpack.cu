// The block formats are ggml's (ggml-common.h describes them); see file/dequantize.c for the reference decoder.
// SPDX-License-Identifier: MIT
#include "backend/cuda/unpack.cuh"

bool rti_unpack_form_of(rti_type type, rti_unpack_form *form)
{
    switch (type) {
    case RTI_TYPE_Q4_0: *form = {RTI_LAYOUT_INT4, RTI_SCALE_F16, false}; return true;
    case RTI_TYPE_Q4_1: *form = {RTI_LAYOUT_INT4, RTI_SCALE_F16, true}; return true;
    case RTI_TYPE_Q5_0:
    case RTI_TYPE_Q8_0:
    case RTI_TYPE_IQ4_NL: *form = {RTI_LAYOUT_INT8, RTI_SCALE_F16, false}; return true;
    case RTI_TYPE_Q5_1: *form = {RTI_LAYOUT_INT8, RTI_SCALE_F16, true}; return true;
    case RTI_TYPE_Q4_K: *form = {RTI_LAYOUT_INT4, RTI_SCALE_K, true}; return true;
    case RTI_TYPE_Q5_K: *form = {RTI_LAYOUT_INT8, RTI_SCALE_K, true}; return true;
    case RTI_TYPE_Q6_K: *form = {RTI_LAYOUT_INT8_HALF, RTI_SCALE_K, false}; return true;
    default: return false;
    }
}

// The 6-bit scale and minimum of sub-block j of a K-quant, packed in 12 bytes.
static void scale_and_minimum(const uint8_t *packed, int j, uint8_t *scale, uint8_t *minimum)
{
    if (j < 4) {
        *scale = packed[j] & 63;
        *minimum = packed[j + 4] & 63;
    } else {
        *scale = (uint8_t)((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4);
        *minimum = (uint8_t)(packed[j + 4] >> 4 | (packed[j] >> 6) << 4);
    }
}

static void copy_supers(const uint8_t *block, rti_unpacked *out)
{
    memcpy(out->supers, block, 4);
    out->supers[3] ^= 0x80; // the minimum is taken away: its float16 changes sign
}

static void unpack_q4_k(const uint8_t *row, int b, rti_unpacked *out)
{
    const uint8_t *block = row + (size_t)(b / 8) * 144;
    int j = b % 8;
    copy_supers(block, out);
    scale_and_minimum(block + 4, j, out->scales, out->offset);
    const uint8_t *q = block + 16 + j / 2 * 32;
    for (int i = 0; i < 16; i++) {
        int low = j % 2 ? q[i] >> 4 : q[i] & 15, high = j % 2 ? q[i + 16] >> 4 : q[i + 16] & 15;
        out->values[i] = (uint8_t)(low | high << 4);
    }
}

static void unpack_q5_k(const uint8_t *row, int b, rti_unpacked *out)
{
    const uint8_t *block = row + (size_t)(b / 8) * 176;
    int j = b % 8;
    copy_supers(block, out);
    scale_and_minimum(block + 4, j, out->scales, out->offset);
    const uint8_t *high = block + 16, *q = block + 48 + j / 2 * 32;
    for (int i = 0; i < 32; i++) {
        int low = j % 2 ? q[i] >> 4 : q[i] & 15;
        out->values[i] = (uint8_t)(low | (high[i] >> j & 1) << 4);
    }
}

static void unpack_q6_k(const uint8_t *row, int b, rti_unpacked *out)
{
    const uint8_t *block = row + (size_t)(b / 8) * 210;
    int j = b % 8, half = j / 4, quarter = j % 4; // quarter: which 32 of the half's 128
    const uint8_t *low = block + half * 64 + quarter % 2 * 32, *high = block + 128 + half * 32;
    const uint8_t *scales = block + 192;
    for (int i = 0; i < 32; i++) {
        int nibble = quarter < 2 ? low[i] & 15 : low[i] >> 4;
        out->values[i] = (uint8_t)(int8_t)((nibble | (high[i] >> 2 * quarter & 3) << 4) - 32);
    }
    out->scales[0] = scales[j * 2];
    out->scales[1] = scales[j * 2 + 1];
    out->supers[0] = block[208];
    out->supers[1] = block[209];
    out->supers[2] = out->supers[3] = 0;
}

static void unpack_fives(const uint8_t *block, bool has_minimum, rti_unpacked *out)
{
    const uint8_t *at = block + (has_minimum ? 4 : 2);
    uint32_t high;
    memcpy(&high, at, 4);
    for (int i = 0; i < 16; i++) {
        int low_half = (at[4 + i] & 15) | (int)(high >> i & 1) << 4, high_half = at[4 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        out->values[i] = (uint8_t)(int8_t)(has_minimum ? low_half : low_half - 16);
        out->values[i + 16] = (uint8_t)(int8_t)(has_minimum ? high_half : high_half - 16);
    }
    memcpy(out->scales, block, 2);
    if (has_minimum) memcpy(out->offset, block + 2, 2);
}

void rti_unpack_block(rti_type type, const uint8_t *row, int b, rti_unpacked *out)
{
    static const int8_t nonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const uint8_t *block;
    switch (type) {
    case RTI_TYPE_Q4_0:
        block = row + (size_t)b * 18;
        memcpy(out->scales, block, 2);
        memcpy(out->values, block + 2, 16);
        break;
    case RTI_TYPE_Q4_1:
        block = row + (size_t)b * 20;
        memcpy(out->scales, block, 2);
        memcpy(out->offset, block + 2, 2);
        memcpy(out->values, block + 4, 16);
        break;
    case RTI_TYPE_Q5_0: unpack_fives(row + (size_t)b * 22, false, out); break;
    case RTI_TYPE_Q5_1: unpack_fives(row + (size_t)b * 24, true, out); break;
    case RTI_TYPE_Q8_0:
        block = row + (size_t)b * 34;
        memcpy(out->scales, block, 2);
        memcpy(out->values, block + 2, 32);
        break;
    case RTI_TYPE_IQ4_NL:
        block = row + (size_t)b * 18;
        memcpy(out->scales, block, 2);
        for (int i = 0; i < 16; i++) {
            out->values[i] = (uint8_t)nonlinear[block[2 + i] & 15];
            out->values[i + 16] = (uint8_t)nonlinear[block[2 + i] >> 4];
        }
        break;
    case RTI_TYPE_Q4_K: unpack_q4_k(row, b, out); break;
    case RTI_TYPE_Q5_K: unpack_q5_k(row, b, out); break;
    case RTI_TYPE_Q6_K: unpack_q6_k(row, b, out); break;
    default: break;
    }
}
