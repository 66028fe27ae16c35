// core/ring.c - the ring of the trace: the latest entries, the oldest overwritten.
// SPDX-License-Identifier: MIT
#include "core/core.h"

enum { MOST_ENTRIES = 1 << 24 };

void rpi_trace_add(rp_world *world, rpi_trace_kind kind, uint64_t begin_ns, uint64_t end_ns, int32_t a, int32_t b, int32_t c)
{
    rpi_trace *trace = &world->trace;
    if (trace->entries == NULL)
        return;
    uint64_t duration = end_ns > begin_ns ? end_ns - begin_ns : 0;
    trace->entries[trace->count++ % trace->capacity] =
        (rpi_trace_entry){ .begin_ns = begin_ns, .duration_ns = duration,
                           .kind = (uint16_t)kind, .a = a, .b = b, .c = c };
}

rpi_trace_entry *rpi_trace_last(rp_world *world)
{
    rpi_trace *trace = &world->trace;
    return trace->entries != NULL && trace->count > 0 ? &trace->entries[(trace->count - 1) % trace->capacity] : NULL;
}

void rpi_trace_free(rp_world *world)
{
    rpi_release(&world->host, world->trace.entries, (size_t)world->trace.capacity * sizeof *world->trace.entries);
    world->trace = (rpi_trace){ 0 };
}

rt_result rp_world_set_trace(rp_world *world, bool on, uint32_t entries)
{
    if (world == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_set_trace: no world");
    rt_result idle = rpi_world_check_idle(world, "rp_world_set_trace");
    if (idle != RT_OK)
        return idle;
    if (entries > MOST_ENTRIES)
        return rpi_fail(&world->host, RT_ERROR_TOO_LARGE, "rp_world_set_trace: %u entries: at most %d", entries, MOST_ENTRIES);
    rpi_world_lock(world);
    rpi_trace_free(world);
    rt_result result = RT_OK;
    if (on) {
        uint32_t capacity = entries > 0 ? entries : RP_TRACE_ENTRIES;
        world->trace.entries = rpi_allocate_zeroed(&world->host, (size_t)capacity * sizeof *world->trace.entries);
        if (world->trace.entries != NULL)
            world->trace.capacity = capacity;
        else
            result = rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_set_trace: out of memory");
    }
    rpi_world_unlock(world);
    return result;
}
