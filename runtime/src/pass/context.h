// pass/context.h - what stands behind rt_context and rt_pass.
// SPDX-License-Identifier: MIT
#ifndef RTI_CONTEXT_H
#define RTI_CONTEXT_H

#include "cache/cache.h"
#include "model/model.h"

struct rt_pass {
    rt_context *context;
    int32_t slot;          // of the backend
    bool is_open;
    bool is_in_flight;     // queued work whose end was not yet seen (GPU)
    bool has_failed;       // a slice failed: only abandoning is left
    rti_row *rows;         // max_rows of them
    rt_sequence *owners;   // the sequence of each row
    int32_t row_count;
    int32_t logits_count;
    // What runs next: part number `part` from unit `unit` on. Parts count 0 .. part_count-1: EMBED, five a layer, LOGITS.
    int32_t part, part_count, unit;
    // Where the slice that was planned last ends, and what it must start with.
    int32_t planned_part, planned_unit;
    int32_t planned_from_part, planned_from_unit;
    bool is_planned;
    uint64_t operations_done, operations_total;
};

struct rt_context {
    rt_host host;
    rt_context_def def;
    rt_model *model;
    const rti_backend *backend;
    rti_device *device;
    rti_cache cache;
    rt_pass passes[RT_MAX_PASSES];
    rti_row *rows;        // memory of all passes' rows
    rt_sequence *owners;
};

#endif
