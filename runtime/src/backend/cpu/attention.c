// backend/cpu/attention.c - attention of a group of rows on one key-value head, chunk after chunk of the cache.
//
// The contract: positions in chunks of RTI_ATTENTION_CHUNK blocks, counted from position 0. In a chunk an online softmax over
// its blocks in ascending order; chunks joined in ascending order. So a row's sums do not depend on how the work was cut.
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <math.h>
#include <string.h>

int32_t rti_attention_rows(const rti_network *network)
{
    int32_t shared = network->head_count / network->kv_head_count;
    return RTI_MAX(1, RTI_MIN(8, 32 / shared));
}

// Queries of one job: `rows` rows times the heads that share a key-value head.
typedef struct query_set {
    int32_t count;
    const float *queries[RTI_MAX_QUERIES];
    float *local[RTI_MAX_QUERIES], *out[RTI_MAX_QUERIES];
    float peak[RTI_MAX_QUERIES], total[RTI_MAX_QUERIES];
    float *out_peak[RTI_MAX_QUERIES], *out_total[RTI_MAX_QUERIES];
    int32_t low[RTI_MAX_QUERIES], high[RTI_MAX_QUERIES]; // positions seen: [low, high)
    int32_t begin[RTI_MAX_QUERIES], end[RTI_MAX_QUERIES];
} query_set;

static void gather(rti_device *device, rti_slot *slot, int32_t layer, const rti_row_group *group, int32_t kv_head, float *local,
                   query_set *set)
{
    const rti_network *network = device->weights->network;
    const int32_t shared = network->head_count / network->kv_head_count, n = network->head_size;
    const int32_t window = network->layers[layer].sliding_window;
    set->count = 0;
    for (int32_t r = group->begin; r < group->begin + group->count; r++) {
        const rti_row *row = &slot->rows[r];
        for (int32_t h = kv_head * shared; h < (kv_head + 1) * shared; h++) {
            int32_t i = set->count++;
            size_t at = (size_t)r * (size_t)device->attention_width + (size_t)(h * n);
            set->queries[i] = slot->query + at;
            set->out[i] = slot->attended + at;
            set->out_peak[i] = slot->peak + r * network->head_count + h;
            set->out_total[i] = slot->total + r * network->head_count + h;
            set->local[i] = local + (size_t)i * (size_t)n;
            set->high[i] = row->position + 1;
            set->low[i] = row->first_position;
            if (window > 0 && set->high[i] - window > set->low[i]) {
                set->low[i] = set->high[i] - window;
            }
            *set->out_peak[i] = -INFINITY;
        }
    }
}

// One chunk: softmax over its blocks into the local sums.
static void run_chunk(rti_device *device, const rti_row *row, int32_t layer, int32_t kv_head, int32_t first_block,
                      int32_t end_block, int32_t after_last, rti_attention_job *job, query_set *set)
{
    for (int32_t i = 0; i < set->count; i++) {
        set->peak[i] = -INFINITY;
        set->total[i] = 0.0f;
    }
    for (int32_t b = first_block; b < end_block; b++) {
        for (int32_t i = 0; i < set->count; i++) {
            set->begin[i] = RTI_MAX(set->low[i] - b * RTI_KV_SLOTS, 0);
            set->end[i] = RTI_MIN(set->high[i] - b * RTI_KV_SLOTS, RTI_KV_SLOTS);
        }
        uint32_t block = row->blocks[b - row->first_position / RTI_KV_SLOTS];
        job->keys = rti_kv_keys(device, block, layer, kv_head);
        job->values = rti_kv_values(device, block, layer, kv_head);
        if (b + 1 < after_last) {
            block = row->blocks[b + 1 - row->first_position / RTI_KV_SLOTS];
        }
        job->next_keys = rti_kv_keys(device, block, layer, kv_head);
        job->next_values = rti_kv_values(device, block, layer, kv_head);
        device->weights->kernels->attention(job);
    }
}

static void join_chunk(const rti_kernels *kernels, query_set *set, int32_t n)
{
    for (int32_t i = 0; i < set->count; i++) {
        if (set->peak[i] == -INFINITY) {
            continue;
        }
        if (*set->out_peak[i] == -INFINITY) {
            *set->out_peak[i] = set->peak[i];
            *set->out_total[i] = set->total[i];
            memcpy(set->out[i], set->local[i], (size_t)n * sizeof(float));
        } else {
            kernels->attention_merge(set->out_peak[i], set->out_total[i], set->out[i], set->peak[i], set->total[i], set->local[i], n);
        }
    }
}

void rti_step_attention(rti_device *device, rti_slot *slot, int32_t layer, int32_t thread, int32_t begin, int32_t end)
{
    const rti_network *network = device->weights->network;
    query_set set;
    rti_attention_job job = {
        .queries = set.queries,
        .head_size = network->head_size,
        .kv_type = device->def.kv_type,
        .begin = set.begin,
        .end = set.end,
        .scale = network->attention_scale,
        .softcap = network->attention_softcap,
        .peak = set.peak,
        .total = set.total,
        .out = set.local,
        .scratch = device->threads[thread].attention,
    };
    for (int32_t unit = begin; unit < end; unit++) {
        const rti_row_group *group = &slot->groups[unit / network->kv_head_count];
        const rti_row *row = &slot->rows[group->begin], *last = row + group->count - 1;
        int32_t kv_head = unit % network->kv_head_count;
        gather(device, slot, layer, group, kv_head, device->threads[thread].local, &set);
        job.query_count = set.count;
        int32_t low = set.low[0], high = last->position + 1; // the first row sees furthest back
        int32_t first_block = low / RTI_KV_SLOTS, end_block = (high + RTI_KV_SLOTS - 1) / RTI_KV_SLOTS;
        for (int32_t b = first_block; b < end_block;) {
            int32_t chunk_end = RTI_MIN((b / RTI_ATTENTION_CHUNK + 1) * RTI_ATTENTION_CHUNK, end_block);
            run_chunk(device, row, layer, kv_head, b, chunk_end, end_block, &job, &set);
            join_chunk(device->weights->kernels, &set, network->head_size);
            b = chunk_end;
        }
    }
}
