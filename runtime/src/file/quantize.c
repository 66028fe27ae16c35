// file/quantize.c - float32 to the plain block types, as ggml's reference code and the `gguf` package do it, bit for bit.
// K-quants are in quantize_k.c.
// SPDX-License-Identifier: MIT
#include "file/quantize_k.h"

#include <math.h>
#include <string.h>

// A cast that no value makes undefined: NaN becomes the lowest.
static int truncate_into(float value, int lowest, int highest)
{
    if (!(value > (float)lowest))
        return lowest;
    return value < (float)highest ? (int)value : highest;
}

static float reciprocal(float scale)
{
    float result = scale != 0 ? 1 / scale : 0;
    return isfinite(result) ? result : 0;
}

static void write_q8_0(const float *values, uint8_t *block)
{
    float largest = 0;
    for (int i = 0; i < 32; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    float scale = largest / 127, id = reciprocal(scale);
    rti_put_half(block, scale);
    for (int i = 0; i < 32; i++)
        block[2 + i] = (uint8_t)(int8_t)truncate_into(roundf(values[i] * id), -127, 127);
}

static void write_q4_0(const float *values, uint8_t *block)
{
    float largest = 0, extreme = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(values[i]) > largest) {
            largest = fabsf(values[i]);
            extreme = values[i];
        }
    float scale = extreme / -8, id = reciprocal(scale);
    rti_put_half(block, scale);
    for (int i = 0; i < 16; i++) {
        int low = truncate_into(values[i] * id + 8.5f, 0, 15);
        int high = truncate_into(values[i + 16] * id + 8.5f, 0, 15);
        block[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void write_q4_1(const float *values, uint8_t *block)
{
    float largest = values[0], smallest = values[0];
    for (int i = 1; i < 32; i++) {
        largest = fmaxf(largest, values[i]);
        smallest = fminf(smallest, values[i]);
    }
    float scale = (largest - smallest) / 15, id = reciprocal(scale);
    rti_put_half(block, scale);
    rti_put_half(block + 2, smallest);
    for (int i = 0; i < 16; i++) {
        int low = truncate_into((values[i] - smallest) * id + 0.5f, 0, 15);
        int high = truncate_into((values[i + 16] - smallest) * id + 0.5f, 0, 15);
        block[4 + i] = (uint8_t)(low | high << 4);
    }
}

static void write_f16(const float *values, uint8_t *bytes)
{
    rti_put_half(bytes, values[0]);
}

static void write_bf16(const float *values, uint8_t *bytes)
{
    uint16_t rounded = rti_float_to_bfloat(values[0]);
    bytes[0] = (uint8_t)rounded;
    bytes[1] = (uint8_t)(rounded >> 8);
}

bool rti_quantize(rti_type type, const float *values, const float *weights, void *blocks, size_t count)
{
    void (*write)(const float *, uint8_t *) = NULL;
    const rti_type_info *info = rti_type_find((uint32_t)type);
    switch (type) {
    case RTI_TYPE_F32: memcpy(blocks, values, count * sizeof *values); return true;
    case RTI_TYPE_F16: write = write_f16; break;
    case RTI_TYPE_BF16: write = write_bf16; break;
    case RTI_TYPE_Q8_0: write = write_q8_0; break;
    case RTI_TYPE_Q4_0: write = write_q4_0; break;
    case RTI_TYPE_Q4_1: write = write_q4_1; break;
    case RTI_TYPE_Q4_K:
    case RTI_TYPE_Q6_K: break;
    default: return false;
    }
    uint8_t *block = blocks;
    for (size_t i = 0; i + (size_t)info->block_values <= count; i += (size_t)info->block_values) {
        const float *block_weights = weights ? weights + i : NULL;
        if (type == RTI_TYPE_Q4_K)
            rti_write_q4_k(values + i, block_weights, block);
        else if (type == RTI_TYPE_Q6_K)
            rti_write_q6_k(values + i, block_weights, block);
        else
            write(values + i, block);
        block += info->block_bytes;
    }
    return true;
}
