// file/dequantize.c - every block type to float32, in the order of operations that ggml's reference code and the `gguf`
// package use, so that the values are the same to the last bit.
//
// Layouts are those of ggml (ggml-common.h). A scale is an F16 unless it says otherwise; nibbles hold value i in the low
// half of byte i and value i + 16 (or + 32) in the high half.
// SPDX-License-Identifier: MIT
#include "file/file.h"

#include <string.h>

// Values of IQ4_NL and IQ4_XS nibbles.
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// Doubled E2M1 values (OCP microscaling formats 1.0); the block's exponent is halved for it.
static const int8_t fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static float half_at(const uint8_t *bytes)
{
    return rti_half_to_float((uint16_t)(bytes[0] | (bytes[1] << 8)));
}

static void read_f16(const uint8_t *bytes, float *values)
{
    values[0] = half_at(bytes);
}

static void read_bf16(const uint8_t *bytes, float *values)
{
    values[0] = rti_bfloat_to_float((uint16_t)(bytes[0] | (bytes[1] << 8)));
}

static void read_f8(const uint8_t *bytes, float *values)
{
    values[0] = rti_f8e4m3_to_float(bytes[0]);
}

static void read_f32(const uint8_t *bytes, float *values)
{
    memcpy(values, bytes, sizeof *values);
}

static void read_q8_0(const uint8_t *block, float *values)
{
    float scale = half_at(block);
    const int8_t *q = (const int8_t *)(block + 2);
    for (int i = 0; i < 32; i++)
        values[i] = (float)q[i] * scale;
}

static void read_q4_0(const uint8_t *block, float *values)
{
    float scale = half_at(block);
    const uint8_t *q = block + 2;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)((q[i] & 15) - 8);
        values[i + 16] = scale * (float)((q[i] >> 4) - 8);
    }
}

static void read_q4_1(const uint8_t *block, float *values)
{
    float scale = half_at(block), minimum = half_at(block + 2);
    const uint8_t *q = block + 4;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)(q[i] & 15) + minimum;
        values[i + 16] = scale * (float)(q[i] >> 4) + minimum;
    }
}

// Bit i of the 32 high bits, as 0 or 16.
static int high_bit(const uint8_t *bits, int i)
{
    return ((bits[i >> 3] >> (i & 7)) & 1) << 4;
}

static void read_q5_0(const uint8_t *block, float *values)
{
    float scale = half_at(block);
    const uint8_t *high = block + 2, *q = block + 6;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)(((q[i] & 15) | high_bit(high, i)) - 16);
        values[i + 16] = scale * (float)(((q[i] >> 4) | high_bit(high, i + 16)) - 16);
    }
}

static void read_q5_1(const uint8_t *block, float *values)
{
    float scale = half_at(block), minimum = half_at(block + 2);
    const uint8_t *high = block + 4, *q = block + 8;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)((q[i] & 15) | high_bit(high, i)) + minimum;
        values[i + 16] = scale * (float)((q[i] >> 4) | high_bit(high, i + 16)) + minimum;
    }
}

// scales[16] (4 bits scale, 4 bits minimum), quants[64] of 2 bits, scale, scale of minima
static void read_q2_k(const uint8_t *block, float *values)
{
    const uint8_t *scales = block, *q = block + 16;
    float scale = half_at(block + 80), minimum = half_at(block + 82);
    for (int i = 0; i < 256; i++) {
        int group = i >> 4;
        float d = scale * (float)(scales[group] & 15);
        float m = minimum * (float)(scales[group] >> 4);
        int value = (q[(i >> 7) * 32 + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
        values[i] = d * (float)value - m;
    }
}

// high bits[32], quants[64] of 2 bits, scales[12] of 6 bits, scale. A high bit that is clear subtracts 4.
static void read_q3_k(const uint8_t *block, float *values)
{
    const uint8_t *high = block, *q = block + 32, *packed = block + 96;
    float scale = half_at(block + 108);
    float scales[16];
    for (int g = 0; g < 16; g++) {
        int low = (packed[g & 7] >> (4 * (g >> 3))) & 15;
        int top = (packed[8 + (g & 3)] >> (2 * (g >> 2))) & 3;
        scales[g] = scale * (float)((low | (top << 4)) - 32);
    }
    for (int i = 0; i < 256; i++) {
        int value = (q[(i >> 7) * 32 + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3;
        if (!((high[i & 31] >> (i >> 5)) & 1))
            value -= 4;
        values[i] = scales[i >> 4] * (float)value;
    }
}

// Eight 6-bit scales and minima in twelve bytes.
static void unpack_scales(const uint8_t *packed, float scale, float minimum, float scales[8], float minima[8])
{
    for (int g = 0; g < 8; g++) {
        int s, m;
        if (g < 4) {
            s = packed[g] & 63;
            m = packed[g + 4] & 63;
        } else {
            s = (packed[g + 4] & 15) | ((packed[g - 4] >> 6) << 4);
            m = (packed[g + 4] >> 4) | ((packed[g] >> 6) << 4);
        }
        scales[g] = scale * (float)s;
        minima[g] = minimum * (float)m;
    }
}

// scale, scale of minima, scales[12], quants[128] of 4 bits
static void read_q4_k(const uint8_t *block, float *values)
{
    const uint8_t *q = block + 16;
    float scales[8], minima[8];
    unpack_scales(block + 4, half_at(block), half_at(block + 2), scales, minima);
    for (int i = 0; i < 256; i++) {
        int g = i >> 5;
        int value = (q[(i >> 6) * 32 + (i & 31)] >> (4 * (g & 1))) & 15;
        values[i] = scales[g] * (float)value - minima[g];
    }
}

// scale, scale of minima, scales[12], high bits[32], quants[128] of 4 bits
static void read_q5_k(const uint8_t *block, float *values)
{
    const uint8_t *high = block + 16, *q = block + 48;
    float scales[8], minima[8];
    unpack_scales(block + 4, half_at(block), half_at(block + 2), scales, minima);
    for (int i = 0; i < 256; i++) {
        int g = i >> 5;
        int value = (q[(i >> 6) * 32 + (i & 31)] >> (4 * (g & 1))) & 15;
        value |= ((high[i & 31] >> g) & 1) << 4;
        values[i] = scales[g] * (float)value - minima[g];
    }
}

// low bits[128], high bits[64], scales[16] of 8 bits, scale
static void read_q6_k(const uint8_t *block, float *values)
{
    const uint8_t *low = block, *high = block + 128;
    const int8_t *scales = (const int8_t *)(block + 192);
    float scale = half_at(block + 208);
    for (int i = 0; i < 256; i++) {
        int half = i >> 7, quarter = (i >> 5) & 3;
        int value = (low[half * 64 + (quarter & 1) * 32 + (i & 31)] >> (4 * (quarter >> 1))) & 15;
        value |= ((high[half * 32 + (i & 31)] >> (2 * quarter)) & 3) << 4;
        values[i] = (scale * (float)scales[i >> 4]) * (float)(value - 32);
    }
}

static void read_iq4_nl(const uint8_t *block, float *values)
{
    float scale = half_at(block);
    const uint8_t *q = block + 2;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)iq4_values[q[i] & 15];
        values[i + 16] = scale * (float)iq4_values[q[i] >> 4];
    }
}

// scale, high scale bits[2 bytes], low scale bits[4], quants[128] of 4 bits
static void read_iq4_xs(const uint8_t *block, float *values)
{
    float scale = half_at(block);
    unsigned high = (unsigned)(block[2] | (block[3] << 8));
    const uint8_t *low = block + 4, *q = block + 8;
    for (int g = 0; g < 8; g++) {
        int s = ((low[g >> 1] >> (4 * (g & 1))) & 15) | (int)(((high >> (2 * g)) & 3u) << 4);
        float d = scale * (float)(s - 32);
        for (int i = 0; i < 16; i++) {
            values[g * 32 + i] = d * (float)iq4_values[q[g * 16 + i] & 15];
            values[g * 32 + i + 16] = d * (float)iq4_values[q[g * 16 + i] >> 4];
        }
    }
}

static void read_mxfp4(const uint8_t *block, float *values)
{
    uint32_t exponent = block[0];
    uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23; // 2^(exponent - 128)
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    const uint8_t *q = block + 1;
    for (int i = 0; i < 16; i++) {
        values[i] = scale * (float)fp4_values[q[i] & 15];
        values[i + 16] = scale * (float)fp4_values[q[i] >> 4];
    }
}

typedef void block_reader(const uint8_t *block, float *values);

static block_reader *reader_of(rti_type type)
{
    switch (type) {
    case RTI_TYPE_F32: return read_f32;
    case RTI_TYPE_F16: return read_f16;
    case RTI_TYPE_BF16: return read_bf16;
    case RTI_TYPE_F8_E4M3: return read_f8;
    case RTI_TYPE_Q8_0: return read_q8_0;
    case RTI_TYPE_Q4_0: return read_q4_0;
    case RTI_TYPE_Q4_1: return read_q4_1;
    case RTI_TYPE_Q5_0: return read_q5_0;
    case RTI_TYPE_Q5_1: return read_q5_1;
    case RTI_TYPE_Q2_K: return read_q2_k;
    case RTI_TYPE_Q3_K: return read_q3_k;
    case RTI_TYPE_Q4_K: return read_q4_k;
    case RTI_TYPE_Q5_K: return read_q5_k;
    case RTI_TYPE_Q6_K: return read_q6_k;
    case RTI_TYPE_IQ4_NL: return read_iq4_nl;
    case RTI_TYPE_IQ4_XS: return read_iq4_xs;
    case RTI_TYPE_MXFP4: return read_mxfp4;
    }
    return NULL;
}

void rti_dequantize(rti_type type, const void *blocks, float *values, size_t count)
{
    if (type == RTI_TYPE_F32) {
        memcpy(values, blocks, count * sizeof *values);
        return;
    }
    const rti_type_info *info = rti_type_find((uint32_t)type);
    block_reader *read = reader_of(type);
    if (!info || !read)
        return;
    const uint8_t *block = blocks;
    for (size_t i = 0; i + (size_t)info->block_values <= count; i += (size_t)info->block_values) {
        read(block, values + i);
        block += info->block_bytes;
    }
}
