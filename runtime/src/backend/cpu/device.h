// backend/cpu/device.h - a context's working memory on the CPU, and how a pass is cut into units.
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_DEVICE_H
#define RTI_CPU_DEVICE_H

#include "backend/cpu/cpu.h"

#define RTI_ATTENTION_CHUNK 8 // blocks whose softmax is summed by itself, then joined; part of the arithmetic contract
#define RTI_MAX_PARTIALS 256  // rows times chunks whose sums can be kept apart
#define RTI_MAX_QUERIES 128   // query heads times rows in one attention job

// Rows of one sequence that attention takes together.
typedef struct rti_row_group {
    int32_t begin, count;
    int32_t first_chunk, chunks; // that its rows see, windows aside
    int32_t partial;             // its first partial sum; see rti_slot
} rti_row_group;

typedef struct rti_slot {
    bool active;
    _Atomic bool cancelled;
    int32_t row_count, logits_count, group_count;
    rti_row *rows;
    int32_t *logits_source; // row of each logits row
    int32_t *panels;        // of the output matrix that masks leave, ascending
    int32_t panel_count;    // 0: all, in order
    rti_row_group *groups;
    int64_t context;        // positions attended to, all rows
    float *x;               // [row][hidden]: the residual stream
    rti_act input;          // [row][hidden or heads * head_size]: what the next matrix reads
    rti_act hidden;         // [row][feed-forward]
    float *query;           // [row][heads * head_size]
    float *attended;        // [row][heads * head_size], sums not yet divided
    float *peak, *total;    // [row][heads]
    // Where few rows look far back, each chunk's sums are kept apart ([row][chunk][head], then joined), so that chunks can
    // be worked on in any order by several threads. Else they are joined at once, chunk after chunk. The bits are the same.
    bool split;
    float *partial_out, *partial_peak, *partial_total;
    float *rope;            // [rope][row][rotated]
    float *projected;       // [row][hidden]: before a post norm; NULL where there is none
    float *logits;          // [logits row][vocabulary]
} rti_slot;

// What a thread needs for itself.
typedef struct rti_thread_scratch {
    float *tile[2];  // RTI_TILE_ROWS rows of a tile's output
    float *attention;
    float *local;    // RTI_MAX_QUERIES running sums of a chunk
} rti_thread_scratch;

#define RTI_TILE_ROWS 32 // most rows of activations in a unit
#define RTI_TILE_WIDTH 64 // output rows in a unit of the output matrix; half of it elsewhere

struct rti_device {
    rt_host host;
    const rti_weights *weights;
    rti_device_def def;
    int32_t hidden, attention_width, feed_forward, vocabulary; // padded to whole blocks; vocabulary to whole panels
    size_t kv_value_bytes;   // bytes of head_size * slots keys (or values)
    uint64_t block_bytes;
    uint8_t *kv;
    size_t kv_bytes;
    uint8_t *arena;
    size_t arena_bytes;
    rti_slot slots[RT_MAX_PASSES];
    rti_thread_scratch *threads;
    rti_pool *pool;
    void *sample_scratch;
    size_t sample_scratch_bytes;
};

rt_result rti_device_memory_cpu(const rti_device_def *def, uint64_t *bytes);
rt_result rti_device_create_cpu(const rti_device_def *def, rti_device **device);
void rti_device_destroy_cpu(rti_device *device);

// Keys and values of one head of one layer in a block: keys [dimension][slot], values [slot][dimension].
static inline uint8_t *rti_kv_keys(const rti_device *device, uint32_t block, int32_t layer, int32_t head)
{
    const rti_network *network = device->weights->network;
    size_t index = ((size_t)layer * 2) * (size_t)network->kv_head_count + (size_t)head;
    return device->kv + (size_t)block * device->block_bytes + index * device->kv_value_bytes;
}

static inline uint8_t *rti_kv_values(const rti_device *device, uint32_t block, int32_t layer, int32_t head)
{
    return rti_kv_keys(device, block, layer, head) + (size_t)device->weights->network->kv_head_count * device->kv_value_bytes;
}

void rti_kv_write_key(const rti_device *device, const rti_row *row, int32_t layer, int32_t head, const float *key);
void rti_kv_write_value(const rti_device *device, const rti_row *row, int32_t layer, int32_t head, const float *value);
rt_result rti_block_copy_cpu(rti_device *device, uint32_t to, uint32_t from);
rt_result rti_block_read_cpu(rti_device *device, uint32_t block, void *bytes);
rt_result rti_block_write_cpu(rti_device *device, uint32_t block, const void *bytes);
rt_result rti_cache_resize_cpu(rti_device *device, uint32_t block_count, const uint32_t *from, uint32_t kept);

// Which panels of the output matrix the rows' masks leave; after the rows are set.
void rti_panels_choose(const rti_device *device, rti_slot *slot);

// A part's work in steps, one after another; the units of a part are those of its steps in order.
typedef enum rti_step {
    RTI_STEP_EMBED,
    RTI_STEP_NORM,      // norm and rounding of the part's input
    RTI_STEP_QKV,
    RTI_STEP_ATTENTION,
    RTI_STEP_ATTENDED,  // division by the sums, rounding
    RTI_STEP_PROJECT,   // attention output or down matrix
    RTI_STEP_POST_NORM,
    RTI_STEP_FEED_FORWARD_UP,
    RTI_STEP_LOGITS,
} rti_step;

typedef struct rti_plan {
    int32_t step_count;
    rti_step steps[3];
    int32_t units[3];
    int32_t attention_units; // units of RTI_STEP_ATTENTION that can run side by side: chunks of as many come in order
} rti_plan;

rti_plan rti_plan_part(const rti_device *device, const rti_slot *slot, rt_part_kind kind, int32_t layer);
void rti_part_work_cpu(const rti_device *device, int32_t slot, rt_part *part);
// Rows of activations in a unit of a matrix `columns` wide, `width` output rows at a time.
int32_t rti_tile_rows(const rti_slot *slot, int32_t rows, int32_t columns, int32_t width);
void rti_step_run(rti_device *device, rti_slot *slot, rt_part_kind kind, int32_t layer, rti_step step, int32_t thread,
                  int32_t begin, int32_t end);
void rti_step_attention(rti_device *device, rti_slot *slot, int32_t layer, int32_t thread, int32_t begin, int32_t end);
void rti_attention_group(rti_slot *slot, const rti_network *network); // after the rows are set
// Units of a layer's attention that can run in any order; there are `chunks` times as many, in order where not split.
int32_t rti_attention_units(const rti_device *device, const rti_slot *slot, int32_t layer, int32_t *chunks);
// Adds what these units read and compute to the part's bytes and operations.
void rti_attention_work(const rti_device *device, const rti_slot *slot, int32_t layer, int32_t begin, int32_t end, rt_part *part);
// Joins a row's partial sums.
void rti_attention_join(rti_device *device, rti_slot *slot, int32_t layer, int32_t row);

#endif
