// serve/serve.c - the stages of a turn, one short step at a time.
// SPDX-License-Identifier: MIT
#include "call/call.h"
#include "core/core.h"
#include "serve/serve.h"
#include "tool/tool.h"
#include "turn/record.h"

#include <string.h>

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

// What the system text will have, for the prediction of what composing takes.
static size_t system_bytes(const rp_world *world, const rpi_character *character)
{
    size_t bytes = text_size(world->lore) + text_size(character->persona) + text_size(character->knowledge) +
                   text_size(character->state);
    for (int32_t i = 0; i < character->tool_count; i++) {
        const rpi_tool *tool = rpi_tool_get(world, character->tools[i]);
        if (tool != NULL)
            bytes += text_size(tool->name) + text_size(tool->description) + text_size(tool->parameters);
    }
    return bytes;
}

void rpi_serve_start(rp_world *world, rpi_turn *turn, rpi_slot *slot)
{
    slot->turn = turn;
    slot->character = turn->character;
    turn->slot = slot;
    slot->stage = RPI_STAGE_OFFER;
    slot->served_ns = rpi_world_now(world);
    slot->rounds = 0;
    slot->recorded = false;
    slot->reused = 0;
    slot->reply_tokens = 0;
    slot->system_bytes = system_bytes(world, turn->character);
    slot->prompt.count = 0;
    rpi_native_reset(slot);
    rpi_buffer_clear(&slot->actions);
    rpi_buffer_clear(&slot->calls_made);
    slot->another = (rpi_another){ .first = 0 };
    rpi_buffer_clear(&slot->reply);
    rpi_buffer_clear(&slot->held);
    if (turn->started || turn->is_warm)
        return;
    turn->started = true;
    rp_event event = { .kind = RP_EVENT_TURN_STARTED, .character = rpi_character_id(turn->character), .turn = rpi_turn_id(turn) };
    if (!rpi_events_add(world, &event, NULL, 0))
        rpi_turn_fail(world, slot, rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a turn: events: out of memory"));
}

static bool waits_for_prefix(const rpi_slot *slot)
{
    const rpi_slot *other = slot->waits_for;
    return other != NULL && other->turn != NULL && other->turn->generation == slot->waits_turn &&
           other->stage == RPI_STAGE_READ && other->main_length < slot->waits_length;
}

// About what the candidates of a choice have: the line with each.
static double prepare_bytes(const rpi_slot *slot)
{
    size_t candidates = (size_t)(slot->offer_count + slot->character->emotion_count);
    return (double)(candidates * (text_size(slot->turn->line) + 64));
}

static uint32_t blocks_for(int32_t positions)
{
    return ((uint32_t)positions + RT_KV_BLOCK_TOKENS - 1) / RT_KV_BLOCK_TOKENS;
}

// Blocks that serving the slot to its end may take: prompt and reply, a choice, the arguments.
static uint32_t blocks_needed(const rpi_slot *slot)
{
    uint32_t blocks = blocks_for((int32_t)slot->prompt.count + slot->turn->max_reply_tokens) + 1;
    if (slot->choice.count > 0)
        blocks += 8;
    if (slot->offer_count > 0)
        blocks += 28;
    return blocks;
}

// Whether the cache has room for this turn beside the others. One that is alone always tries.
static bool has_room(const rp_world *world, const rpi_slot *slot)
{
    if (slot->blocks > 0)
        return true;
    rt_cache_stats cache;
    rt_context_cache_stats(world->context, &cache);
    uint32_t taken = 0;
    for (int32_t i = 0; i < world->slot_count; i++)
        taken += world->slots[i].blocks;
    return taken == 0 || taken + blocks_needed(slot) <= cache.blocks;
}

rpi_chore rpi_serve_chore(const rp_world *world, const rpi_slot *slot, double *amount)
{
    *amount = 1;
    switch (slot->stage) {
    case RPI_STAGE_OFFER:
        return RPI_CHORE_OFFER;
    case RPI_STAGE_COMPILE:
        return RPI_CHORE_COMPILE;
    case RPI_STAGE_COMPOSE:
        *amount = rpi_slot_compose_bytes(world, slot) / 1024;
        return RPI_CHORE_COMPOSE;
    case RPI_STAGE_ENCODE:
        *amount = rpi_slot_encode_bytes(slot) / 1024;
        return RPI_CHORE_ENCODE;
    case RPI_STAGE_PREPARE:
        *amount = prepare_bytes(slot) / 1024;
        return RPI_CHORE_PREPARE;
    case RPI_STAGE_ATTACH:
        return waits_for_prefix(slot) || !has_room(world, slot) ? RPI_CHORE_NONE : RPI_CHORE_ATTACH;
    case RPI_STAGE_READ:
    case RPI_STAGE_CHOOSE:
    case RPI_STAGE_ANOTHER:
    case RPI_STAGE_SPEAK:
        return slot->segments_done == slot->segment_count ? RPI_CHORE_STEP : RPI_CHORE_NONE;
    case RPI_STAGE_ARGUE:
    case RPI_STAGE_WRITE:
        if (slot->segments_done == slot->segment_count)
            return RPI_CHORE_STEP;
        return slot->mask_ready ? RPI_CHORE_NONE : RPI_CHORE_MASK;
    case RPI_STAGE_CALL:
        return RPI_CHORE_CALL;
    case RPI_STAGE_WAIT:
        return slot->answered ? RPI_CHORE_STEP : RPI_CHORE_NONE;
    default:
        return RPI_CHORE_NONE;
    }
}

bool rpi_serve_chore_is_callback(const rpi_slot *slot)
{
    return slot->stage == RPI_STAGE_OFFER || slot->stage == RPI_STAGE_CALL || slot->stage == RPI_STAGE_WAIT;
}

static int32_t common_prefix(const rpi_slot *a, const rpi_slot *b)
{
    int32_t most = (int32_t)RPI_MIN(a->prompt.count, b->prompt.count), length = 0;
    while (length < most && a->prompt.ids[length] == b->prompt.ids[length])
        length++;
    return length / RT_KV_BLOCK_TOKENS * RT_KV_BLOCK_TOKENS;
}

// Another slot that is computing, right now, a beginning that this prompt shares beyond what the cache has: what it does is
// not done twice.
static rpi_slot *find_leader(rp_world *world, rpi_slot *slot, int32_t have)
{
    for (int32_t i = 0; i < world->slot_count; i++) {
        rpi_slot *other = &world->slots[i];
        if (other == slot || other->stage != RPI_STAGE_READ || other->turn == NULL)
            continue;
        int32_t common = common_prefix(slot, other);
        if (common > have && other->main_length < common && other->main_length >= have) {
            slot->waits_length = common;
            return other;
        }
    }
    return NULL;
}

static rt_result attach(rp_world *world, rpi_slot *slot)
{
    rpi_sequence_drop(world, &slot->main);
    rt_result result = rt_sequence_create(world->context, &slot->main);
    int32_t reused = 0, last = (int32_t)slot->prompt.count - 1;
    if (result == RT_OK)
        result = rt_sequence_reuse_prefix(world->context, slot->main, slot->prompt.ids, last + 1, &reused);
    if (result != RT_OK)
        return result;
    rpi_slot *leader = find_leader(world, slot, reused);
    slot->waits_for = leader;
    if (leader != NULL) {
        slot->waits_turn = leader->turn->generation;
        rpi_sequence_drop(world, &slot->main);
        return RT_OK;
    }
    slot->blocks = RPI_MAX(slot->blocks, blocks_needed(slot));
    slot->main_length = reused;
    if (slot->rounds == 0)
        slot->reused = reused;
    world->stats.reused_tokens += (uint64_t)reused;
    slot->stage = RPI_STAGE_READ;
    rpi_slot_clear_segments(world, slot);
    if (reused < last)
        rpi_slot_add_segment(slot, slot->main, slot->prompt.ids + reused, last - reused, last - reused);
    return rpi_choose_read(world, slot);
}

static rt_result leave_read(rp_world *world, rpi_slot *slot)
{
    if (slot->turn->is_warm) {
        rpi_turn_end(world, slot->turn, RPI_END_DONE, RT_OK, NULL, 0);
        return RT_OK;
    }
    return slot->choice.count > 0 ? rpi_choose_begin(world, slot) : rpi_speak_begin(world, slot);
}

static rt_result step_speak(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    if (slot->native.opened) {
        slot->main_length++;
        return rpi_write_begin(world, slot);
    }
    if (slot->stop) {
        world->stats.choices_none += slot->native.grammar != NULL && slot->rounds == 0;
        rpi_speak_end(world, slot);
        rpi_turn_end(world, slot->turn, RPI_END_DONE, RT_OK, NULL, 0);
        return RT_OK;
    }
    slot->main_length += slot->draft_valid;
    if (slot->draft_valid < slot->draft_count) {
        rt_result result = rt_sequence_truncate(world->context, slot->main, slot->main_length);
        if (result != RT_OK)
            return result;
    }
    rpi_draft_next(world, slot);
    return RT_OK;
}

static rt_result take_answer(rp_world *world, rpi_slot *slot)
{
    // The answer's buffer will hold what the model is told: read from a copy.
    rpi_buffer_clear(&slot->scratch);
    if (!rpi_buffer_add(&world->host, &slot->scratch, slot->answer.data, slot->answer.size))
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "an answer: out of memory");
    rpi_call_finish(world, slot, slot->answer_status, slot->scratch.data, slot->scratch.size);
    return RT_OK;
}

static rt_result step(rp_world *world, rpi_slot *slot)
{
    switch (slot->stage) {
    case RPI_STAGE_READ:
        return leave_read(world, slot);
    case RPI_STAGE_CHOOSE:
        return rpi_choose_advance(world, slot);
    case RPI_STAGE_ANOTHER:
        return slot->segment_count > 0 ? rpi_another_advance(world, slot) : rpi_another_begin(world, slot);
    case RPI_STAGE_ARGUE:
        return rpi_argue_advance(world, slot);
    case RPI_STAGE_WRITE:
        return rpi_write_advance(world, slot);
    case RPI_STAGE_WAIT:
        return take_answer(world, slot);
    default:
        return step_speak(world, slot);
    }
}

// Writes the stage that a chore has led out of into the trace.
static void trace_stage(rp_world *world, rpi_slot *slot, int32_t character, int32_t turn)
{
    if (world->trace.entries == NULL || slot->stage == slot->traced_stage)
        return;
    uint64_t now = rpi_world_now(world);
    if (slot->traced_stage != RPI_STAGE_FREE)
        rpi_trace_add(world, RPI_TRACE_STAGE, slot->stage_ns, now, (int32_t)slot->traced_stage, character, turn);
    slot->traced_stage = slot->stage;
    slot->stage_ns = now;
}

static void run_chore(rp_world *world, rpi_slot *slot, uint32_t budget_us)
{
    rt_result result = RT_OK;
    bool done = false;
    switch (slot->stage) {
    case RPI_STAGE_OFFER:
        slot->stage = RPI_STAGE_COMPILE; // first: a callback may end the turn
        result = rpi_offers_collect(world, slot);
        break;
    case RPI_STAGE_COMPILE:
        result = rpi_offers_compile(world, slot, budget_us, &done);
        if (result == RT_OK && done)
            result = rpi_native_compile(world, slot, budget_us, &done);
        if (done)
            slot->stage = RPI_STAGE_COMPOSE;
        break;
    case RPI_STAGE_COMPOSE:
        rpi_record_prompt(world, slot);
        result = rpi_slot_compose(world, slot);
        slot->stage = RPI_STAGE_ENCODE;
        break;
    case RPI_STAGE_ENCODE:
        result = rpi_slot_encode(world, slot, &done);
        if (done)
            slot->stage = RPI_STAGE_PREPARE;
        break;
    case RPI_STAGE_PREPARE:
        result = rpi_choose_prepare(world, slot);
        slot->stage = RPI_STAGE_ATTACH;
        break;
    case RPI_STAGE_ATTACH:
        result = attach(world, slot);
        break;
    case RPI_STAGE_CALL:
        rpi_call_run(world, slot);
        break;
    case RPI_STAGE_ARGUE:
        if (slot->segments_done < slot->segment_count) {
            result = rpi_argue_mask(world, slot, budget_us);
            break;
        }
        result = step(world, slot);
        break;
    case RPI_STAGE_WRITE:
        result = slot->segments_done < slot->segment_count ? rpi_write_mask(slot, budget_us) : step(world, slot);
        break;
    default:
        result = step(world, slot);
        break;
    }
    if (result != RT_OK)
        rpi_turn_fail(world, slot, result);
}

void rpi_serve_run_chore(rp_world *world, rpi_slot *slot, uint32_t budget_us)
{
    int32_t character = (int32_t)slot->character->index, turn = (int32_t)slot->turn->index;
    run_chore(world, slot, budget_us);
    trace_stage(world, slot, character, turn);
}

rt_result rpi_serve_take_logits(rp_world *world, rpi_slot *slot, rpi_segment *segment, int32_t index, rt_pass *pass,
                                int32_t row)
{
    if (slot->stage == RPI_STAGE_WRITE)
        return rpi_write_take(slot, pass, row);
    if (slot->stage == RPI_STAGE_CHOOSE)
        return rpi_choose_take(world, slot, segment, index, pass, row);
    if (slot->stage == RPI_STAGE_ANOTHER)
        return rpi_another_take(world, slot, segment, index, pass, row);
    if (slot->stage == RPI_STAGE_ARGUE)
        return rpi_argue_take(world, slot, segment, pass, row);
    if (slot->stop || slot->draft_missed)
        return RT_OK;
    rt_sample_request request = {
        .sampler = &slot->sampler,
        .step = (uint64_t)slot->tokens.count,
        .history = slot->tokens.ids,
        .history_count = (int32_t)slot->tokens.count,
        .mask = rpi_native_mask(world, slot),
    };
    rt_token token;
    rt_result result = rt_pass_sample(pass, row, &request, &token);
    if (result != RT_OK)
        return result;
    rpi_draft_check(slot, index, token);
    return rpi_speak_take(world, slot, token);
}
