// backend/cpu/device.c - a context's memory: cache, pass slots and threads, all taken at creation.
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <string.h>

static void place_slot(rti_arena *arena, const rti_device *device, rti_slot *slot)
{
    const rti_device_def *def = &device->def;
    const rti_network *network = device->weights->network;
    const int32_t rows = def->max_rows;
    const size_t row_count = (size_t)rows;
    bool post_norm = false;
    for (int32_t i = 0; i < network->layer_count; i++) {
        post_norm |= network->layers[i].post_attention_norm.values || network->layers[i].post_feed_forward_norm.values;
    }
    slot->rows = rti_arena_take(arena, row_count, sizeof(rti_row));
    slot->logits_source = rti_arena_take(arena, (size_t)def->max_logits_rows, sizeof(int32_t));
    slot->panels = rti_arena_take(arena, (size_t)device->vocabulary / RTI_PANEL_ROWS, sizeof(int32_t));
    slot->groups = rti_arena_take(arena, row_count, sizeof(rti_row_group));
    slot->x = rti_arena_take(arena, row_count * (size_t)device->hidden, sizeof(float));
    const rti_weights *weights = device->weights;
    const bool rounded = weights->precision == RT_PRECISION_FAST;
    rti_act_place(arena, weights->kernels, &slot->input, rows, RTI_MAX(device->hidden, device->attention_width), rounded, true);
    rti_act_place(arena, weights->kernels, &slot->hidden, rows, device->feed_forward, rounded, weights->planes[RTI_ROLE_DOWN] == 2);
    slot->query = rti_arena_take(arena, row_count * (size_t)device->attention_width, sizeof(float));
    slot->attended = rti_arena_take(arena, row_count * (size_t)device->attention_width, sizeof(float));
    slot->peak = rti_arena_take(arena, row_count * (size_t)network->head_count, sizeof(float));
    slot->total = rti_arena_take(arena, row_count * (size_t)network->head_count, sizeof(float));
    const size_t partials = RTI_MAX_PARTIALS * (size_t)network->head_count;
    slot->partial_out = rti_arena_take(arena, partials * (size_t)network->head_size, sizeof(float));
    slot->partial_peak = rti_arena_take(arena, partials, sizeof(float));
    slot->partial_total = rti_arena_take(arena, partials, sizeof(float));
    slot->rope = rti_arena_take(arena, row_count * (size_t)network->head_size * RTI_MAX_ROPES, sizeof(float));
    slot->projected = post_norm ? rti_arena_take(arena, row_count * (size_t)device->hidden, sizeof(float)) : NULL;
    slot->logits = rti_arena_take(arena, (size_t)def->max_logits_rows * (size_t)device->vocabulary, sizeof(float));
}

static void place_all(rti_arena *arena, rti_device *device)
{
    const rti_network *network = device->weights->network;
    const int32_t threads = device->def.worker_count + 1;
    const size_t width = (size_t)RTI_MAX(network->head_size, RTI_TILE_WIDTH);
    for (int32_t i = 0; i < device->def.max_passes; i++) {
        place_slot(arena, device, &device->slots[i]);
    }
    device->sample_scratch_bytes = rt_sampler_scratch_bytes(network->vocab_size);
    device->sample_scratch = rti_arena_take(arena, device->sample_scratch_bytes, 1);
    device->threads = rti_arena_take(arena, (size_t)threads, sizeof(rti_thread_scratch));
    for (int32_t i = 0; i < threads; i++) {
        rti_thread_scratch scratch = {0};
        scratch.tile[0] = rti_arena_take(arena, RTI_TILE_ROWS * width, sizeof(float));
        scratch.tile[1] = rti_arena_take(arena, RTI_TILE_ROWS * width, sizeof(float));
        scratch.attention = rti_arena_take(arena, rti_attention_scratch_floats(network->head_size), sizeof(float));
        scratch.local = rti_arena_take(arena, RTI_MAX_QUERIES * (size_t)network->head_size, sizeof(float));
        if (device->threads) {
            device->threads[i] = scratch;
        }
    }
}

// Of one head's keys or values in a block.
static size_t kv_value_bytes(rt_kv_type type, int32_t head_size)
{
    size_t count = (size_t)head_size * RTI_KV_SLOTS;
    switch (type) {
    case RT_KV_F32: return count * 4;
    case RT_KV_Q8_0: return count + count / 32 * 2;
    default: return count * 2;
    }
}

// Shapes and sizes; places nothing.
static rt_result measure(const rti_device_def *def, rti_device *device)
{
    const rti_network *network = def->weights->network;
    *device = (rti_device){.host = rti_host_or_default(&def->host), .weights = def->weights, .def = *def};
    if (def->kv_type == RT_KV_Q8_0 && network->head_size % 32 != 0) {
        return rti_fail(&device->host, RT_ERROR_UNSUPPORTED, "a Q8_0 key-value cache needs a head size that divides by 32, not %d",
                        network->head_size);
    }
    device->hidden = rti_round_up(network->hidden_size, RTI_BLOCK_COLUMNS);
    device->attention_width = rti_round_up(network->head_count * network->head_size, RTI_BLOCK_COLUMNS);
    device->feed_forward = rti_round_up(network->feed_forward_size, RTI_BLOCK_COLUMNS);
    device->vocabulary = rti_round_up(network->vocab_size, RTI_PANEL_ROWS);
    device->kv_value_bytes = kv_value_bytes(def->kv_type, network->head_size);
    size_t heads = (size_t)network->layer_count * 2 * (size_t)network->kv_head_count, block, total;
    if (!rti_size_multiply(heads, device->kv_value_bytes, &block) || !rti_size_multiply(block, def->block_count, &total)) {
        return rti_fail(&device->host, RT_ERROR_TOO_LARGE, "key-value cache: %u blocks are more than the address space", def->block_count);
    }
    device->block_bytes = block;
    device->kv_bytes = total;
    rti_arena arena = {0};
    place_all(&arena, device);
    device->arena_bytes = arena.used;
    return arena.overflow ? rti_fail(&device->host, RT_ERROR_TOO_LARGE, "context: larger than the address space") : RT_OK;
}

rt_result rti_device_memory_cpu(const rti_device_def *def, uint64_t *bytes)
{
    rti_device device;
    rt_result result = measure(def, &device);
    if (result == RT_OK) {
        *bytes = (uint64_t)device.kv_bytes + device.arena_bytes + sizeof device + rti_pool_bytes(def->worker_count);
    }
    return result;
}

rt_result rti_device_create_cpu(const rti_device_def *def, rti_device **out)
{
    rti_device shape;
    rt_result result = measure(def, &shape);
    if (result != RT_OK) {
        return result;
    }
    rti_device *device = rti_allocate(&shape.host, sizeof *device);
    if (!device) {
        return rti_fail(&shape.host, RT_ERROR_OUT_OF_MEMORY, "context: no memory");
    }
    *device = shape;
    device->kv = rti_huge_allocate(&device->host, device->kv_bytes);
    device->arena = rti_huge_allocate(&device->host, device->arena_bytes);
    if (!device->kv || !device->arena) {
        rti_device_destroy_cpu(device);
        return rti_fail(&shape.host, RT_ERROR_OUT_OF_MEMORY, "context: no memory for %zu bytes of key-value cache and %zu of scratch",
                        shape.kv_bytes, shape.arena_bytes);
    }
    memset(device->arena, 0, device->arena_bytes); // padding must be zero; touched now, not in a frame
    memset(device->kv, 0, device->kv_bytes);
    rti_arena arena = {.base = device->arena};
    place_all(&arena, device);
    result = rti_pool_create(&device->host, def->worker_count, def->worker_cpus, def->worker_spin_us, &device->pool);
    if (result != RT_OK) {
        rti_device_destroy_cpu(device);
        return result;
    }
    *out = device;
    return RT_OK;
}

void rti_device_destroy_cpu(rti_device *device)
{
    if (!device) {
        return;
    }
    rti_pool_destroy(device->pool);
    rt_host host = device->host;
    rti_huge_release(&host, device->kv, device->kv_bytes);
    rti_huge_release(&host, device->arena, device->arena_bytes);
    rti_release(&host, device, sizeof *device);
}
