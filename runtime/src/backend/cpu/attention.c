// backend/cpu/attention.c - attention of a group of rows on one key-value head, chunk after chunk of the cache.
//
// The contract: positions in chunks of RTI_ATTENTION_CHUNK blocks, counted from position 0. In a chunk an online softmax over
// its blocks in ascending order; chunks joined in ascending order. So a row's sums do not depend on how the work was cut.
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <math.h>
#include <string.h>

#define CHUNK_POSITIONS (RTI_ATTENTION_CHUNK * RTI_KV_SLOTS)

// Neighbouring rows of one sequence together, few enough for their queries to stay in the first cache.
void rti_attention_group(rti_slot *slot, const rti_network *network)
{
    const int32_t shared = network->head_count / network->kv_head_count, most = RTI_MAX(1, RTI_MIN(8, 32 / shared));
    int64_t partials = 0;
    slot->group_count = 0;
    slot->context = 0;
    for (int32_t r = 0; r < slot->row_count; r++) {
        const rti_row *row = &slot->rows[r];
        slot->context += row->position + 1 - row->first_position;
        rti_row_group *last = slot->group_count ? &slot->groups[slot->group_count - 1] : NULL;
        if (last && last->count < most && slot->rows[last->begin].blocks == row->blocks && row[-1].position + 1 == row->position) {
            last->count++;
        } else {
            last = &slot->groups[slot->group_count++];
            *last = (rti_row_group){.begin = r, .count = 1, .first_chunk = row->first_position / CHUNK_POSITIONS};
        }
        last->chunks = row->position / CHUNK_POSITIONS - last->first_chunk + 1;
    }
    for (int32_t g = 0; g < slot->group_count; g++) {
        slot->groups[g].partial = (int32_t)RTI_MIN(partials, INT32_MAX);
        partials += (int64_t)slot->groups[g].count * slot->groups[g].chunks;
    }
    slot->split = partials <= RTI_MAX_PARTIALS;
}

// First position that a row sees in a layer.
static int32_t first_seen(const rti_network *network, const rti_row *row, int32_t layer)
{
    const int32_t window = network->layers[layer].sliding_window, from = row->position + 1 - window;
    return window > 0 && from > row->first_position ? from : row->first_position;
}

// The group's first chunk in a layer; *count chunks from there on.
static int32_t layer_chunks(const rti_network *network, const rti_slot *slot, const rti_row_group *group, int32_t layer, int32_t *count)
{
    int32_t first = first_seen(network, &slot->rows[group->begin], layer) / CHUNK_POSITIONS;
    *count = group->first_chunk + group->chunks - first;
    return first;
}

int32_t rti_attention_units(const rti_device *device, const rti_slot *slot, int32_t layer, int32_t *chunks)
{
    const rti_network *network = device->weights->network;
    *chunks = 1;
    for (int32_t g = 0; g < slot->group_count; g++) {
        int32_t count;
        layer_chunks(network, slot, &slot->groups[g], layer, &count);
        *chunks = RTI_MAX(*chunks, count);
    }
    return slot->group_count * network->kv_head_count;
}

void rti_attention_work(const rti_device *device, const rti_slot *slot, int32_t layer, int32_t begin, int32_t end, rt_part *part)
{
    const rti_network *network = device->weights->network;
    const uint64_t shared = (uint64_t)(network->head_count / network->kv_head_count), n = (uint64_t)network->head_size;
    const int32_t heads = network->kv_head_count;
    // Units of one group and chunk stand together, a key-value head each.
    for (int32_t unit = begin; unit < end;) {
        int32_t rest = unit / heads, stop = RTI_MIN(end, (rest + 1) * heads);
        const uint64_t units = (uint64_t)(stop - unit);
        const rti_row_group *group = &slot->groups[rest % slot->group_count];
        int32_t count, chunk = rest / slot->group_count, first = layer_chunks(network, slot, group, layer, &count);
        unit = stop;
        if (chunk >= count) {
            continue;
        }
        const rti_row *row = &slot->rows[group->begin], *last = row + group->count - 1;
        int32_t from = RTI_MAX((first + chunk) * CHUNK_POSITIONS, first_seen(network, row, layer));
        int32_t to = RTI_MIN((first + chunk + 1) * CHUNK_POSITIONS, last->position + 1);
        uint64_t blocks = (uint64_t)((to + RTI_KV_SLOTS - 1) / RTI_KV_SLOTS - from / RTI_KV_SLOTS);
        part->bytes += units * blocks * 2 * device->kv_value_bytes;
        // Whole blocks are scored for every row.
        part->operations += units * shared * (uint64_t)group->count * (blocks * RTI_KV_SLOTS * n * 2 + n);
    }
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

// `chunk` counts from the group's first. In split passes a chunk's sums are made where they are kept.
static void gather(rti_device *device, rti_slot *slot, int32_t layer, const rti_row_group *group, int32_t kv_head, int32_t chunk,
                   bool first, float *local, query_set *set)
{
    const rti_network *network = device->weights->network;
    const int32_t shared = network->head_count / network->kv_head_count, n = network->head_size, heads = network->head_count;
    set->count = 0;
    for (int32_t r = group->begin; r < group->begin + group->count; r++) {
        const rti_row *row = &slot->rows[r];
        size_t partial = (size_t)(group->partial + (r - group->begin) * group->chunks + chunk) * (size_t)heads;
        for (int32_t h = kv_head * shared; h < (kv_head + 1) * shared; h++) {
            int32_t i = set->count++;
            size_t at = (size_t)r * (size_t)device->attention_width + (size_t)(h * n);
            set->queries[i] = slot->query + at;
            set->out[i] = slot->attended + at;
            set->out_peak[i] = slot->peak + r * heads + h;
            set->out_total[i] = slot->total + r * heads + h;
            set->local[i] = slot->split ? slot->partial_out + (partial + (size_t)h) * (size_t)n : local + (size_t)i * (size_t)n;
            set->high[i] = row->position + 1;
            set->low[i] = first_seen(network, row, layer);
            if (first) {
                *set->out_peak[i] = -INFINITY;
            }
        }
    }
}

// Hands a chunk's peaks and sums to where they are kept.
static void keep_partials(const rti_network *network, rti_slot *slot, const rti_row_group *group, int32_t kv_head, int32_t chunk,
                          const query_set *set)
{
    const int32_t shared = network->head_count / network->kv_head_count, heads = network->head_count;
    for (int32_t i = 0; i < set->count; i++) {
        int32_t at = (group->partial + i / shared * group->chunks + chunk) * heads + kv_head * shared + i % shared;
        slot->partial_peak[at] = set->peak[i];
        slot->partial_total[at] = set->total[i];
    }
}

// One unit: a group's rows on one key-value head over blocks [begin, end) of one chunk.
typedef struct attention_unit {
    const rti_row_group *group;
    const rti_row *row; // the group's first: it sees furthest back
    int32_t kv_head, chunk, begin, end;
    bool first; // of the chunks that the group sees
} attention_unit;

// False: the group sees fewer chunks than others.
static bool unit_find(const rti_network *network, const rti_slot *slot, int32_t layer, int32_t unit, attention_unit *found)
{
    const int32_t rest = unit / network->kv_head_count;
    const rti_row_group *group = &slot->groups[rest % slot->group_count];
    int32_t count, chunk = rest / slot->group_count, first = layer_chunks(network, slot, group, layer, &count);
    if (chunk >= count) {
        return false;
    }
    const rti_row *row = &slot->rows[group->begin];
    const int32_t absolute = first + chunk, all = row[group->count - 1].position / RTI_KV_SLOTS + 1;
    *found = (attention_unit){group, row, unit % network->kv_head_count, absolute, 0, RTI_MIN((absolute + 1) * RTI_ATTENTION_CHUNK, all),
                              chunk == 0};
    found->begin = RTI_MAX(absolute * RTI_ATTENTION_CHUNK, first_seen(network, row, layer) / RTI_KV_SLOTS);
    return true;
}

// Block `b` of the row's sequence: keys and values of one head.
static void block_find(const rti_device *device, const rti_row *row, int32_t layer, int32_t kv_head, int32_t b, const void **keys,
                       const void **values)
{
    const uint32_t block = row->blocks[b - row->first_position / RTI_KV_SLOTS];
    *keys = rti_kv_keys(device, block, layer, kv_head);
    *values = rti_kv_values(device, block, layer, kv_head);
}

// Softmax over the unit's blocks into the local sums. `next`: the unit after it, or NULL.
static void run_blocks(rti_device *device, int32_t layer, const attention_unit *unit, const attention_unit *next, rti_attention_job *job,
                       query_set *set)
{
    for (int32_t i = 0; i < set->count; i++) {
        set->peak[i] = -INFINITY;
        set->total[i] = 0.0f;
    }
    for (int32_t b = unit->begin; b < unit->end; b++) {
        for (int32_t i = 0; i < set->count; i++) {
            set->begin[i] = RTI_MAX(set->low[i] - b * RTI_KV_SLOTS, 0);
            set->end[i] = RTI_MIN(set->high[i] - b * RTI_KV_SLOTS, RTI_KV_SLOTS);
        }
        block_find(device, unit->row, layer, unit->kv_head, b, &job->keys, &job->values);
        job->next_keys = job->next_values = NULL;
        if (b + 1 < unit->end) {
            block_find(device, unit->row, layer, unit->kv_head, b + 1, &job->next_keys, &job->next_values);
        } else if (next) {
            block_find(device, next->row, layer, next->kv_head, next->begin, &job->next_keys, &job->next_values);
        }
        device->weights->kernels->attention(job);
    }
}

// Joins (peak2, total2, out2) onto a running sum; the first is taken as it is.
static void join(const rti_kernels *kernels, float *peak, float *total, float *out, float peak2, float total2, const float *out2, int32_t n)
{
    if (peak2 == -INFINITY) {
        return;
    }
    if (*peak == -INFINITY) {
        *peak = peak2;
        *total = total2;
        memcpy(out, out2, (size_t)n * sizeof(float));
    } else {
        kernels->attention_merge(peak, total, out, peak2, total2, out2, n);
    }
}

void rti_attention_join(rti_device *device, rti_slot *slot, int32_t layer, int32_t row)
{
    const rti_network *network = device->weights->network;
    const int32_t n = network->head_size, heads = network->head_count;
    const rti_row_group *group = slot->groups;
    while (row >= group->begin + group->count) {
        group++;
    }
    int32_t count, skipped = layer_chunks(network, slot, group, layer, &count) - group->first_chunk;
    for (int32_t h = 0; h < heads; h++) {
        float *out = slot->attended + (size_t)row * (size_t)device->attention_width + (size_t)(h * n);
        float *peak = &slot->peak[row * heads + h], *total = &slot->total[row * heads + h];
        *peak = -INFINITY;
        for (int32_t c = skipped; c < skipped + count; c++) {
            size_t at = (size_t)(group->partial + (row - group->begin) * group->chunks + c) * (size_t)heads + (size_t)h;
            join(device->weights->kernels, peak, total, out, slot->partial_peak[at], slot->partial_total[at],
                 slot->partial_out + at * (size_t)n, n);
        }
    }
}

static void run_unit(rti_device *device, rti_slot *slot, int32_t layer, int32_t thread, const attention_unit *unit,
                     const attention_unit *next, rti_attention_job *job, query_set *set)
{
    const rti_network *network = device->weights->network;
    const int32_t relative = unit->chunk - unit->group->first_chunk;
    gather(device, slot, layer, unit->group, unit->kv_head, relative, unit->first, device->threads[thread].local, set);
    job->query_count = set->count;
    run_blocks(device, layer, unit, next, job, set);
    if (slot->split) {
        keep_partials(network, slot, unit->group, unit->kv_head, relative, set);
        return;
    }
    for (int32_t i = 0; i < set->count; i++) {
        join(device->weights->kernels, set->out_peak[i], set->out_total[i], set->out[i], set->peak[i], set->total[i], set->local[i],
             network->head_size);
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
    attention_unit units[2]; // this one and the next
    bool found = unit_find(network, slot, layer, begin, &units[begin % 2]);
    for (int32_t i = begin; i < end; i++) {
        attention_unit *unit = &units[i % 2], *next = &units[(i + 1) % 2];
        bool found_next = i + 1 < end && unit_find(network, slot, layer, i + 1, next);
        if (found) {
            run_unit(device, slot, layer, thread, unit, found_next ? next : NULL, &job, &set);
        }
        found = found_next;
    }
}
