// cuda/plugin.cuh - the host side of the CUDA backend: weights on the device, contexts, passes.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_PLUGIN_CUH
#define RTI_CUDA_PLUGIN_CUH

#include "backend/cuda/context.cuh"
#include "backend/cuda/kernels.cuh"

extern "C" {
#include "backend/backend.h"
}

extern const rti_plugin_services *rti_cuda_services; // set when the plugin is entered

// Raises an error through the library that loaded the plugin.
rt_result rti_cuda_fail(const rt_host *host, rt_result code, const char *format, ...);
// The same for a failed call of the runtime: `what` was tried. cudaErrorMemoryAllocation becomes OUT_OF_MEMORY.
rt_result rti_cuda_check(const rt_host *host, cudaError_t error, const char *what);

rt_result rti_cuda_no_context(const rt_host *host); // a call outside the model's context

// The runtime keeps a thread's last error until it is asked for it: what has been dealt with would come up after the next launch.
void rti_cuda_forget_error(void);

struct rti_cuda_layer {
    rti_device_matrix query, key, value, attention_output, gate, up, down;
    float *query_bias, *key_bias, *value_bias, *attention_output_bias;
    rti_norm attention_norm, post_attention_norm, feed_forward_norm, post_feed_forward_norm;
    float *query_norm, *key_norm;
};

// One piece of the weights, and the pointer that leads to it.
struct rti_cuda_allocation {
    void *memory;
    size_t bytes;
    void **place;
    int layer;    // -1: of none
    bool on_host; // memory of the computer, mapped: the device reads it over the bus
};

struct rti_weights {
    rt_host host;
    const rti_network *network;
    rti_cuda_context context;
    rt_precision precision;
    int load_threads;
    bool has_bfloat16; // Ampere and later: tensor-core products of bfloat16
    bool wants_split;  // some matrix is multiplied so
    rti_cuda_layer *layers;
    rti_device_matrix embedding, output;
    rti_norm output_norm;
    double *frequency[RTI_MAX_ROPES];
    uint64_t device_bytes, host_bytes;
    int device_layers;   // the first ones lie on the device; -1: nothing does
    int uploading_layer;
    int generation;      // counts moves: graphs have the addresses in them
    int open_passes;     // of all contexts, atomic
    rti_cuda_allocation *allocations; // everything to be freed
    size_t allocation_count, allocation_capacity;
};

rt_result rti_cuda_weights_create(const rti_weights_def *def, rti_weights **weights);
void rti_cuda_weights_destroy(rti_weights *weights);
rt_result rti_cuda_weights_measure(const rti_weights_def *def, rti_weights_memory *memory);
void rti_cuda_weights_memory(const rti_weights *weights, rti_weights_memory *memory);
rt_result rti_cuda_weights_resize(rti_weights *weights, uint64_t bytes);

// What one pass slot holds: inputs, activations, results.
struct rti_cuda_slot {
    rti_pass_rows rows;          // pointers into device memory
    uint8_t *inputs, *host_inputs; // one copy a pass: header, tokens, positions, ... in this order
    size_t inputs_bytes;
    rti_pass_rows host_rows;     // the same pointers into host_inputs
    unsigned *tables, *host_tables; // [table][table_size], one a sequence; device and pinned
    volatile unsigned *host_stop; // number of the pass to be dropped
    unsigned number;              // of the pass
    float *x, *n, *qkv, *attention, *gate_up, *activated, *sublayer, *partial, *logits, *host_logits;
    rti_rounded rounded;
    float2 *angles[RTI_MAX_ROPES]; // of the rows' positions
    cudaEvent_t begin, end, sent;
    bool is_queued, is_sent;
    uint64_t fetched[RT_MAX_PASS_ROWS / 64]; // logits rows that are in host memory: a bit each
    int row_count, logits_count;
    int context_sum;             // positions attended to by all rows
    cudaGraphExec_t *graphs;     // [rows bucket][layer]
};

struct rti_device {
    rt_host host;
    rti_weights *weights;
    int generation; // of the weights that the graphs were made for
    int32_t max_rows, max_passes, max_logits_rows;
    uint32_t block_count;
    rt_kv_type kv_type;
    int table_size;
    int max_chunks;
    size_t block_bytes;
    uint8_t *cache;
    cudaStream_t stream;
    void *green; // the green context that the stream is of, or NULL
    rti_cuda_slot slots[RT_MAX_PASSES];
    void *sample_scratch; // of the CPU's sampler
    size_t scratch_bytes;
    float *adjusted;      // drawing on the device: a row of logits, a mask, the token
    unsigned *mask, *host_mask;
    int *drawn, *host_drawn;
    cudaEvent_t result_ready;
    void *device_memory[RT_MAX_PASSES + 1], *pinned_memory[RT_MAX_PASSES + 1]; // the last: what passes share
};

rt_result rti_cuda_device_memory(const rti_device_def *def, uint64_t *bytes);
rt_result rti_cuda_device_create(const rti_device_def *def, rti_device **device);
void rti_cuda_device_destroy(rti_device *device);
void rti_cuda_device_forget(rti_device *device); // what is the context's is gone with it: nothing of it is given back
rt_result rti_cuda_graphs_create(rti_device *device);
void rti_cuda_graphs_destroy(rti_device *device);
void rti_cuda_graphs_forget(rti_device *device); // the same of a context that is gone
uint64_t rti_cuda_block_bytes(const rti_device *device);
rt_result rti_cuda_block_copy(rti_device *device, uint32_t to, uint32_t from);
rt_result rti_cuda_block_read(rti_device *device, uint32_t block, void *bytes);
rt_result rti_cuda_block_write(rti_device *device, uint32_t block, const void *bytes);
rt_result rti_cuda_cache_resize(rti_device *device, uint32_t block_count, const uint32_t *from, uint32_t kept);
bool rti_cuda_has_cache(const rti_device *device); // false, with an error raised: a change of its size has failed half-way

rt_result rti_cuda_pass_begin(rti_device *device, int32_t slot, const rti_pass_input *input);
int32_t rti_cuda_part_units(const rti_device *device, int32_t slot, rt_part_kind kind, int32_t layer);
void rti_cuda_part_work(const rti_device *device, int32_t slot, rt_part *part);
rt_result rti_cuda_run(rti_device *device, int32_t slot, rt_part *parts, int32_t part_count);
rt_result rti_cuda_poll(rti_device *device, int32_t slot, bool *idle, uint64_t *elapsed_ns);
void rti_cuda_cancel(rti_device *device, int32_t slot);
// Polls until what was recorded is done: some tens of microseconds for a token or a row of logits.
cudaError_t rti_cuda_wait(cudaEvent_t event);
rt_result rti_cuda_logits(rti_device *device, int32_t slot, int32_t logits_row, const float **logits);
rt_result rti_cuda_sample(rti_device *device, int32_t slot, int32_t logits_row, const rt_sample_request *request, rt_token *token);
void rti_cuda_pass_end(rti_device *device, int32_t slot);

#endif
