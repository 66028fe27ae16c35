// backend/backend.h - the private table that a backend fills in: pack weights, hold the cache, run parts, sample.
//
// Above it (cache/, pass/) nothing knows where the numbers live. Block numbers, rows and unit ranges go down; logits and
// tokens come up. A backend may split parts over threads or fuse neighbours as it likes as long as the bits stay the same.
//
// SPDX-License-Identifier: MIT
#ifndef RTI_BACKEND_H
#define RTI_BACKEND_H

#include "model/network.h"
#include "rt/context.h"

typedef struct rti_weights rti_weights; // a model's packed weights (one a model)
typedef struct rti_device rti_device;   // one context's cache, scratch and workers (one a context)

typedef struct rti_weights_def {
    rt_host host;
    const rti_network *network;
    const rti_file *file; // for read-ahead and dropping pages
    rt_precision precision;
    rt_isa isa;
    int32_t load_threads;
    const char *cache_folder;
    int cuda_device;
    void *cuda_context;
    size_t device_memory_bytes;
} rti_weights_def;

// Where a model's weights lie: in the device's memory or in the computer's.
typedef struct rti_weights_memory {
    uint64_t device_bytes, host_bytes;
    int32_t device_layers;
} rti_weights_memory;

typedef struct rti_device_def {
    rt_host host;
    rti_weights *weights;
    int32_t max_rows, max_passes, max_logits_rows;
    uint32_t block_count; // key-value blocks of RT_KV_BLOCK_TOKENS positions, numbered 0 .. block_count-1
    rt_kv_type kv_type;
    int32_t worker_count;
    const int32_t *worker_cpus;
    uint32_t worker_spin_us;
    int32_t device_percent;
} rti_device_def;

// A row of a pass, as a backend needs it. Position p of the row's sequence lives in block blocks[p / RT_KV_BLOCK_TOKENS
// - first_block], slot p % RT_KV_BLOCK_TOKENS. Attention sees the positions first_position .. position, itself included; rows of one sequence in one
// pass see the earlier ones among them, whose keys and values are written by the same layer's QKV part.
typedef struct rti_row {
    rt_token token;
    int32_t position;
    int32_t first_position;   // of the sequence, 0 unless it was moved
    const uint32_t *blocks;   // one entry a block from first_position's block on; valid until the pass ends
    int32_t logits_row;       // where its logits go, -1: not wanted
    const uint32_t *mask;     // tokens whose logits are wanted, NULL: all; read by pass_begin only. More may be computed
} rti_row;

typedef struct rti_pass_input {
    const rti_row *rows;
    int32_t row_count;
    int32_t logits_count;
} rti_pass_input;

typedef struct rti_backend {
    const char *name;

    rt_result (*weights_create)(const rti_weights_def *def, rti_weights **weights);
    void (*weights_destroy)(rti_weights *weights);
    uint64_t (*weights_bytes)(const rti_weights *weights);
    rt_isa (*weights_isa)(const rti_weights *weights); // RT_ISA_SCALAR where it has no meaning

    rt_result (*device_memory)(const rti_device_def *def, uint64_t *bytes); // what device_create would take
    rt_result (*device_create)(const rti_device_def *def, rti_device **device);
    void (*device_destroy)(rti_device *device);

    // Key-value blocks: copy one (copy on write); read and write one as bytes (snapshots; layout is the backend's own but
    // the same for every backend with the same kv_type: [layer][k or v][kv head][slot][head_size]).
    uint64_t (*block_bytes)(const rti_device *device);
    rt_result (*block_copy)(rti_device *device, uint32_t to, uint32_t from);
    rt_result (*block_read)(rti_device *device, uint32_t block, void *bytes);
    rt_result (*block_write)(rti_device *device, uint32_t block, const void *bytes);
    // Another number of blocks, while no pass is under way: block i < kept holds what block from[i] >= i held, the others anything.
    // A failure changes nothing.
    rt_result (*cache_resize)(rti_device *device, uint32_t block_count, const uint32_t *from, uint32_t kept);

    // A pass in slot 0 .. max_passes-1. The input is copied, but `blocks` of its rows stays the caller's.
    rt_result (*pass_begin)(rti_device *device, int32_t slot, const rti_pass_input *input);
    // Units that part (kind, layer) of this pass has, and what a range of them reads and computes.
    int32_t (*part_units)(const rti_device *device, int32_t slot, rt_part_kind kind, int32_t layer);
    void (*part_work)(const rti_device *device, int32_t slot, rt_part *part); // fills rows, context, bytes, operations
    // Runs (or queues) parts in order. Ranges of one part arrive in ascending order, without gaps. Fills measured_ns where the
    // call waits for the result.
    rt_result (*run)(rti_device *device, int32_t slot, rt_part *parts, int32_t part_count);
    rt_result (*poll)(rti_device *device, int32_t slot, bool *idle, uint64_t *elapsed_ns);
    // Stops queued work as soon as possible; the pass can only be ended afterwards.
    void (*cancel)(rti_device *device, int32_t slot);
    rt_result (*logits)(rti_device *device, int32_t slot, int32_t logits_row, const float **logits); // in host memory
    rt_result (*sample)(rti_device *device, int32_t slot, int32_t logits_row, const rt_sample_request *request, rt_token *token);
    void (*pass_end)(rti_device *device, int32_t slot);

    // Backends with memory of their own; NULL in others.
    rt_result (*weights_measure)(const rti_weights_def *def, rti_weights_memory *memory); // what weights_create would take
    void (*weights_memory)(const rti_weights *weights, rti_weights_memory *memory);
    rt_result (*weights_resize)(rti_weights *weights, uint64_t bytes); // BUSY while passes are open; 0: what is free
} rti_backend;

// The CPU backend: always there.
const rti_backend *rti_backend_cpu(void);

// The CUDA backend's plugin, loaded once; NULL with a message raised where the library, driver or device is missing.
const rti_backend *rti_backend_cuda(const rt_host *host, const char *library_path);

// What the library lends to a plugin, so that both raise errors and take memory in one place.
typedef struct rti_plugin_services {
    rt_result (*raise)(const rt_host *host, rt_result code, const char *message);
    void *(*allocate)(const rt_host *host, size_t size); // zeroed
    void (*release)(const rt_host *host, void *pointer, size_t size);
    const rti_type_info *(*type_find)(uint32_t type);
    void (*dequantize)(rti_type type, const void *blocks, float *values, size_t count);
    rt_result (*sample)(const float *logits, int32_t vocab_size, const rt_sample_request *request, void *scratch, rt_token *token);
    size_t (*sampler_scratch_bytes)(int32_t vocab_size);
} rti_plugin_services;

// The one symbol of the plugin library. NULL when `abi` is not the plugin's own RTI_BACKEND_ABI, or when there is no driver
// or device (raised through the services then).
#define RTI_BACKEND_ABI 4u
#define RTI_BACKEND_SYMBOL "rti_backend_plugin"
typedef const rti_backend *rti_backend_plugin_function(uint32_t abi, const rti_plugin_services *services, const rt_host *host);

#endif
