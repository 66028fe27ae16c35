// schedule/scheduler.c - the loop inside an update: the most urgent piece of work that fits what is left.
//
// Three kinds of work take turns: logits of finished passes, chores of turns (prompts put together, masks, calls), slices.
// A piece is begun only where its predicted cost with its margin fits. What can be cut is cut to fit; what cannot waits for
// a frame with room, and saves up budget for it where no frame ever has.
// SPDX-License-Identifier: MIT
#include "schedule/pass.h"
#include "core/core.h"
#include "serve/serve.h"

#include <math.h>

static const double LEAST_CUT_NS = 30e3; // budget that a chore which can be cut is given at least
static const double LEAST_JUDGED_NS = 100e3; // an error of a shorter slice counts as one of such a slice
static const double MOST_LOCKED_NS = 1e6;
static const double LEAST_SLICE_NS = 6e3; // below, beginning a slice takes as long as what it does
static const uint32_t MOST_CUT_US = 2000;
enum { PARTS_A_SLICE = 16 };

typedef struct run {
    rp_world *world;
    uint64_t deadline_ns;
    bool callbacks, callbacks_only;
    bool saving; // budget for something that no frame has room for
} run;

rt_result rpi_scheduler_create(rp_world *world)
{
    rpi_scheduler *scheduler = world->scheduler;
    const rt_host *host = &world->host;
    rpi_cost_init(&scheduler->cost, world->def.margin);
    rpi_reserve_init(&scheduler->reserve);
    scheduler->rows = rpi_allocate_zeroed(host, (size_t)world->max_rows * sizeof *scheduler->rows);
    scheduler->candidates = rpi_allocate_zeroed(host, (size_t)world->slot_count * rpi_pass_candidate_bytes());
    bool fits = scheduler->rows != NULL && scheduler->candidates != NULL;
    for (int p = 0; p < RPI_PASSES; p++) {
        scheduler->passes[p].shares = rpi_allocate_zeroed(host, (size_t)world->max_rows * sizeof(rpi_share));
        fits = fits && scheduler->passes[p].shares != NULL;
    }
    return fits ? RT_OK : rpi_fail(host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: scheduler: out of memory");
}

void rpi_scheduler_destroy(rp_world *world)
{
    rpi_scheduler *scheduler = world->scheduler;
    for (int p = 0; p < RPI_PASSES; p++) {
        if (scheduler->passes[p].shares == NULL)
            continue;
        rpi_pass_drop(world, &scheduler->passes[p], RT_OK);
        rpi_release(&world->host, scheduler->passes[p].shares, (size_t)world->max_rows * sizeof(rpi_share));
        scheduler->passes[p].shares = NULL;
    }
    rpi_release(&world->host, scheduler->rows, (size_t)world->max_rows * sizeof *scheduler->rows);
    rpi_release(&world->host, scheduler->candidates, (size_t)world->slot_count * rpi_pass_candidate_bytes());
    scheduler->rows = NULL;
    scheduler->candidates = NULL;
}

static double remaining_ns(const run *r)
{
    if (r->deadline_ns == UINT64_MAX)
        return 1e18;
    uint64_t now = rpi_world_now(r->world);
    return now >= r->deadline_ns ? 0.0 : (double)(r->deadline_ns - now);
}

// Whether a piece may begin. One that fits no frame may, at the start of one, use what earlier frames left over.
static bool fits(run *r, double cost_ns)
{
    rpi_scheduler *scheduler = r->world->scheduler;
    double left = remaining_ns(r);
    if (cost_ns <= left) {
        scheduler->worked = true;
        return true;
    }
    if (!scheduler->worked && left > 0 && scheduler->credit_ns + left >= cost_ns) {
        scheduler->credit_ns = 0;
        scheduler->worked = true;
        return true;
    }
    scheduler->refused = true;
    return false;
}

static uint64_t begin_piece(const run *r)
{
    return rpi_world_now(r->world);
}

static void end_piece(run *r, rpi_chore chore, double amount, uint64_t begin_ns, int32_t character)
{
    uint64_t now = rpi_world_now(r->world);
    rpi_trace_add(r->world, RPI_TRACE_CHORE, begin_ns, now, (int32_t)chore, character, 0);
    rpi_trace_entry *entry = rpi_trace_last(r->world);
    if (entry != NULL)
        entry->predicted_ns = (uint32_t)RPI_MIN(rpi_chore_expect(&r->world->scheduler->cost, chore, amount), 4e9);
    if (now > begin_ns)
        rpi_chore_learn(&r->world->scheduler->cost, chore, amount, (double)(now - begin_ns));
}

// A row of logits, or the end of a pass.
static bool run_logits(run *r)
{
    rp_world *world = r->world;
    for (int p = 0; p < RPI_PASSES; p++) {
        rpi_pass *pass = &world->scheduler->passes[p];
        rpi_chore step = rpi_pass_next_step(world, pass);
        double rows = step == RPI_CHORE_COMMIT ? pass->row_count : 1;
        if (step == RPI_CHORE_NONE || !fits(r, rpi_chore_plan(&world->scheduler->cost, step, rows)))
            continue;
        uint64_t begin = begin_piece(r);
        rpi_pass_run_step(world, pass);
        end_piece(r, step, rows, begin, 0);
        return true;
    }
    return false;
}

static bool can_be_cut(rpi_chore chore)
{
    return chore == RPI_CHORE_COMPILE || chore == RPI_CHORE_MASK;
}

// The most urgent chore. Long ones wait for passes of more urgent turns; short steps never do.
static rpi_slot *find_chore(run *r, rpi_chore *chore, double *amount)
{
    rp_world *world = r->world;
    uint64_t now = rpi_world_now(world);
    int32_t pass_rank = INT32_MAX, best_rank = INT32_MAX;
    for (int p = 0; p < RPI_PASSES; p++)
        if (world->scheduler->passes[p].pass != NULL && !rpi_relief_is_due(world))
            pass_rank = RPI_MIN(pass_rank, rpi_pass_rank(world, &world->scheduler->passes[p], now));
    rpi_slot *best = NULL;
    for (int32_t i = 0; i < world->slot_count; i++) {
        rpi_slot *slot = &world->slots[i];
        if (slot->turn == NULL || slot->passes > 0)
            continue;
        if (rpi_serve_chore_is_callback(slot) ? !r->callbacks : r->callbacks_only)
            continue;
        double size;
        rpi_chore found = rpi_serve_chore(world, slot, &size);
        if (found == RPI_CHORE_NONE)
            continue;
        int32_t rank = rpi_queue_urgency(world, slot->turn, now);
        if (rank >= best_rank || (found != RPI_CHORE_STEP && rank > pass_rank && !r->callbacks_only))
            continue;
        best = slot;
        best_rank = rank;
        *chore = found;
        *amount = size;
    }
    return best;
}

static bool run_chore(run *r)
{
    rp_world *world = r->world;
    rpi_chore chore = RPI_CHORE_NONE;
    double amount = 0;
    rpi_slot *slot = find_chore(r, &chore, &amount);
    if (slot == NULL)
        return false;
    rpi_cost_table *cost = &world->scheduler->cost;
    double plan = can_be_cut(chore) ? LEAST_CUT_NS : rpi_chore_plan(cost, chore, amount);
    if (!fits(r, plan)) {
        // It fits no frame, and whatever would run instead would never let it save up for one.
        r->saving = !world->scheduler->worked && chore != RPI_CHORE_STEP;
        return false;
    }
    double cut_us = RPI_MIN((remaining_ns(r) - LEAST_CUT_NS / 2) / 1000, (double)MOST_CUT_US);
    uint64_t begin = begin_piece(r);
    int32_t character = (int32_t)slot->character->index;
    rpi_serve_run_chore(world, slot, (uint32_t)RPI_MAX(cut_us, 10.0));
    if (!can_be_cut(chore))
        end_piece(r, chore, amount, begin, character);
    else
        rpi_trace_add(world, RPI_TRACE_CHORE, begin, rpi_world_now(world), (int32_t)chore, character, 0);
    return true;
}

static bool start_pass(run *r)
{
    rp_world *world = r->world;
    uint64_t now = rpi_world_now(world);
    double rows = rpi_pass_rows_waiting(world, now);
    if (rows == 0 || !fits(r, rpi_chore_plan(&world->scheduler->cost, RPI_CHORE_BEGIN, rows)))
        return false;
    uint64_t begin = begin_piece(r);
    bool started;
    rpi_pass_start(world, now, &started);
    end_piece(r, RPI_CHORE_BEGIN, rows, begin, 0);
    return started;
}

// The pass that is to go on: the most urgent one, except where it is the others' turn.
static rpi_pass *find_pass(rp_world *world, int32_t *pass_rank)
{
    uint64_t now = rpi_world_now(world);
    rpi_pass *best = NULL, *other = NULL;
    int32_t best_rank = INT32_MAX, other_rank = INT32_MAX;
    for (int p = 0; p < RPI_PASSES; p++) {
        rpi_pass *pass = &world->scheduler->passes[p];
        if (pass->pass == NULL || rt_pass_is_done(pass->pass))
            continue;
        int32_t rank = rpi_pass_rank(world, pass, now);
        if (best == NULL || rank < best_rank) {
            best = pass;
            best_rank = rank;
        }
        if (rank > 0 && (other == NULL || rank < other_rank)) {
            other = pass;
            other_rank = rank;
        }
    }
    bool relieves = best_rank == 0 && other != NULL && rpi_relief_is_due(world);
    *pass_rank = relieves ? other_rank : best_rank;
    return relieves ? other : best;
}

static void trace_slice(const run *r, const rpi_pass *pass, uint64_t begin_ns, uint64_t elapsed_ns, double expected_ns)
{
    rp_world *world = r->world;
    const rt_slice *slice = &pass->slice;
    if (world->trace.entries == NULL || slice->part_count == 0)
        return;
    rpi_trace_add(world, RPI_TRACE_SLICE, begin_ns, begin_ns + elapsed_ns, (int32_t)(pass - world->scheduler->passes),
                  slice->parts[0].rows, slice->parts[0].layer);
    rpi_trace_entry *entry = rpi_trace_last(world);
    entry->d = (uint16_t)RPI_MAX(slice->parts[slice->part_count - 1].layer, 0);
    entry->predicted_ns = (uint32_t)RPI_MIN(expected_ns, 4e9);
    entry->left_ns = r->deadline_ns > begin_ns ? (uint32_t)RPI_MIN(r->deadline_ns - begin_ns, (uint64_t)UINT32_MAX) : 0;
    entry->rank = (int16_t)RPI_MIN(rpi_pass_rank(world, pass, begin_ns), INT16_MAX);
}

// Per mille that a prediction was off.
static double prediction_error(double expected_ns, double measured_ns)
{
    return 1000 * fabs(measured_ns - expected_ns) / RPI_MAX(expected_ns, LEAST_JUDGED_NS);
}

static void add_error(rp_slice_stats *stats, double expected_ns, double measured_ns)
{
    rpi_histogram_add(&stats->error, prediction_error(expected_ns, measured_ns));
    stats->expected_ns += (uint64_t)expected_ns;
    stats->measured_ns += (uint64_t)measured_ns;
}

// Histograms of what a slice took and how far off its prediction was.
static void count_slice(rpi_scheduler *scheduler, rp_stats *stats, double expected_ns, double measured_ns)
{
    static const double lengths_ns[RP_SLICE_LENGTHS - 1] = { 50e3, 150e3, 500e3 };
    stats->slices++;
    rpi_histogram_add(&stats->slice_time, measured_ns / 1000);
    if (expected_ns <= 0 || measured_ns <= 0)
        return;
    int length = 0;
    while (length < RP_SLICE_LENGTHS - 1 && expected_ns >= lengths_ns[length])
        length++;
    rpi_histogram_add(&stats->prediction_error, prediction_error(expected_ns, measured_ns));
    add_error(&stats->slices_by_length[length], expected_ns, measured_ns);
    scheduler->expected_ns += expected_ns;
    scheduler->measured_ns += measured_ns;
}

static void learn_slice(run *r, rpi_pass *pass, uint64_t begin_ns, uint64_t elapsed_ns)
{
    rp_world *world = r->world;
    rpi_cost_table *cost = &world->scheduler->cost;
    const rt_slice *slice = &pass->slice;
    double expected = 0, measured = 0;
    for (int32_t i = 0; i < slice->part_count; i++) {
        expected += rpi_cost_expect(cost, &slice->parts[i]);
        measured += slice->parts[i].measured_ns;
    }
    for (int32_t i = 0; i < slice->part_count; i++)
        rpi_cost_learn(cost, &slice->parts[i]);
    rpi_cost_learn_slice(cost, expected, measured);
    if ((double)elapsed_ns > measured && measured > 0)
        rpi_chore_learn(cost, RPI_CHORE_SLICE, 0, (double)elapsed_ns - measured);
    trace_slice(r, pass, begin_ns, elapsed_ns, expected);
    count_slice(world->scheduler, &world->stats, expected, measured);
}

// What was queued on a GPU: true when it is finished and more may be queued.
static bool poll_slice(run *r, rpi_pass *pass)
{
    bool idle = true;
    rt_result result = rt_pass_poll(pass->pass, &pass->slice, &idle);
    if (result != RT_OK) {
        pass->queued = false;
        rpi_pass_drop(r->world, pass, result);
        return false;
    }
    if (idle && pass->queued) {
        pass->queued = false;
        learn_slice(r, pass, rpi_world_now(r->world), 0);
    }
    return idle;
}

// What is queued on a device cannot be followed by smaller pieces in the same update.
static double slice_budget(const run *r, double left_ns)
{
    const rpi_scheduler *scheduler = r->world->scheduler;
    return r->deadline_ns == UINT64_MAX ? left_ns : rpi_cost_slice_budget(&scheduler->cost, left_ns, scheduler->queues);
}

static bool plan_slice(run *r, rpi_pass *pass, double overhead_ns)
{
    rpi_cost_table *cost = &r->world->scheduler->cost;
    double left = remaining_ns(r) - overhead_ns;
    if (!r->callbacks) // the game may be waiting for the lock
        left = RPI_MIN(left, MOST_LOCKED_NS);
    if (left < LEAST_SLICE_NS && r->world->scheduler->worked) {
        r->world->scheduler->refused = true;
        return false;
    }
    // What is queued on a device is followed by nothing in the same update: it may be a whole pass.
    rt_slice_limit limit = { .cost = rpi_cost_callback, .user = cost,
                             .max_parts = r->world->scheduler->queues ? RT_SLICE_MAX_PARTS : PARTS_A_SLICE };
    if (left > 0)
        limit.budget_ns = (uint32_t)RPI_MIN(slice_budget(r, left), 4e9);
    rt_result result = rt_pass_plan(pass->pass, &limit, &pass->slice);
    if (result == RT_OK && pass->slice.part_count == 0 &&
        fits(r, rpi_cost_slice_plan(cost, pass->slice.predicted_ns) + overhead_ns)) {
        limit.budget_ns = pass->slice.predicted_ns;
        result = rt_pass_plan(pass->pass, &limit, &pass->slice);
    }
    if (result != RT_OK)
        rpi_pass_drop(r->world, pass, result);
    return result == RT_OK && pass->slice.part_count > 0;
}

static bool run_slice(run *r)
{
    rp_world *world = r->world;
    int32_t rank;
    rpi_pass *pass = find_pass(world, &rank);
    if (pass == NULL)
        return false;
    if (pass->queued && !poll_slice(r, pass))
        return r->deadline_ns == UINT64_MAX || pass->pass == NULL;
    if (rt_pass_is_done(pass->pass))
        return true;
    double overhead = rpi_chore_plan(&world->scheduler->cost, RPI_CHORE_SLICE, 0);
    if (!plan_slice(r, pass, overhead))
        return pass->pass == NULL;
    world->scheduler->worked = true;
    uint64_t begin = begin_piece(r);
    rt_result result = rt_pass_run(pass->pass, &pass->slice);
    if (result != RT_OK) {
        rpi_pass_drop(world, pass, result);
        return true;
    }
    pass->queued = true;
    uint64_t elapsed = rpi_world_now(world) - begin;
    rpi_relief_settle(world->scheduler, rank, elapsed);
    bool idle = true;
    if (rt_pass_poll(pass->pass, &pass->slice, &idle) == RT_OK && idle) {
        pass->queued = false;
        learn_slice(r, pass, begin, elapsed);
    }
    world->scheduler->queues = pass->queued;
    return true;
}

bool rpi_scheduler_has_work(const rp_world *world)
{
    for (int p = 0; p < RPI_PASSES; p++)
        if (world->scheduler->passes[p].pass != NULL)
            return true;
    for (int32_t i = 0; i < world->slot_count; i++) {
        const rpi_slot *slot = &world->slots[i];
        double amount;
        if (slot->turn != NULL && (slot->segments_done < slot->segment_count || rpi_serve_chore(world, slot, &amount) != RPI_CHORE_NONE))
            return true;
    }
    return false;
}

void rpi_scheduler_run(rp_world *world, uint64_t deadline_ns, bool callbacks)
{
    run r = { .world = world, .deadline_ns = deadline_ns, .callbacks = callbacks };
    rpi_scheduler *scheduler = world->scheduler;
    scheduler->refused = scheduler->worked = false;
    scheduler->expected_ns = scheduler->measured_ns = 0;
    rpi_pass_drop_orphans(world);
    while (!rpi_events_are_piling_up(world) && !world->stop) {
        if (!callbacks)
            rpi_world_yield(world);
        if (run_logits(&r) || run_chore(&r))
            continue;
        if (r.saving)
            break;
        if (start_pass(&r) || run_slice(&r))
            continue;
        // A turn that has just ended makes room for one that waits.
        if (!rpi_queue_start_waiting(world, rpi_world_now(world)))
            break;
    }
    if (scheduler->refused && world->trace.entries != NULL) {
        uint64_t now = rpi_world_now(world);
        rpi_trace_add(world, RPI_TRACE_REFUSED, now, now, 0, 0, 0);
        rpi_trace_last(world)->left_ns = (uint32_t)RPI_MIN(remaining_ns(&r), 4e9);
    }
    if (scheduler->expected_ns > 0)
        add_error(&world->stats.slices_by_update, scheduler->expected_ns, scheduler->measured_ns);
    // Budget that was left because the next piece was too large is kept for it; an idle world saves nothing.
    scheduler->credit_ns = scheduler->refused ? scheduler->credit_ns + RPI_MIN(remaining_ns(&r), 1e9) : 0;
}

void rpi_scheduler_run_callbacks(rp_world *world)
{
    run r = { .world = world, .deadline_ns = UINT64_MAX, .callbacks = true, .callbacks_only = true };
    while (!rpi_events_are_piling_up(world) && run_chore(&r)) {
    }
}
