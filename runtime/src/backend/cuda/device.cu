// A context's memory on the device: the key-value cache, and what each pass slot works in. All of it is taken here.
// SPDX-License-Identifier: MIT
#include "backend/cuda/plugin.cuh"

static size_t vector_bytes(rt_kv_type type, int head_size)
{
    if (type == RT_KV_F32) return (size_t)head_size * 4;
    if (type == RT_KV_F16) return (size_t)head_size * 2;
    return (size_t)(head_size + 31) / 32 * 34;
}

static size_t block_bytes_of(const rti_network *n, rt_kv_type type)
{
    return (size_t)n->layer_count * 2 * (size_t)n->kv_head_count * RT_KV_BLOCK_TOKENS * vector_bytes(type, n->head_size);
}

// Hands out pieces of one allocation; with base NULL it only measures.
struct carver {
    uint8_t *base;
    size_t used;
};

static void *carve(carver *c, size_t bytes)
{
    size_t at = c->used;
    c->used += (bytes + 255) / 256 * 256;
    return c->base ? c->base + at : NULL;
}

// The same for an array that kernels work in: what lies behind it, up to the next one, is nobody's (as the emulation checks).
static void *carve_array(carver *c, size_t bytes)
{
    size_t padded = (bytes + 255) / 256 * 256 + RTI_ARRAY_GAP;
    uint8_t *piece = (uint8_t *)carve(c, padded);
#if defined(RTI_CUDA_EMULATION)
    if (piece) rti_emulation::guard(piece + bytes, padded - bytes, true);
#endif
    return piece;
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct slot_shape {
    size_t rows, logits, hidden, query, qkv, ffn, gate_up, widest, vocab;
    int table_size, max_chunks, heads, head_size, rope_count;
    size_t pairs[RTI_MAX_ROPES];
    bool wants_split;
};

static slot_shape shape_of(const rti_device_def *def)
{
    const rti_network *n = def->weights->network;
    slot_shape s;
    s.rows = (size_t)def->max_rows;
    s.logits = (size_t)def->max_logits_rows;
    s.hidden = (size_t)n->hidden_size;
    s.query = (size_t)n->head_count * (size_t)n->head_size;
    s.qkv = s.query + 2 * (size_t)n->kv_head_count * (size_t)n->head_size;
    s.ffn = (size_t)n->feed_forward_size;
    s.gate_up = n->activation == RTI_ACTIVATION_RELU_SQUARED ? s.ffn : 2 * s.ffn;
    s.widest = (size_t)largest((int64_t)s.hidden, largest((int64_t)s.query, (int64_t)s.ffn));
    s.vocab = (size_t)n->vocab_size;
    int64_t by_model = (int64_t)n->context_size / RT_KV_BLOCK_TOKENS + 2;
    s.table_size = (int)(by_model < (int64_t)def->block_count ? by_model : (int64_t)def->block_count);
    s.max_chunks = s.table_size * RT_KV_BLOCK_TOKENS / RTI_CHUNK + 2;
    s.heads = n->head_count;
    s.head_size = n->head_size;
    s.rope_count = n->rope_count;
    s.wants_split = def->weights->wants_split;
    for (int i = 0; i < n->rope_count; i++) s.pairs[i] = (size_t)(n->ropes[i].rotated / 2);
    return s;
}

// Small arrays that go to the device when a pass begins, in one copy: the offsets in `inputs` are those in `host_inputs`.
static size_t carve_inputs(uint8_t *base, const slot_shape &s, rti_pass_rows *rows)
{
    carver c = {base, 0};
    rows->header = (const rti_pass_header *)carve(&c, sizeof(rti_pass_header));
    rows->tokens = (const int *)carve(&c, s.rows * sizeof(int));
    rows->positions = (const int *)carve(&c, s.rows * sizeof(int));
    rows->first_positions = (const int *)carve(&c, s.rows * sizeof(int));
    rows->row_tables = (const int *)carve(&c, s.rows * sizeof(int));
    rows->logits_rows = (const int *)carve(&c, s.logits * sizeof(int));
    return c.used;
}

static size_t carve_slot(uint8_t *base, const slot_shape &s, rti_cuda_slot *slot)
{
    carver c = {base, 0};
    rti_pass_rows nowhere = rti_pass_rows();
    size_t inputs = carve_inputs(NULL, s, &nowhere);
    slot->inputs = (uint8_t *)carve(&c, inputs);
    slot->tables = (unsigned *)carve_array(&c, s.rows * (size_t)s.table_size * sizeof(unsigned));
    slot->x = (float *)carve_array(&c, s.rows * s.hidden * sizeof(float));
    slot->n = (float *)carve_array(&c, s.rows * s.hidden * sizeof(float));
    slot->qkv = (float *)carve_array(&c, s.rows * s.qkv * sizeof(float));
    slot->attention = (float *)carve_array(&c, s.rows * s.query * sizeof(float));
    slot->gate_up = (float *)carve_array(&c, s.rows * s.gate_up * sizeof(float));
    slot->activated = (float *)carve_array(&c, s.rows * s.ffn * sizeof(float));
    slot->sublayer = (float *)carve_array(&c, s.rows * s.hidden * sizeof(float));
    size_t split = (s.rows < RTI_SPLIT_ROWS ? s.rows : RTI_SPLIT_ROWS) * (size_t)s.max_chunks; // rows of more have a chunk each
    slot->partial = (float *)carve_array(&c, (split > s.rows ? split : s.rows) * (size_t)s.heads * (size_t)(s.head_size + 2) * sizeof(float));
    for (int i = 0; i < s.rope_count; i++) slot->angles[i] = (float2 *)carve_array(&c, s.rows * s.pairs[i] * sizeof(float2));
    size_t blocks = (s.widest + 31) / 32;
    size_t padded_rows = (s.rows + RTI_ROW_PADDING - 1) / RTI_ROW_PADDING * RTI_ROW_PADDING;
    slot->rounded.padded_rows = (int)padded_rows;
    slot->rounded.values = (int8_t *)carve_array(&c, padded_rows * blocks * 64);
    slot->rounded.steps = (float2 *)carve_array(&c, padded_rows * blocks * sizeof(float2));
    slot->rounded.split = s.wants_split ? (uint8_t *)carve_array(&c, padded_rows * blocks * 128) : NULL;
    slot->logits = (float *)carve_array(&c, s.logits * s.vocab * sizeof(float));
    return c.used;
}

static size_t carve_pinned(uint8_t *base, const slot_shape &s, rti_cuda_slot *slot)
{
    carver c = {base, 0};
    rti_pass_rows nowhere = rti_pass_rows();
    slot->host_stop = (volatile unsigned *)carve(&c, sizeof(unsigned));
    slot->host_inputs = (uint8_t *)carve(&c, carve_inputs(NULL, s, &nowhere));
    slot->host_tables = (unsigned *)carve(&c, s.rows * (size_t)s.table_size * sizeof(unsigned));
    slot->host_logits = (float *)carve(&c, s.logits * s.vocab * sizeof(float));
    return c.used;
}

// What drawing a token needs.
static size_t carve_shared(uint8_t *base, const slot_shape &s, rti_device *d)
{
    carver c = {base, 0};
    d->adjusted = (float *)carve_array(&c, s.vocab * sizeof(float));
    d->mask = (unsigned *)carve_array(&c, (s.vocab + 31) / 32 * sizeof(unsigned));
    d->drawn = (int *)carve_array(&c, sizeof(int));
    return c.used;
}

static size_t carve_shared_pinned(uint8_t *base, const slot_shape &s, rti_device *d)
{
    carver c = {base, 0};
    d->host_mask = (unsigned *)carve(&c, (s.vocab + 31) / 32 * sizeof(unsigned));
    d->host_drawn = (int *)carve(&c, sizeof(int));
    return c.used;
}

rt_result rti_cuda_device_memory(const rti_device_def *def, uint64_t *bytes)
{
    slot_shape shape = shape_of(def);
    rti_cuda_slot nothing = rti_cuda_slot();
    rti_device no_device = rti_device();
    *bytes = (uint64_t)def->max_passes * carve_slot(NULL, shape, &nothing) + carve_shared(NULL, shape, &no_device);
    *bytes += (uint64_t)def->block_count * block_bytes_of(def->weights->network, def->kv_type);
    return RT_OK;
}

static rt_result create_slot(rti_device *d, const slot_shape &shape, int i)
{
    rti_cuda_slot *slot = &d->slots[i];
    size_t bytes = carve_slot(NULL, shape, slot), pinned = carve_pinned(NULL, shape, slot);
    rt_result result = rti_cuda_check(&d->host, cudaMalloc(&d->device_memory[i], bytes), "memory of a pass");
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaHostAlloc(&d->pinned_memory[i], pinned, cudaHostAllocMapped), "pinned memory");
    if (result != RT_OK) return result;
    carve_slot((uint8_t *)d->device_memory[i], shape, slot);
    carve_pinned((uint8_t *)d->pinned_memory[i], shape, slot);
    slot->inputs_bytes = carve_inputs(slot->inputs, shape, &slot->rows);
    carve_inputs(slot->host_inputs, shape, &slot->host_rows);
    slot->rows.block_tables = slot->tables;
    slot->rows.table_size = shape.table_size;
    *slot->host_stop = 0;
    void *stop = NULL;
    result = rti_cuda_check(&d->host, cudaHostGetDevicePointer(&stop, (void *)slot->host_stop, 0), "mapped memory");
    slot->rows.stop = (const volatile unsigned *)stop;
    slot->rows.stopped = (unsigned *)&slot->rows.header->stopped;
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaEventCreateWithFlags(&slot->begin, cudaEventDefault), "an event");
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaEventCreateWithFlags(&slot->end, cudaEventDefault), "an event");
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaEventCreateWithFlags(&slot->sent, cudaEventDisableTiming), "an event");
    return result;
}

static rt_result create_shared(rti_device *d, const slot_shape &shape)
{
    void **memory = &d->device_memory[RT_MAX_PASSES], **pinned = &d->pinned_memory[RT_MAX_PASSES];
    size_t bytes = carve_shared(NULL, shape, d), pinned_bytes = carve_shared_pinned(NULL, shape, d);
    rt_result result = rti_cuda_check(&d->host, cudaMalloc(memory, bytes), "memory to draw tokens in");
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaHostAlloc(pinned, pinned_bytes, cudaHostAllocMapped), "pinned memory");
    if (result == RT_OK) result = rti_cuda_check(&d->host, cudaEventCreateWithFlags(&d->result_ready, cudaEventDisableTiming), "an event");
    if (result != RT_OK) return result;
    carve_shared((uint8_t *)*memory, shape, d);
    carve_shared_pinned((uint8_t *)*pinned, shape, d);
    return RT_OK;
}

rt_result rti_cuda_device_create(const rti_device_def *def, rti_device **out)
{
    *out = NULL;
    rti_device *d = (rti_device *)rti_cuda_services->allocate(&def->host, sizeof(rti_device));
    if (!d) return rti_cuda_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory");
    slot_shape shape = shape_of(def);
    d->host = def->host;
    d->weights = def->weights;
    d->max_rows = def->max_rows;
    d->max_passes = def->max_passes;
    d->max_logits_rows = def->max_logits_rows;
    d->block_count = def->block_count;
    d->kv_type = def->kv_type;
    d->table_size = shape.table_size;
    d->max_chunks = shape.max_chunks;
    d->block_bytes = block_bytes_of(def->weights->network, def->kv_type);
    d->scratch_bytes = rti_cuda_services->sampler_scratch_bytes(def->weights->network->vocab_size);
    d->sample_scratch = rti_cuda_services->allocate(&d->host, d->scratch_bytes);
    rt_result result = d->sample_scratch ? rti_cuda_stream_create(&d->host, d->weights, def->device_percent, &d->green, &d->stream)
                                         : rti_cuda_fail(&d->host, RT_ERROR_OUT_OF_MEMORY, "CUDA: no memory");
    if (result == RT_OK)
        result = rti_cuda_check(&d->host, cudaMalloc((void **)&d->cache, (size_t)d->block_count * d->block_bytes), "the key-value cache");
    for (int i = 0; i < d->max_passes && result == RT_OK; i++) result = create_slot(d, shape, i);
    if (result == RT_OK) result = create_shared(d, shape);
    if (result == RT_OK) result = rti_cuda_graphs_create(d);
    if (result != RT_OK) {
        rti_cuda_device_destroy(d);
        return result;
    }
    *out = d;
    return RT_OK;
}

void rti_cuda_device_forget(rti_device *d)
{
    for (int i = 0; i < RT_MAX_PASSES; i++) d->slots[i].begin = d->slots[i].end = d->slots[i].sent = NULL;
    for (int i = 0; i <= RT_MAX_PASSES; i++) d->pinned_memory[i] = d->device_memory[i] = NULL;
    rti_cuda_graphs_forget(d);
    d->result_ready = NULL;
    d->cache = NULL;
    d->stream = NULL;
    d->green = NULL;
}

void rti_cuda_device_destroy(rti_device *d)
{
    if (!d) return;
    if (d->stream) cudaStreamSynchronize(d->stream);
    rti_cuda_graphs_destroy(d);
    for (int i = 0; i < RT_MAX_PASSES; i++) {
        if (d->slots[i].begin) cudaEventDestroy(d->slots[i].begin);
        if (d->slots[i].end) cudaEventDestroy(d->slots[i].end);
        if (d->slots[i].sent) cudaEventDestroy(d->slots[i].sent);
    }
    if (d->result_ready) cudaEventDestroy(d->result_ready);
    for (int i = 0; i <= RT_MAX_PASSES; i++) {
        if (d->pinned_memory[i]) cudaFreeHost(d->pinned_memory[i]);
        if (d->device_memory[i]) cudaFree(d->device_memory[i]);
    }
    if (d->cache) cudaFree(d->cache);
    if (d->stream) cudaStreamDestroy(d->stream);
    rti_cuda_green_destroy(d->green);
    rti_cuda_forget_error(); // of a device that is lost
    rt_host host = d->host;
    rti_cuda_services->release(&host, d->sample_scratch, d->scratch_bytes);
    rti_cuda_services->release(&host, d, sizeof *d);
}

uint64_t rti_cuda_block_bytes(const rti_device *d)
{
    return d->block_bytes;
}

// False: given up by a change of size that failed.
bool rti_cuda_has_cache(const rti_device *d)
{
    if (!d->cache) rti_cuda_fail(&d->host, RT_ERROR_DEVICE, "CUDA: the context has no key-value cache any more: destroy it");
    return d->cache != NULL;
}

rt_result rti_cuda_block_copy(rti_device *d, uint32_t to, uint32_t from)
{
    if (!rti_cuda_has_cache(d)) return RT_ERROR_DEVICE;
    cudaError_t error = cudaMemcpyAsync(d->cache + (size_t)to * d->block_bytes, d->cache + (size_t)from * d->block_bytes, d->block_bytes,
                                        cudaMemcpyDeviceToDevice, d->stream);
    return rti_cuda_check(&d->host, error, "copying a cache block");
}

// In the stream's order: a plain copy from pageable memory may still be on its way when it returns, and our streams wait for no other.
static cudaError_t copy_and_wait(rti_device *d, void *to, const void *from, cudaMemcpyKind kind)
{
    cudaError_t error = cudaMemcpyAsync(to, from, d->block_bytes, kind, d->stream);
    return error == cudaSuccess ? cudaStreamSynchronize(d->stream) : error;
}

rt_result rti_cuda_block_read(rti_device *d, uint32_t block, void *bytes)
{
    if (!rti_cuda_has_cache(d)) return RT_ERROR_DEVICE;
    cudaError_t error = copy_and_wait(d, bytes, d->cache + (size_t)block * d->block_bytes, cudaMemcpyDeviceToHost);
    return rti_cuda_check(&d->host, error, "reading a cache block");
}

rt_result rti_cuda_block_write(rti_device *d, uint32_t block, const void *bytes)
{
    if (!rti_cuda_has_cache(d)) return RT_ERROR_DEVICE;
    cudaError_t error = copy_and_wait(d, d->cache + (size_t)block * d->block_bytes, bytes, cudaMemcpyHostToDevice);
    return rti_cuda_check(&d->host, error, "writing a cache block");
}

// ---------------------------------------------------------------------------------------------------------------------
// Another size of the cache
// ---------------------------------------------------------------------------------------------------------------------

// Block i of `to` from block from[i] (or i), or the other way round where `back` is set.
static cudaError_t move_blocks(rti_device *d, uint8_t *to, const uint8_t *cache, const uint32_t *from, uint32_t kept, bool back, cudaMemcpyKind kind)
{
    cudaError_t error = cudaSuccess;
    for (uint32_t i = 0; i < kept && error == cudaSuccess; i++) {
        size_t here = (size_t)i * d->block_bytes, there = (size_t)(from ? from[i] : i) * d->block_bytes;
        error = cudaMemcpyAsync(to + (back ? there : here), cache + (back ? here : there), d->block_bytes, kind, d->stream);
    }
    return error == cudaSuccess ? cudaStreamSynchronize(d->stream) : error;
}

// `aside` becomes the device's cache of so many blocks.
static rt_result take_cache(rti_device *d, uint32_t block_count, const uint8_t *aside, const uint32_t *from, uint32_t kept)
{
    rt_result result = rti_cuda_check(&d->host, cudaMalloc((void **)&d->cache, (size_t)block_count * d->block_bytes), "the key-value cache");
    if (result != RT_OK) return result;
    result = rti_cuda_check(&d->host, move_blocks(d, d->cache, aside, from, kept, true, cudaMemcpyHostToDevice), "moving the key-value cache");
    if (result == RT_OK) return RT_OK;
    cudaFree(d->cache);
    d->cache = NULL;
    return result;
}

// Where a smaller one does not fit beside the present one: what is kept waits in the computer's memory. If then neither is to be
// had, the context is lost.
static rt_result resize_by_way_of_host(rti_device *d, uint32_t block_count, const uint32_t *from, uint32_t kept)
{
    uint8_t *aside = NULL;
    rt_result result = rti_cuda_check(&d->host, cudaHostAlloc((void **)&aside, (size_t)(kept ? kept : 1) * d->block_bytes, cudaHostAllocMapped),
                                      "the key-value cache beside its present one");
    if (result != RT_OK) return result;
    result = rti_cuda_check(&d->host, move_blocks(d, aside, d->cache, from, kept, false, cudaMemcpyDeviceToHost), "moving the key-value cache");
    if (result == RT_OK) {
        cudaFree(d->cache);
        d->cache = NULL;
        result = take_cache(d, block_count, aside, NULL, kept);
        if (result != RT_OK && take_cache(d, d->block_count, aside, from, kept) != RT_OK)
            result = rti_cuda_fail(&d->host, RT_ERROR_DEVICE, "CUDA: the key-value cache was given up and cannot be had again: destroy the context");
    }
    cudaFreeHost(aside);
    return result;
}

rt_result rti_cuda_cache_resize(rti_device *d, uint32_t block_count, const uint32_t *from, uint32_t kept)
{
    uint8_t *cache = NULL;
    cudaError_t error = cudaMalloc((void **)&cache, (size_t)block_count * d->block_bytes);
    if (error == cudaErrorMemoryAllocation && block_count < d->block_count) {
        rti_cuda_forget_error();
        rt_result result = resize_by_way_of_host(d, block_count, from, kept);
        d->generation = d->weights->generation - 1; // wherever it lies now
        if (result != RT_OK) return result;
    } else {
        if (error == cudaSuccess) error = move_blocks(d, cache, d->cache, from, kept, false, cudaMemcpyDeviceToDevice);
        if (error != cudaSuccess) {
            if (cache) cudaFree(cache);
            return rti_cuda_check(&d->host, error, "another size of the key-value cache");
        }
        cudaFree(d->cache);
        d->cache = cache;
    }
    d->block_count = block_count;
    d->generation = d->weights->generation - 1; // graphs have the address in them: the next pass makes them anew
    return RT_OK;
}
