// backend/cpu/kv.c - the key-value cache: one row in, blocks copied, and read and written in the order all backends share.
//
// In memory keys are transposed ([dimension][slot]) so that a lane is a position. In snapshots both are [slot][dimension];
// Q8_0 there is, for each 32 dimensions, a half and 32 bytes, as in files.
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <math.h>
#include <string.h>

#define SLOTS RTI_KV_SLOTS

// Rounds 32 values to bytes and a half; the bits are the same everywhere (plain float operations).
static uint16_t round_bytes(const float *x, int8_t *q)
{
    float top = 0.0f;
    for (int i = 0; i < 32; i++) {
        float a = fabsf(x[i]);
        top = a > top ? a : top;
    }
    float inverse = top > 1e-30f ? 127.0f / top : 0.0f;
    for (int i = 0; i < 32; i++) {
        float v = x[i] * inverse;
        v = v < 127.0f ? v : 127.0f;
        v = v > -127.0f ? v : -127.0f;
        q[i] = (int8_t)((v + 12582912.0f) - 12582912.0f);
    }
    return rti_float_to_half(top / 127.0f);
}

void rti_kv_write_key(const rti_device *device, const rti_row *row, int32_t layer, int32_t head, const float *key)
{
    const int32_t n = device->weights->network->head_size, slot = row->position % SLOTS;
    uint32_t block = row->blocks[row->position / SLOTS - row->first_position / SLOTS];
    uint8_t *keys = rti_kv_keys(device, block, layer, head);
    if (device->def.kv_type == RT_KV_F32) {
        for (int32_t i = 0; i < n; i++) {
            ((float *)(void *)keys)[i * SLOTS + slot] = key[i];
        }
    } else if (device->def.kv_type == RT_KV_F16) {
        uint16_t halves[512];
        device->weights->kernels->to_half(key, n, halves);
        for (int32_t i = 0; i < n; i++) {
            ((uint16_t *)(void *)keys)[i * SLOTS + slot] = halves[i];
        }
    } else {
        uint16_t *scales = (uint16_t *)(void *)(keys + n * SLOTS);
        for (int32_t i = 0; i < n; i += 32) {
            int8_t q[32];
            scales[i / 32 * SLOTS + slot] = round_bytes(key + i, q);
            for (int32_t j = 0; j < 32; j++) {
                ((int8_t *)keys)[(i + j) * SLOTS + slot] = q[j];
            }
        }
    }
}

void rti_kv_write_value(const rti_device *device, const rti_row *row, int32_t layer, int32_t head, const float *value)
{
    const int32_t n = device->weights->network->head_size, slot = row->position % SLOTS;
    uint32_t block = row->blocks[row->position / SLOTS - row->first_position / SLOTS];
    uint8_t *values = rti_kv_values(device, block, layer, head);
    if (device->def.kv_type == RT_KV_F32) {
        memcpy(values + (size_t)(slot * n) * 4, value, (size_t)n * 4);
    } else if (device->def.kv_type == RT_KV_F16) {
        device->weights->kernels->to_half(value, n, (uint16_t *)(void *)values + slot * n);
    } else {
        uint16_t *scales = (uint16_t *)(void *)(values + n * SLOTS);
        for (int32_t i = 0; i < n; i += 32) {
            scales[i / 32 * SLOTS + slot] = round_bytes(value + i, (int8_t *)values + slot * n + i);
        }
    }
}

rt_result rti_block_copy_cpu(rti_device *device, uint32_t to, uint32_t from)
{
    memcpy(device->kv + (size_t)to * device->block_bytes, device->kv + (size_t)from * device->block_bytes, device->block_bytes);
    return RT_OK;
}

// One head's keys or values between memory and the shared order.
static void convert(rt_kv_type type, int32_t n, bool is_key, bool reading, uint8_t *memory, uint8_t *bytes)
{
    const size_t size = type == RT_KV_F32 ? 4 : type == RT_KV_F16 ? 2 : 1;
    for (int32_t slot = 0; slot < SLOTS; slot++) {
        for (int32_t i = 0; i < n; i++) {
            size_t inside = (size_t)(is_key ? i * SLOTS + slot : slot * n + i) * size;
            size_t outside = size > 1 ? (size_t)(slot * n + i) * size : (size_t)(slot * (n / 32) + i / 32) * 34 + 2 + (size_t)(i % 32);
            uint8_t *to = reading ? bytes + outside : memory + inside;
            memcpy(to, reading ? memory + inside : bytes + outside, size);
        }
        for (int32_t i = 0; size == 1 && i < n / 32; i++) {
            uint8_t *inside = memory + (size_t)n * SLOTS + (size_t)(i * SLOTS + slot) * 2;
            uint8_t *outside = bytes + (size_t)(slot * (n / 32) + i) * 34;
            memcpy(reading ? outside : inside, reading ? inside : outside, 2);
        }
    }
}

static void convert_block(rti_device *device, uint32_t block, bool reading, uint8_t *bytes)
{
    const rti_network *network = device->weights->network;
    uint8_t *memory = device->kv + (size_t)block * device->block_bytes;
    for (int32_t i = 0; i < network->layer_count * 2; i++) {
        for (int32_t head = 0; head < network->kv_head_count; head++) {
            convert(device->def.kv_type, network->head_size, i % 2 == 0, reading, memory, bytes);
            memory += device->kv_value_bytes;
            bytes += device->kv_value_bytes;
        }
    }
}

rt_result rti_block_read_cpu(rti_device *device, uint32_t block, void *bytes)
{
    convert_block(device, block, true, bytes);
    return RT_OK;
}

rt_result rti_block_write_cpu(rti_device *device, uint32_t block, const void *bytes)
{
    convert_block(device, block, false, (uint8_t *)(uintptr_t)bytes);
    return RT_OK;
}

rt_result rti_cache_resize_cpu(rti_device *device, uint32_t block_count, const uint32_t *from, uint32_t kept)
{
    size_t bytes;
    if (!rti_size_multiply(device->block_bytes, block_count, &bytes)) {
        return rti_fail(&device->host, RT_ERROR_TOO_LARGE, "key-value cache: %u blocks are more than the address space", block_count);
    }
    uint8_t *kv = rti_huge_allocate(&device->host, bytes);
    if (!kv) {
        return rti_fail(&device->host, RT_ERROR_OUT_OF_MEMORY, "key-value cache: no memory for %zu bytes beside the present %zu", bytes,
                        device->kv_bytes);
    }
    for (uint32_t i = 0; i < kept; i++) {
        memcpy(kv + (size_t)i * device->block_bytes, device->kv + (size_t)from[i] * device->block_bytes, device->block_bytes);
    }
    memset(kv + (size_t)kept * device->block_bytes, 0, bytes - (size_t)kept * device->block_bytes); // touched now, not in a frame
    rti_huge_release(&device->host, device->kv, device->kv_bytes);
    device->kv = kv;
    device->kv_bytes = bytes;
    device->def.block_count = block_count;
    return RT_OK;
}
