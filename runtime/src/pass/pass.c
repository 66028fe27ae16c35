// A pass: rows of many sequences, planned into slices at the moment they are wanted, run slice by slice.
// SPDX-License-Identifier: MIT
#include "pass/context.h"

#include <string.h>

#define PARTS_PER_LAYER 5

static const char *const part_names[RT_PART_KIND_COUNT] = {
    [RT_PART_EMBED] = "embed",
    [RT_PART_QKV] = "qkv",
    [RT_PART_ATTENTION] = "attention",
    [RT_PART_ATTENTION_OUT] = "attention out",
    [RT_PART_FEED_FORWARD_UP] = "feed-forward up",
    [RT_PART_FEED_FORWARD_DOWN] = "feed-forward down",
    [RT_PART_LOGITS] = "logits",
};

const char *rt_part_kind_name(rt_part_kind kind)
{
    return (unsigned)kind < RT_PART_KIND_COUNT ? part_names[kind] : "unknown";
}

// ---------------------------------------------------------------------------------------------------------------------
// Beginning
// ---------------------------------------------------------------------------------------------------------------------

static rt_pass *find_closed(rt_context *context)
{
    for (int32_t i = 0; i < context->def.max_passes; i++)
        if (!context->passes[i].is_open) return &context->passes[i];
    return NULL;
}

// Rows of row i's sequence that stand before it in the pass. Rows of one sequence are usually neighbours.
static bool is_first_of_sequence(const rt_row *rows, int32_t i)
{
    for (int32_t j = i - 1; j >= 0; j--)
        if (rows[j].sequence.index == rows[i].sequence.index) return false;
    return true;
}

static int32_t count_of_sequence(const rt_row *rows, int32_t row_count, int32_t first)
{
    int32_t count = 0;
    for (int32_t j = first; j < row_count; j++) count += rows[j].sequence.index == rows[first].sequence.index;
    return count;
}

static rt_result check_rows(rt_context *context, const rt_row *rows, int32_t row_count)
{
    int32_t vocab_size = context->model->network->vocab_size;
    int32_t logits_count = 0;
    if (!rows || row_count < 1 || row_count > context->def.max_rows)
        return rti_fail(&context->host, RT_ERROR_INVALID_ARGUMENT, "pass: %d rows; 1 to %d are possible", row_count, context->def.max_rows);
    for (int32_t i = 0; i < row_count; i++) {
        const rti_sequence *sequence = rti_cache_find(&context->cache, rows[i].sequence);
        if (!sequence) return RT_ERROR_STALE_ID;
        if (sequence->pass >= 0)
            return rti_fail(&context->host, RT_ERROR_BUSY, "pass: row %d: its sequence has rows in a pass under way", i);
        if (rows[i].token < 0 || rows[i].token >= vocab_size)
            return rti_fail(&context->host, RT_ERROR_INVALID_ARGUMENT, "pass: row %d: token %d is outside the vocabulary of %d", i,
                            rows[i].token, vocab_size);
        logits_count += rows[i].wants_logits;
    }
    if (logits_count > context->def.max_logits_rows)
        return rti_fail(&context->host, RT_ERROR_TOO_LARGE, "pass: %d rows want logits; max_logits_rows is %d", logits_count,
                        context->def.max_logits_rows);
    return RT_OK;
}

// Reserves what all rows need, or nothing.
static rt_result reserve(rt_context *context, const rt_row *rows, int32_t row_count)
{
    uint64_t needed = 0;
    for (int32_t i = 0; i < row_count; i++)
        if (is_first_of_sequence(rows, i))
            needed += rti_cache_blocks_needed(&context->cache, rti_cache_find(&context->cache, rows[i].sequence),
                                              count_of_sequence(rows, row_count, i));
    if (needed > rti_block_available(&context->cache.pool))
        return rti_fail(&context->host, RT_ERROR_CONTEXT_FULL,
                        "pass: %llu blocks of key-value cache are needed, %u are to be had: raise kv_tokens or end other sequences",
                        (unsigned long long)needed, rti_block_available(&context->cache.pool));
    rt_result result = RT_OK;
    int32_t done = 0;
    for (; done < row_count && result == RT_OK; done++)
        if (is_first_of_sequence(rows, done))
            result = rti_cache_reserve(&context->cache, rti_cache_find(&context->cache, rows[done].sequence),
                                       count_of_sequence(rows, row_count, done));
    if (result == RT_OK) return RT_OK;
    for (int32_t i = 0; i < done; i++)
        if (is_first_of_sequence(rows, i)) rti_cache_unreserve(&context->cache, rti_cache_find(&context->cache, rows[i].sequence));
    return result;
}

static void fill_rows(rt_pass *pass, const rt_row *rows, int32_t row_count)
{
    rt_context *context = pass->context;
    pass->row_count = row_count;
    pass->logits_count = 0;
    for (int32_t i = 0; i < row_count; i++) {
        rti_sequence *sequence = rti_cache_find(&context->cache, rows[i].sequence);
        int32_t offset = 0; // this row's place among the rows of its sequence
        for (int32_t j = i - 1; j >= 0; j--) {
            if (rows[j].sequence.index != rows[i].sequence.index) continue;
            offset = pass->rows[j].position - sequence->start - sequence->length + 1;
            break;
        }
        rti_cache_note_token(&context->cache, sequence, offset, rows[i].token);
        pass->owners[i] = rows[i].sequence;
        pass->rows[i] = (rti_row){
            .token = rows[i].token,
            .position = sequence->start + sequence->length + offset,
            .first_position = sequence->start,
            .blocks = sequence->blocks,
            .logits_row = rows[i].wants_logits ? pass->logits_count++ : -1,
            .mask = rows[i].mask,
        };
        sequence->pass = pass->slot;
    }
}

// Part number to kind and layer.
static rt_part part_at(const rt_pass *pass, int32_t number)
{
    static const rt_part_kind kinds[PARTS_PER_LAYER] = {RT_PART_QKV, RT_PART_ATTENTION, RT_PART_ATTENTION_OUT,
                                                        RT_PART_FEED_FORWARD_UP, RT_PART_FEED_FORWARD_DOWN};
    rt_part part = {.kind = RT_PART_EMBED, .rows = pass->row_count};
    if (number > 0) {
        part.layer = (number - 1) / PARTS_PER_LAYER;
        part.kind = kinds[(number - 1) % PARTS_PER_LAYER];
        if (part.layer >= pass->context->model->network->layer_count) part.kind = RT_PART_LOGITS;
    }
    const rt_context *context = pass->context;
    part.unit_count = context->backend->part_units(context->device, pass->slot, part.kind, part.layer);
    part.unit_end = part.unit_count;
    return part;
}

static int32_t count_parts(const rt_pass *pass)
{
    int32_t layers = pass->context->model->network->layer_count;
    // Without logits nothing behind the last layer's keys and values is of use to anybody.
    if (pass->logits_count == 0) return 1 + (layers - 1) * PARTS_PER_LAYER + 1;
    return 1 + layers * PARTS_PER_LAYER + 1;
}

static void release_sequences(rt_pass *pass)
{
    for (int32_t i = 0; i < pass->row_count; i++) {
        rti_sequence *sequence = rti_cache_find(&pass->context->cache, pass->owners[i]);
        if (sequence) sequence->pass = -1;
    }
}

static void unreserve_sequences(rt_pass *pass)
{
    for (int32_t i = 0; i < pass->row_count; i++) {
        rti_sequence *sequence = rti_cache_find(&pass->context->cache, pass->owners[i]);
        if (sequence) rti_cache_unreserve(&pass->context->cache, sequence);
    }
}

rt_result rt_pass_begin(rt_context *context, const rt_row *rows, int32_t row_count, rt_pass **pass_out)
{
    *pass_out = NULL;
    rt_result result = check_rows(context, rows, row_count);
    if (result != RT_OK) return result;
    rt_pass *pass = find_closed(context);
    if (!pass)
        return rti_fail(&context->host, RT_ERROR_BUSY, "pass: %d are under way, which is max_passes", context->def.max_passes);
    if ((result = reserve(context, rows, row_count)) != RT_OK) return result;

    fill_rows(pass, rows, row_count);
    rti_pass_input input = {.rows = pass->rows, .row_count = row_count, .logits_count = pass->logits_count};
    if ((result = context->backend->pass_begin(context->device, pass->slot, &input)) != RT_OK) {
        release_sequences(pass);
        unreserve_sequences(pass);
        return result;
    }
    pass->is_open = true;
    pass->is_in_flight = pass->has_failed = pass->is_planned = false;
    pass->part = pass->unit = 0;
    pass->part_count = count_parts(pass);
    pass->operations_done = pass->operations_total = 0;
    for (int32_t i = 0; i < pass->part_count; i++) {
        rt_part part = part_at(pass, i);
        context->backend->part_work(context->device, pass->slot, &part);
        pass->operations_total += part.operations;
    }
    *pass_out = pass;
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Planning and running
// ---------------------------------------------------------------------------------------------------------------------

static uint32_t cost_of(const rt_pass *pass, const rt_slice_limit *limit, rt_part *part)
{
    const rt_context *context = pass->context;
    context->backend->part_work(context->device, pass->slot, part);
    part->predicted_ns = limit && limit->cost ? limit->cost(limit->user, part) : 0;
    return part->predicted_ns;
}

// The longest piece of *part that costs at most budget_ns: all of it, else by halving. False: not one unit does.
static bool fit(const rt_pass *pass, const rt_slice_limit *limit, uint32_t budget_ns, rt_part *part)
{
    if (cost_of(pass, limit, part) <= budget_ns) return true;
    int32_t fits = part->unit_begin, too_many = part->unit_end;
    while (too_many - fits > 1) {
        int32_t middle = fits + (too_many - fits) / 2;
        part->unit_end = middle;
        if (cost_of(pass, limit, part) <= budget_ns) fits = middle;
        else too_many = middle;
    }
    part->unit_end = fits > part->unit_begin ? fits : part->unit_begin + 1;
    cost_of(pass, limit, part);
    return fits > part->unit_begin;
}

rt_result rt_pass_plan(rt_pass *pass, const rt_slice_limit *limit, rt_slice *slice)
{
    slice->part_count = 0;
    slice->predicted_ns = 0;
    pass->is_planned = false;
    if (!pass->is_open || pass->has_failed)
        return rti_fail(&pass->context->host, RT_ERROR_INVALID_ARGUMENT, "pass: it has ended or failed");
    int32_t most = limit && limit->max_parts > 0 ? RTI_MIN(limit->max_parts, RT_SLICE_MAX_PARTS) : RT_SLICE_MAX_PARTS;
    uint32_t budget_ns = limit && limit->cost ? limit->budget_ns : UINT32_MAX;
    int32_t number = pass->part, unit = pass->unit;
    while (slice->part_count < most && number < pass->part_count) {
        rt_part part = part_at(pass, number);
        part.unit_begin = unit;
        if (!fit(pass, limit, budget_ns - slice->predicted_ns, &part)) {
            if (slice->part_count == 0) slice->predicted_ns = part.predicted_ns;
            break;
        }
        slice->parts[slice->part_count++] = part;
        slice->predicted_ns += part.predicted_ns;
        unit = part.unit_end;
        if (unit < part.unit_count) break;
        number++;
        unit = 0;
    }
    if (slice->part_count > 0) {
        pass->is_planned = true;
        pass->planned_from_part = pass->part;
        pass->planned_from_unit = pass->unit;
        pass->planned_part = number;
        pass->planned_unit = unit;
    }
    return RT_OK;
}

rt_result rt_pass_run(rt_pass *pass, rt_slice *slice)
{
    rt_context *context = pass->context;
    if (!pass->is_open || !pass->is_planned || slice->part_count < 1 || slice->parts[0].unit_begin != pass->unit)
        return rti_fail(&context->host, RT_ERROR_INVALID_ARGUMENT, "pass: run takes the slice that rt_pass_plan has just given");
    pass->is_planned = false;
    rt_result result = context->backend->run(context->device, pass->slot, slice->parts, slice->part_count);
    if (result != RT_OK) {
        pass->has_failed = true;
        return result;
    }
    for (int32_t i = 0; i < slice->part_count; i++) pass->operations_done += slice->parts[i].operations;
    pass->part = pass->planned_part;
    pass->unit = pass->planned_unit;
    pass->is_in_flight = true;
    bool idle;
    return rt_pass_poll(pass, slice, &idle);
}

rt_result rt_pass_poll(rt_pass *pass, rt_slice *slice, bool *idle)
{
    rt_context *context = pass->context;
    *idle = true;
    if (!pass->is_open || !pass->is_in_flight) return RT_OK;
    uint64_t elapsed_ns = 0;
    rt_result result = context->backend->poll(context->device, pass->slot, idle, &elapsed_ns);
    if (result != RT_OK) {
        pass->has_failed = true;
        return result;
    }
    if (!*idle) return RT_OK;
    pass->is_in_flight = false;
    if (elapsed_ns > 0 && slice && slice->part_count > 0) { // shared out by prediction, evenly where there is none
        for (int32_t i = 0; i < slice->part_count; i++) {
            double share = slice->predicted_ns > 0 ? (double)slice->parts[i].predicted_ns / (double)slice->predicted_ns
                                                   : 1.0 / (double)slice->part_count;
            slice->parts[i].measured_ns = (uint32_t)RTI_MIN((double)elapsed_ns * share, 4.0e9);
        }
    }
    return RT_OK;
}

bool rt_pass_is_done(const rt_pass *pass)
{
    return pass->is_open && !pass->has_failed && !pass->is_in_flight && pass->part >= pass->part_count;
}

float rt_pass_progress(const rt_pass *pass)
{
    if (pass->operations_total == 0) return 1.0f;
    return (float)((double)pass->operations_done / (double)pass->operations_total);
}

// ---------------------------------------------------------------------------------------------------------------------
// Ending
// ---------------------------------------------------------------------------------------------------------------------

static rt_result find_logits_row(const rt_pass *pass, int32_t row, int32_t *logits_row)
{
    rt_context *context = pass->context;
    if (!rt_pass_is_done(pass)) return rti_fail(&context->host, RT_ERROR_BUSY, "pass: logits are there when it is done");
    if (row < 0 || row >= pass->row_count || pass->rows[row].logits_row < 0)
        return rti_fail(&context->host, RT_ERROR_INVALID_ARGUMENT, "pass: row %d did not ask for logits", row);
    *logits_row = pass->rows[row].logits_row;
    return RT_OK;
}

rt_result rt_pass_logits(rt_pass *pass, int32_t row, const float **logits)
{
    int32_t logits_row;
    *logits = NULL;
    rt_result result = find_logits_row(pass, row, &logits_row);
    if (result != RT_OK) return result;
    return pass->context->backend->logits(pass->context->device, pass->slot, logits_row, logits);
}

rt_result rt_pass_sample(rt_pass *pass, int32_t row, const rt_sample_request *request, rt_token *token)
{
    int32_t logits_row;
    *token = RT_TOKEN_NONE;
    rt_result result = find_logits_row(pass, row, &logits_row);
    if (result != RT_OK) return result;
    return pass->context->backend->sample(pass->context->device, pass->slot, logits_row, request, token);
}

static void close_pass(rt_pass *pass)
{
    pass->context->backend->pass_end(pass->context->device, pass->slot);
    release_sequences(pass);
    pass->is_open = false;
}

rt_result rt_pass_commit(rt_pass *pass)
{
    rt_context *context = pass->context;
    if (!rt_pass_is_done(pass)) return rti_fail(&context->host, RT_ERROR_BUSY, "pass: it can be committed when it is done");
    close_pass(pass);
    for (int32_t i = 0; i < pass->row_count; i++) {
        // The last row of each sequence commits all of them.
        rti_sequence *sequence = rti_cache_find(&context->cache, pass->owners[i]);
        bool is_last = true;
        for (int32_t j = i + 1; j < pass->row_count && is_last; j++) is_last = pass->owners[j].index != pass->owners[i].index;
        if (is_last) rti_cache_commit(&context->cache, sequence, pass->rows[i].position + 1 - sequence->start - sequence->length);
    }
    return RT_OK;
}

void rt_pass_abandon(rt_pass *pass)
{
    if (!pass || !pass->is_open) return;
    if (pass->is_in_flight) pass->context->backend->cancel(pass->context->device, pass->slot);
    pass->is_in_flight = false;
    close_pass(pass);
    unreserve_sequences(pass);
}

static rt_result run_to_end(rt_pass *pass)
{
    rt_slice slice;
    rt_result result = RT_OK;
    while (result == RT_OK && !rt_pass_is_done(pass)) {
        bool idle = true;
        if (pass->is_in_flight) {
            result = rt_pass_poll(pass, &slice, &idle);
            continue;
        }
        result = rt_pass_plan(pass, NULL, &slice);
        if (result == RT_OK) result = rt_pass_run(pass, &slice);
    }
    return result;
}

rt_result rt_context_evaluate(rt_context *context, const rt_row *rows, int32_t row_count, float *logits)
{
    rt_pass *pass;
    rt_result result = rt_pass_begin(context, rows, row_count, &pass);
    if (result != RT_OK) return result;
    result = run_to_end(pass);
    size_t vocab_size = (size_t)context->model->network->vocab_size;
    for (int32_t i = 0; i < row_count && result == RT_OK && logits; i++) {
        if (!rows[i].wants_logits) continue;
        const float *row_logits;
        result = rt_pass_logits(pass, i, &row_logits);
        if (result != RT_OK) break;
        memcpy(logits, row_logits, vocab_size * sizeof(float));
        logits += vocab_size;
    }
    if (result == RT_OK) return rt_pass_commit(pass);
    rt_pass_abandon(pass);
    return result;
}
