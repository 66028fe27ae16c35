// backend/cpu/backend.c - the CPU backend's table: passes begun, parts run on the pool, logits and tokens handed up.
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static uint64_t weights_bytes(const rti_weights *weights)
{
    return weights->arena_bytes;
}

static rt_isa weights_isa(const rti_weights *weights)
{
    return weights->kernels->isa;
}

static uint64_t block_bytes(const rti_device *device)
{
    return device->block_bytes;
}

static rt_result pass_begin(rti_device *device, int32_t index, const rti_pass_input *input)
{
    if (index < 0 || index >= device->def.max_passes || input->row_count < 1 || input->row_count > device->def.max_rows ||
        input->logits_count < 0 || input->logits_count > device->def.max_logits_rows) {
        return rti_fail(&device->host, RT_ERROR_INVALID_ARGUMENT, "pass: slot %d, %d rows, %d logits rows: over the context's limits",
                        index, input->row_count, input->logits_count);
    }
    rti_slot *slot = &device->slots[index];
    slot->row_count = input->row_count;
    slot->logits_count = input->logits_count;
    atomic_store(&slot->cancelled, false);
    for (int32_t r = 0; r < input->row_count; r++) {
        const rti_row *row = &input->rows[r];
        if (row->token < 0 || row->token >= device->weights->embedding.rows || row->position < 0 || row->logits_row >= input->logits_count) {
            return rti_fail(&device->host, RT_ERROR_INVALID_ARGUMENT, "pass: row %d: token %d, position %d", r, row->token, row->position);
        }
        slot->rows[r] = *row;
        if (row->logits_row >= 0) {
            slot->logits_source[row->logits_row] = r;
        }
    }
    rti_attention_group(slot, device->weights->network);
    rti_panels_choose(device, slot);
    slot->active = true;
    return RT_OK;
}

static int32_t part_units(const rti_device *device, int32_t index, rt_part_kind kind, int32_t layer)
{
    rti_plan plan = rti_plan_part(device, &device->slots[index], kind, layer);
    int32_t units = 0;
    for (int32_t i = 0; i < plan.step_count; i++) {
        units += plan.units[i];
    }
    return units;
}

// Steps of consecutive parts, run by the pool one after another.
typedef struct run_step {
    rt_part_kind kind;
    int32_t layer, begin, part;
    rti_step step;
} run_step;

typedef struct run_list {
    rti_device *device;
    rti_slot *slot;
    int32_t count;
    run_step steps[RTI_POOL_MAX_PHASES];
    int32_t units[RTI_POOL_MAX_PHASES];
} run_list;

// A game may run with denormals flushed or another rounding; the bits must not depend on it.
typedef struct float_mode {
    unsigned control;
} float_mode;

static float_mode float_mode_set(void)
{
    float_mode saved = {0};
#if defined(__x86_64__)
    saved.control = _mm_getcsr();
    _mm_setcsr(0x1f80);
#endif
    return saved;
}

static void float_mode_restore(float_mode saved)
{
#if defined(__x86_64__)
    _mm_setcsr(saved.control);
#endif
    (void)saved;
}

static void run_phase(void *context, int32_t phase, int32_t thread, int32_t begin, int32_t end)
{
    run_list *list = context;
    const run_step *step = &list->steps[phase];
    rti_step_run(list->device, list->slot, step->kind, step->layer, step->step, thread, step->begin + begin, step->begin + end);
}

static void run_flush(run_list *list, rt_part *parts, uint64_t *begin_ns)
{
    uint64_t finished[RTI_POOL_MAX_PHASES];
    rti_pool_run(list->device->pool, run_phase, list, list->count, list->units, finished);
    for (int32_t i = 0; i < list->count; i++) {
        uint64_t taken = finished[i] - *begin_ns + parts[list->steps[i].part].measured_ns;
        parts[list->steps[i].part].measured_ns = (uint32_t)RTI_MIN(taken, UINT32_MAX);
        *begin_ns = finished[i];
    }
    list->count = 0;
}

static void run_add(run_list *list, rt_part *parts, uint64_t *begin_ns, run_step step, int32_t units)
{
    if (list->count == RTI_POOL_MAX_PHASES) {
        run_flush(list, parts, begin_ns);
    }
    list->steps[list->count] = step;
    list->units[list->count++] = units;
}

static rt_result run(rti_device *device, int32_t index, rt_part *parts, int32_t part_count)
{
    run_list list = {.device = device, .slot = &device->slots[index]};
    float_mode saved = float_mode_set();
    uint64_t begin_ns = rti_now_ns();
    for (int32_t i = 0; i < part_count; i++) {
        rt_part *part = &parts[i];
        rti_plan plan = rti_plan_part(device, list.slot, part->kind, part->layer);
        part->measured_ns = 0;
        int32_t first = 0;
        for (int32_t s = 0; s < plan.step_count; first += plan.units[s++]) {
            int32_t begin = RTI_MAX(part->unit_begin - first, 0), end = RTI_MIN(part->unit_end - first, plan.units[s]);
            const int32_t together = plan.steps[s] == RTI_STEP_ATTENTION ? plan.attention_units : plan.units[s];
            while (begin < end) {
                int32_t stop = RTI_MIN(end, (begin / together + 1) * together);
                run_add(&list, parts, &begin_ns, (run_step){part->kind, part->layer, begin, i, plan.steps[s]}, stop - begin);
                begin = stop;
            }
        }
    }
    run_flush(&list, parts, &begin_ns);
    float_mode_restore(saved);
    return RT_OK;
}

static rt_result poll(rti_device *device, int32_t index, bool *idle, uint64_t *elapsed_ns)
{
    (void)device, (void)index;
    *idle = true;
    *elapsed_ns = 0;
    return RT_OK;
}

static void cancel(rti_device *device, int32_t index)
{
    (void)device, (void)index; // nothing is ever queued
}

static rt_result logits(rti_device *device, int32_t index, int32_t logits_row, const float **values)
{
    const rti_slot *slot = &device->slots[index];
    if (logits_row < 0 || logits_row >= slot->logits_count) {
        return rti_fail(&device->host, RT_ERROR_INVALID_ARGUMENT, "logits: row %d of %d", logits_row, slot->logits_count);
    }
    *values = slot->logits + (size_t)logits_row * (size_t)device->vocabulary;
    return RT_OK;
}

static rt_result sample(rti_device *device, int32_t index, int32_t logits_row, const rt_sample_request *request, rt_token *token)
{
    const float *values = NULL;
    rt_result result = logits(device, index, logits_row, &values);
    if (result != RT_OK) {
        return result;
    }
    float_mode saved = float_mode_set();
    result = rt_sample(values, device->weights->network->vocab_size, request, device->sample_scratch, token);
    float_mode_restore(saved);
    return result;
}

static void pass_end(rti_device *device, int32_t index)
{
    device->slots[index].active = false;
}

static const rti_backend backend_cpu = {
    .name = "cpu",
    .weights_create = rti_weights_create_cpu,
    .weights_destroy = rti_weights_destroy_cpu,
    .weights_bytes = weights_bytes,
    .weights_isa = weights_isa,
    .device_memory = rti_device_memory_cpu,
    .device_create = rti_device_create_cpu,
    .device_destroy = rti_device_destroy_cpu,
    .block_bytes = block_bytes,
    .block_copy = rti_block_copy_cpu,
    .block_read = rti_block_read_cpu,
    .block_write = rti_block_write_cpu,
    .cache_resize = rti_cache_resize_cpu,
    .pass_begin = pass_begin,
    .part_units = part_units,
    .part_work = rti_part_work_cpu,
    .run = run,
    .poll = poll,
    .cancel = cancel,
    .logits = logits,
    .sample = sample,
    .pass_end = pass_end,
};

const rti_backend *rti_backend_cpu(void)
{
    return &backend_cpu;
}
