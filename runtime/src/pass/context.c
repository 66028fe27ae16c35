// A context: the device's memory, the cache over it, and the public calls on sequences.
// SPDX-License-Identifier: MIT
#include "pass/context.h"

#include <string.h>

#define CONTEXT_COOKIE 0x52544358u

rt_context_def rt_default_context_def(void)
{
    return (rt_context_def){
        .cookie = CONTEXT_COOKIE,
        .max_sequences = 64,
        .max_rows = 256,
        .max_passes = 2,
        .max_logits_rows = 64,
        .kv_tokens = 8192,
        .worker_spin_us = 50,
    };
}

// ---------------------------------------------------------------------------------------------------------------------
// Creating
// ---------------------------------------------------------------------------------------------------------------------

static rt_result check_def(const rt_context_def *def)
{
    if (!def || def->cookie != CONTEXT_COOKIE)
        return rti_fail(def ? &def->host : NULL, RT_ERROR_INVALID_ARGUMENT, "context: start from rt_default_context_def()");
    const char *fault = NULL;
    if (!def->model) fault = "model is missing";
    else if (def->max_sequences < 1 || def->max_sequences > 65536) fault = "max_sequences must be 1 to 65536";
    else if (def->max_rows < 1 || def->max_rows > RT_MAX_PASS_ROWS) fault = "max_rows must be 1 to 512";
    else if (def->max_passes < 1 || def->max_passes > RT_MAX_PASSES) fault = "max_passes must be 1 to 4";
    else if (def->max_logits_rows < 1 || def->max_logits_rows > def->max_rows) fault = "max_logits_rows must be 1 to max_rows";
    else if (def->kv_tokens < 1 || def->kv_tokens > (1ull << 31)) fault = "kv_tokens must be 1 to 2^31";
    else if (def->kv_type > RT_KV_F32) fault = "kv_type is none of rt_kv_type";
    else if (def->worker_count < 0 || def->worker_count > RT_MAX_WORKERS) fault = "worker_count must be 0 to 63";
    else if (def->device_percent < 0 || def->device_percent > 100) fault = "device_percent must be 0 to 100";
    if (fault) return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "context: %s", fault);
    return RT_OK;
}

static uint32_t block_count_of(const rt_context_def *def)
{
    return (uint32_t)((def->kv_tokens + RT_KV_BLOCK_TOKENS - 1) / RT_KV_BLOCK_TOKENS);
}

static rti_device_def device_def_of(const rt_context_def *def)
{
    return (rti_device_def){
        .host = def->host,
        .weights = def->model->weights,
        .max_rows = def->max_rows,
        .max_passes = def->max_passes,
        .max_logits_rows = def->max_logits_rows,
        .block_count = block_count_of(def),
        .kv_type = def->kv_type,
        .worker_count = def->worker_count,
        .worker_cpus = def->worker_cpus,
        .worker_spin_us = def->worker_spin_us,
        .device_percent = def->device_percent,
    };
}

rt_result rt_context_memory(const rt_context_def *def, uint64_t *bytes)
{
    rt_result result = check_def(def);
    if (result != RT_OK) return result;
    rti_device_def device_def = device_def_of(def);
    result = def->model->backend->device_memory(&device_def, bytes);
    if (result != RT_OK) return result;
    uint64_t rows = (uint64_t)def->max_passes * (uint64_t)def->max_rows;
    *bytes += sizeof(rt_context) + rows * (sizeof(rti_row) + sizeof(rt_sequence));
    *bytes += rti_cache_memory(block_count_of(def), def->max_sequences, def->model->network->context_size);
    return RT_OK;
}

rt_result rt_context_set_kv_tokens(rt_context *context, uint64_t kv_tokens)
{
    if (!context) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_context_set_kv_tokens: no context");
    rt_context_def def = context->def;
    def.kv_tokens = kv_tokens;
    def.model = context->model;
    rt_result result = check_def(&def);
    if (result != RT_OK) return result;
    for (int32_t i = 0; i < def.max_passes; i++)
        if (context->passes[i].is_open)
            return rti_fail(&context->host, RT_ERROR_BUSY, "rt_context_set_kv_tokens: a pass is under way: end or abandon it first");
    if (block_count_of(&def) != context->cache.def.block_count) result = rti_cache_resize(&context->cache, block_count_of(&def));
    if (result == RT_OK) context->def.kv_tokens = kv_tokens;
    return result;
}

static rt_result allocate_rows(rt_context *context)
{
    size_t count = (size_t)context->def.max_passes * (size_t)context->def.max_rows;
    context->rows = rti_allocate(&context->host, count * sizeof(rti_row));
    context->owners = rti_allocate(&context->host, count * sizeof(rt_sequence));
    if (!context->rows || !context->owners) return rti_fail(&context->host, RT_ERROR_OUT_OF_MEMORY, "context: no memory for rows");
    for (int32_t i = 0; i < context->def.max_passes; i++) {
        size_t first = (size_t)i * (size_t)context->def.max_rows;
        context->passes[i] = (rt_pass){.context = context, .slot = i, .rows = context->rows + first, .owners = context->owners + first};
    }
    return RT_OK;
}

rt_result rt_context_create(const rt_context_def *def, rt_context **context_out)
{
    if (!context_out) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "context: nowhere to put it");
    *context_out = NULL;
    rt_result result = check_def(def);
    if (result != RT_OK) return result;
    rt_host host = rti_host_or_default(&def->host);
    rt_context *context = rti_allocate_zeroed(&host, sizeof *context);
    if (!context) return rti_fail(&host, RT_ERROR_OUT_OF_MEMORY, "context: no memory");
    context->host = host;
    context->def = *def;
    context->def.host = host;
    context->def.worker_cpus = NULL; // the caller's array is only good during this call
    context->model = rt_model_retain(def->model);
    context->backend = def->model->backend;

    rti_device_def device_def = device_def_of(def);
    device_def.host = host;
    result = context->backend->device_create(&device_def, &context->device);
    if (result == RT_OK) {
        rti_cache_def cache_def = {
            .host = host,
            .backend = context->backend,
            .device = context->device,
            .block_count = device_def.block_count,
            .max_sequences = def->max_sequences,
            .max_positions = def->model->network->context_size,
            .fingerprint = def->model->network->fingerprint,
            .kv_type = def->kv_type,
        };
        result = rti_cache_create(&cache_def, &context->cache);
    }
    if (result == RT_OK) result = allocate_rows(context);
    if (result != RT_OK) {
        rt_context_destroy(context);
        return result;
    }
    *context_out = context;
    return RT_OK;
}

void rt_context_destroy(rt_context *context)
{
    if (!context) return;
    rt_host host = context->host;
    for (int32_t i = 0; i < context->def.max_passes; i++)
        if (context->passes[i].is_open) rt_pass_abandon(&context->passes[i]);
    if (context->cache.sequences) rti_cache_destroy(&context->cache);
    if (context->device) context->backend->device_destroy(context->device);
    size_t count = (size_t)context->def.max_passes * (size_t)context->def.max_rows;
    rti_release(&host, context->rows, count * sizeof(rti_row));
    rti_release(&host, context->owners, count * sizeof(rt_sequence));
    rt_model_close(context->model);
    rti_release(&host, context, sizeof *context);
}

rt_model *rt_context_model(const rt_context *context)
{
    return context->model;
}

// ---------------------------------------------------------------------------------------------------------------------
// Sequences, as the public header has them
// ---------------------------------------------------------------------------------------------------------------------

rt_result rt_sequence_create(rt_context *context, rt_sequence *sequence)
{
    *sequence = (rt_sequence){0};
    return rti_cache_add(&context->cache, sequence);
}

rt_result rt_sequence_fork(rt_context *context, rt_sequence source, rt_sequence *copy)
{
    *copy = (rt_sequence){0};
    return rti_cache_fork(&context->cache, source, copy);
}

rt_result rt_sequence_destroy(rt_context *context, rt_sequence sequence)
{
    return rti_cache_remove(&context->cache, sequence);
}

rt_result rt_sequence_length(const rt_context *context, rt_sequence sequence, int32_t *length)
{
    const rti_sequence *found = rti_cache_find(&context->cache, sequence);
    *length = found ? found->length : 0;
    return found ? RT_OK : RT_ERROR_STALE_ID;
}

rt_result rt_sequence_truncate(rt_context *context, rt_sequence sequence, int32_t length)
{
    rti_sequence *found = rti_cache_find(&context->cache, sequence);
    return found ? rti_cache_truncate(&context->cache, found, length) : RT_ERROR_STALE_ID;
}

rt_result rt_sequence_set_start(rt_context *context, rt_sequence sequence, int32_t position)
{
    rti_sequence *found = rti_cache_find(&context->cache, sequence);
    if (!found) return RT_ERROR_STALE_ID;
    if (found->length != 0 || found->pass >= 0 || position < 0 || position >= context->cache.def.max_positions)
        return rti_fail(&context->host, RT_ERROR_INVALID_ARGUMENT, "a start position of %d needs an empty sequence and a context of more than that (%d)",
                        position, context->cache.def.max_positions);
    found->start = position;
    return RT_OK;
}

rt_result rt_sequence_reuse_prefix(rt_context *context, rt_sequence sequence, const rt_token *tokens, int32_t count, int32_t *reused)
{
    *reused = 0;
    rti_sequence *found = rti_cache_find(&context->cache, sequence);
    return found ? rti_cache_reuse_prefix(&context->cache, found, tokens, count, reused) : RT_ERROR_STALE_ID;
}

void rt_context_cache_stats(const rt_context *context, rt_cache_stats *stats)
{
    rti_cache_stats(&context->cache, stats);
}

uint32_t rt_context_available_blocks(const rt_context *context)
{
    return rti_block_available(&context->cache.pool);
}

rt_result rt_sequence_save(rt_context *context, rt_sequence sequence, void *buffer, size_t capacity, size_t *size)
{
    *size = 0;
    const rti_sequence *found = rti_cache_find(&context->cache, sequence);
    return found ? rti_cache_save(&context->cache, found, buffer, capacity, size) : RT_ERROR_STALE_ID;
}

rt_result rt_sequence_restore(rt_context *context, const void *data, size_t size, rt_sequence *sequence)
{
    return rti_cache_restore(&context->cache, data, size, sequence);
}
