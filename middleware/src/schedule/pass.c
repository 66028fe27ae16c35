// schedule/pass.c - the rows of many turns in one pass.
//
// A pass reads the weights once for all of its rows, so turns that speak are decoded together and a chunk of somebody's
// prompt rides along. Whoever the player waits for does not share: its first words come from passes of its own, begun
// beside one that is under way (that one stands still meanwhile).
// SPDX-License-Identifier: MIT
#include "schedule/pass.h"

#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "serve/serve.h"

enum {
    DECODE_ROWS = 8,        // up to here rows count as speaking, not as reading
    CHUNK_BESIDE_SPEECH = 32, // prompt tokens that ride along with rows that somebody listens to
    BLOCKS_A_FORK = 4,
};

// A line that is this far ahead of whoever listens can wait.
static const double LISTENING_TOKENS_A_SECOND = 10, LISTENING_LEAD = 10;

static bool is_ahead(const rpi_turn *turn, uint64_t now_ns)
{
    if (turn->first_text_ns == 0 || turn->slot == NULL || turn->slot->stage != RPI_STAGE_SPEAK || now_ns < turn->first_text_ns)
        return false;
    double heard = (double)(now_ns - turn->first_text_ns) * 1e-9 * LISTENING_TOKENS_A_SECOND;
    return turn->slot->reply_tokens > heard + LISTENING_LEAD;
}

// Whether the player is waiting for the next word of this turn.
static bool is_urgent(const rp_world *world, const rpi_turn *turn, uint64_t now_ns)
{
    return world->def.mode != RP_MODE_HEADLESS && turn->priority == RP_PRIORITY_FOCUS && !is_ahead(turn, now_ns);
}

static bool wants_rows(const rpi_slot *slot)
{
    return slot->turn != NULL && slot->passes == 0 && slot->segments_done < slot->segment_count &&
           ((slot->stage != RPI_STAGE_ARGUE && slot->stage != RPI_STAGE_WRITE) || slot->mask_ready);
}

// The rank of a slot, with what it inherits from turns that wait for what it computes.
static int32_t slot_rank(const rp_world *world, const rpi_slot *slot, uint64_t now_ns)
{
    int32_t rank = rpi_queue_urgency(world, slot->turn, now_ns);
    if (is_ahead(slot->turn, now_ns))
        rank = RPI_MAX(rank, 5);
    for (int32_t i = 0; i < world->slot_count; i++) {
        const rpi_slot *other = &world->slots[i];
        if (other->turn != NULL && other->stage == RPI_STAGE_ATTACH && other->waits_for == slot &&
            other->waits_turn == slot->turn->generation)
            rank = RPI_MIN(rank, rpi_queue_urgency(world, other->turn, now_ns));
    }
    return rank;
}

int32_t rpi_pass_rank(const rp_world *world, const rpi_pass *pass, uint64_t now_ns)
{
    int32_t rank = INT32_MAX;
    for (int32_t i = 0; i < pass->share_count; i++)
        if (pass->shares[i].slot->turn != NULL)
            rank = RPI_MIN(rank, slot_rank(world, pass->shares[i].slot, now_ns));
    return rank;
}

typedef struct candidate {
    rpi_slot *slot;
    int32_t rank, remaining;
    uint64_t deadline_ns;
} candidate;

size_t rpi_pass_candidate_bytes(void)
{
    return sizeof(candidate);
}

static int compare(const candidate *a, const candidate *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns ? -1 : 1;
    if (a->remaining != b->remaining)
        return a->remaining < b->remaining ? -1 : 1;
    return a->slot->number - b->slot->number;
}

// Slots that have rows to compute, most urgent first: class, deadline, shortest remaining.
static int32_t list_candidates(rp_world *world, uint64_t now_ns, candidate *list)
{
    int32_t count = 0;
    for (int32_t i = 0; i < world->slot_count; i++) {
        rpi_slot *slot = &world->slots[i];
        if (!wants_rows(slot))
            continue;
        candidate fresh = { slot, slot_rank(world, slot, now_ns), rpi_slot_remaining(slot),
                            slot->turn->deadline_ns > 0 ? slot->turn->deadline_ns : UINT64_MAX };
        int32_t at = count++;
        for (; at > 0 && compare(&fresh, &list[at - 1]) < 0; at--)
            list[at] = list[at - 1];
        list[at] = fresh;
    }
    return count;
}

static rpi_pass *free_pass(rp_world *world)
{
    for (int i = 0; i < RPI_PASSES; i++)
        if (world->scheduler->passes[i].pass == NULL)
            return &world->scheduler->passes[i];
    return NULL;
}

// Blocks that turns under way have been promised but have not taken yet.
static uint32_t promised_blocks(const rp_world *world)
{
    uint32_t promised = 0;
    for (int32_t i = 0; i < world->slot_count; i++) {
        const rpi_slot *slot = &world->slots[i];
        uint32_t has = ((uint32_t)slot->main_length + RT_KV_BLOCK_TOKENS - 1) / RT_KV_BLOCK_TOKENS;
        promised += slot->blocks > has ? slot->blocks - has : 0;
    }
    return promised;
}

typedef struct builder {
    rp_world *world;
    rpi_pass *pass;
    rt_row *rows;
    int32_t row_limit, chunk; // rows in all; prompt rows that may still ride along
    int32_t forks_left;
} builder;

static bool begin_segment(builder *b, rpi_segment *segment)
{
    if (segment->sequence.index != 0)
        return true;
    if (b->forks_left <= 0 || rt_sequence_fork(b->world->context, segment->source, &segment->sequence) != RT_OK)
        return false;
    b->forks_left--;
    return true;
}

// The tokens whose logits a slot will look at, where a grammar says so before the pass begins.
static const uint32_t *row_mask(const rpi_slot *slot)
{
    bool is_masked = slot->stage == RPI_STAGE_ARGUE || (slot->stage == RPI_STAGE_WRITE && !slot->native.between);
    return is_masked && slot->mask_ready ? slot->mask : NULL;
}

// Adds what fits of one segment; false when the pass is full for this slot.
static bool add_segment(builder *b, rpi_slot *slot, int32_t index, bool is_reading)
{
    rpi_segment *segment = &slot->segments[index];
    rpi_pass *pass = b->pass;
    int32_t rows = RPI_MIN(segment->count - segment->done, b->row_limit - pass->row_count);
    if (is_reading)
        rows = RPI_MIN(rows, b->chunk);
    int32_t logits_begin = RPI_MAX(segment->logits_from, segment->done);
    int32_t logits_room = b->world->max_logits_rows - pass->logits_count;
    if (segment->done + rows - logits_begin > logits_room)
        rows = logits_begin + logits_room - segment->done;
    if (rows <= 0 || !begin_segment(b, segment))
        return false;
    rpi_share *share = &pass->shares[pass->share_count++];
    *share = (rpi_share){ slot, index, segment->done, rows, pass->row_count };
    for (int32_t i = 0; i < rows; i++) {
        int32_t at = segment->done + i;
        bool wants = at >= segment->logits_from;
        b->rows[pass->row_count++] = (rt_row){ segment->sequence, segment->tokens[at], wants, wants ? row_mask(slot) : NULL };
        pass->logits_count += wants;
    }
    segment->in_flight = rows;
    if (is_reading)
        b->chunk -= rows;
    return rows == segment->count - segment->done;
}

static void add_slot(builder *b, rpi_slot *slot)
{
    bool is_reading = rpi_slot_remaining(slot) > DECODE_ROWS;
    int32_t before = b->pass->share_count;
    for (int32_t i = 0; i < slot->segment_count; i++) {
        if (slot->segments[i].done == slot->segments[i].count)
            continue;
        if (b->pass->share_count >= b->world->max_rows || !add_segment(b, slot, i, is_reading))
            break;
    }
    slot->passes += b->pass->share_count > before;
}

static void clear_pass(rpi_pass *pass)
{
    pass->pass = NULL;
    pass->share_count = pass->row_count = pass->logits_count = 0;
    pass->next_share = pass->next_row = 0;
}

// Takes a pass's rows back from its slots. `computed`: they are part of their sequences now.
static void release_shares(rp_world *world, rpi_pass *pass, bool computed)
{
    for (int32_t i = 0; i < pass->share_count; i++) {
        rpi_share *share = &pass->shares[i];
        rpi_slot *slot = share->slot;
        rpi_segment *segment = &slot->segments[share->segment];
        if (computed) {
            segment->done += share->rows;
            if (slot->stage == RPI_STAGE_READ && segment->sequence.index == slot->main.index)
                slot->main_length += share->rows;
            if (slot->stage != RPI_STAGE_SPEAK)
                world->stats.prefill_tokens += (uint64_t)share->rows;
        }
        segment->in_flight = 0;
        bool finished = segment->done == segment->count;
        slot->segments_done += computed && finished;
        // A fork that got no further is made again: it must not sit on blocks while it waits.
        if (segment->owned && (finished || segment->done == 0))
            rpi_sequence_drop(world, &segment->sequence);
        if (i + 1 == pass->share_count || pass->shares[i + 1].slot != slot)
            slot->passes--;
    }
    for (int32_t i = 0; i < pass->share_count; i++) {
        rpi_slot *slot = pass->shares[i].slot;
        if (slot->stage == RPI_STAGE_ZOMBIE && slot->passes == 0)
            rpi_slot_release(world, slot);
    }
    clear_pass(pass);
}

void rpi_pass_drop(rp_world *world, rpi_pass *pass, rt_result result)
{
    if (pass->pass == NULL)
        return;
    rt_pass_abandon(pass->pass);
    pass->pass = NULL;
    if (result != RT_OK) {
        for (int32_t i = 0; i < pass->share_count; i++)
            if (pass->shares[i].slot->turn != NULL)
                rpi_turn_fail(world, pass->shares[i].slot, result);
    }
    release_shares(world, pass, false);
}

void rpi_pass_drop_orphans(rp_world *world)
{
    for (int p = 0; p < RPI_PASSES; p++) {
        rpi_pass *pass = &world->scheduler->passes[p];
        bool wanted = false;
        for (int32_t i = 0; i < pass->share_count && !wanted; i++)
            wanted = pass->shares[i].slot->turn != NULL;
        if (pass->pass != NULL && !wanted)
            rpi_pass_drop(world, pass, RT_OK);
    }
}

// No blocks for these rows. Somebody has to go: the least urgent turn that holds some, back to the queue where it has not
// spoken yet.
static void make_room(rp_world *world, const candidate *list, int32_t count, rt_result result)
{
    for (int p = 0; p < RPI_PASSES; p++)
        if (world->scheduler->passes[p].pass != NULL)
            return; // what is under way may yet give some back
    const candidate *last = &list[count - 1];
    if (count > 1 && rpi_turn_requeue(world, last->slot))
        return;
    rpi_turn_fail(world, last->slot, result);
}

static builder begin_builder(rp_world *world, rpi_pass *pass)
{
    uint32_t available = rt_context_available_blocks(world->context), promised = promised_blocks(world);
    int32_t forks = available > promised ? (int32_t)(available - promised) / BLOCKS_A_FORK : 0;
    return (builder){ .world = world, .pass = pass, .rows = world->scheduler->rows, .row_limit = world->max_rows,
                      .chunk = world->def.max_prefill_rows, .forks_left = RPI_MAX(forks, 1) };
}

static void fill_pass(builder *b, const candidate *list, int32_t count, uint64_t now_ns)
{
    bool exclusive = is_urgent(b->world, list[0].slot->turn, now_ns) || list[0].rank == 0;
    bool speech = false;
    // Rows that somebody listens to come first: they are few, and what is left over goes to prompts.
    for (int32_t i = 0; i < count; i++) {
        if (exclusive && list[i].rank > list[0].rank && b->world->def.mode != RP_MODE_HEADLESS)
            break;
        if (list[i].remaining <= DECODE_ROWS) {
            add_slot(b, list[i].slot);
            speech = speech || list[i].slot->stage == RPI_STAGE_SPEAK;
        }
    }
    if (speech && b->world->def.mode != RP_MODE_HEADLESS)
        b->chunk = RPI_MIN(b->chunk, CHUNK_BESIDE_SPEECH);
    for (int32_t i = 0; i < count && b->chunk > 0; i++) {
        if (exclusive && list[i].rank > list[0].rank && b->world->def.mode != RP_MODE_HEADLESS)
            break;
        if (list[i].remaining > DECODE_ROWS)
            add_slot(b, list[i].slot);
    }
}

// Whether something may be begun now: the first pass always, a second one only for somebody more urgent, the last one only
// for a turn in focus. Beside that one's pass the others may have one, to which some of its time goes.
static bool may_start(rp_world *world, const candidate *best, uint64_t now_ns)
{
    int32_t under_way = 0;
    for (int p = 0; p < RPI_PASSES; p++) {
        const rpi_pass *pass = &world->scheduler->passes[p];
        int32_t rank = pass->pass != NULL ? rpi_pass_rank(world, pass, now_ns) : INT32_MAX;
        under_way += pass->pass != NULL;
        bool is_beside = rank == 0 && best->rank > 0 && rpi_relief_is_due(world);
        if (rank <= best->rank && !is_beside)
            return false;
    }
    return under_way < (best->rank == 0 ? RPI_PASSES : RPI_PASSES - 1);
}

int32_t rpi_pass_rows_waiting(rp_world *world, uint64_t now_ns)
{
    candidate *list = (candidate *)world->scheduler->candidates;
    int32_t count = list_candidates(world, now_ns, list), rows = 0;
    if (count == 0 || !may_start(world, &list[0], now_ns))
        return 0;
    for (int32_t i = 0; i < count; i++)
        rows += list[i].remaining;
    return RPI_MIN(rows, world->max_rows);
}

void rpi_pass_start(rp_world *world, uint64_t now_ns, bool *started)
{
    *started = false;
    candidate *list = (candidate *)world->scheduler->candidates;
    int32_t count = list_candidates(world, now_ns, list);
    if (count == 0 || !may_start(world, &list[0], now_ns))
        return;
    rpi_pass *pass = free_pass(world);
    clear_pass(pass);
    builder b = begin_builder(world, pass);
    fill_pass(&b, list, count, now_ns);
    rt_result result = RT_OK;
    if (pass->row_count > 0)
        result = rt_pass_begin(world->context, b.rows, pass->row_count, &pass->pass);
    if (result == RT_OK && pass->row_count > 0) {
        world->stats.passes++;
        pass->begin_ns = now_ns;
        *started = true;
        return;
    }
    if (result == RT_OK)
        result = rpi_fail(&world->host, RT_ERROR_CONTEXT_FULL, "no key-value blocks are free: raise kv_tokens");
    pass->pass = NULL;
    release_shares(world, pass, false);
    if (result == RT_ERROR_CONTEXT_FULL || result == RT_ERROR_TOO_LARGE)
        make_room(world, list, count, result);
    else if (result != RT_ERROR_BUSY)
        rpi_turn_fail(world, list[0].slot, result);
}

rpi_chore rpi_pass_next_step(const rp_world *world, const rpi_pass *pass)
{
    (void)world;
    if (pass->pass == NULL || !rt_pass_is_done(pass->pass))
        return RPI_CHORE_NONE;
    if (pass->next_share >= pass->share_count)
        return RPI_CHORE_COMMIT;
    const rpi_slot *slot = pass->shares[pass->next_share].slot;
    return slot->stage == RPI_STAGE_CHOOSE || slot->stage == RPI_STAGE_ANOTHER ? RPI_CHORE_SCORE : RPI_CHORE_SAMPLE;
}

// Moves on to the next row whose logits somebody wants.
static void skip_rows(rpi_pass *pass)
{
    while (pass->next_share < pass->share_count) {
        const rpi_share *share = &pass->shares[pass->next_share];
        const rpi_segment *segment = &share->slot->segments[share->segment];
        int32_t first = segment->logits_from - share->first;
        if (share->slot->turn != NULL && pass->next_row < first)
            pass->next_row = first;
        if (share->slot->turn != NULL && pass->next_row < share->rows)
            return;
        pass->next_share++;
        pass->next_row = 0;
    }
}

void rpi_pass_run_step(rp_world *world, rpi_pass *pass)
{
    skip_rows(pass);
    if (pass->next_share >= pass->share_count) {
        rt_result result = rt_pass_commit(pass->pass);
        if (result != RT_OK) {
            rpi_pass_drop(world, pass, result);
            return;
        }
        rpi_trace_add(world, RPI_TRACE_PASS, pass->begin_ns, rpi_world_now(world), (int32_t)(pass - world->scheduler->passes),
                      pass->row_count, pass->share_count);
        release_shares(world, pass, true);
        return;
    }
    const rpi_share *share = &pass->shares[pass->next_share];
    rpi_slot *slot = share->slot;
    int32_t row = pass->next_row++;
    rt_result result = rpi_serve_take_logits(world, slot, &slot->segments[share->segment], share->first + row, pass->pass,
                                            share->row_begin + row);
    if (result != RT_OK)
        rpi_turn_fail(world, slot, result);
    skip_rows(pass);
}
