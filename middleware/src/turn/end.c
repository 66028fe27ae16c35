// turn/end.c - the ends that a turn can come to.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/record.h"
#include "turn/turn.h"

#include <string.h>

static void unlink_turn(rpi_turn *turn)
{
    rpi_character *character = turn->character;
    rpi_turn *before = NULL;
    for (rpi_turn *at = character->first_turn; at != NULL && at != turn; at = at->next)
        before = at;
    if (before != NULL)
        before->next = turn->next;
    else
        character->first_turn = turn->next;
    if (character->last_turn == turn)
        character->last_turn = before;
    turn->next = NULL;
}

// Writes the exchange into the conversation, with as much of the reply as was heard. What was neither heard nor done leaves
// no trace.
static bool remember(rp_world *world, rpi_turn *turn, size_t heard)
{
    rpi_slot *slot = turn->slot;
    if (slot == NULL)
        return true;
    size_t size = rpi_utf8_floor(slot->reply.data, slot->reply.size, heard);
    rpi_actions_settle(&slot->actions);
    if (size == 0 && slot->actions.size == 0)
        return true;
    rpi_exchange_text exchange = {
        .line = { turn->line, strlen(turn->line) },
        .actions = { slot->actions.data, slot->actions.size },
        .reply = { slot->reply.data, size },
    };
    if (!rpi_history_add(&world->host, &turn->character->history, &exchange))
        return false;
    turn->character->turn_number++;
    return true;
}

static void leave_slot(rp_world *world, rpi_turn *turn)
{
    rpi_slot *slot = turn->slot;
    if (slot == NULL)
        return;
    turn->slot = NULL;
    slot->turn = NULL;
    if (slot->passes > 0) {
        // Rows of a pass under way belong to its sequences: the scheduler lets go of them.
        slot->stage = RPI_STAGE_ZOMBIE;
        slot->call_generation = 0;
        slot->character = NULL;
    } else {
        rpi_slot_release(world, slot);
    }
}

static rp_event_kind event_kind(rp_world *world, rpi_end end)
{
    switch (end) {
    case RPI_END_DONE:
        world->stats.turns_done++;
        return RP_EVENT_TURN_DONE;
    case RPI_END_DROPPED:
        world->stats.turns_dropped++;
        return RP_EVENT_TURN_DROPPED;
    case RPI_END_FAILED:
        world->stats.turns_failed++;
        return RP_EVENT_TURN_FAILED;
    default:
        world->stats.turns_cancelled++;
        return RP_EVENT_TURN_CANCELLED;
    }
}

void rpi_turn_end(rp_world *world, rpi_turn *turn, rpi_end end, rt_result result, const char *message, size_t heard)
{
    if (!turn->is_warm) {
        uint64_t now = rpi_world_now(world);
        rpi_slot *slot = turn->slot;
        if ((end == RPI_END_DONE && !remember(world, turn, SIZE_MAX)) ||
            (end == RPI_END_INTERRUPTED && !remember(world, turn, heard))) {
            end = RPI_END_FAILED;
            result = RT_ERROR_OUT_OF_MEMORY;
            message = "the conversation does not fit in memory";
        }
        rp_event event = {
            .kind = event_kind(world, end),
            .character = rpi_character_id(turn->character),
            .turn = rpi_turn_id(turn),
            .result = end == RPI_END_FAILED ? result : RT_OK,
            .first_text_us = turn->first_text_ns > 0 ? (turn->first_text_ns - turn->said_ns) / 1000 : 0,
            .duration_us = (now - turn->said_ns) / 1000,
        };
        if (slot != NULL) {
            static const char *const names[] = { "done", "cancelled", "interrupted", "dropped", "failed" };
            rpi_record_end(world, slot, names[end], (rp_text){ slot->reply.data, slot->reply.size });
        }
        rp_text text = { message, message != NULL ? strlen(message) : 0 };
        if (slot != NULL) {
            event.prompt_tokens = (int32_t)slot->prompt.count;
            event.reused_tokens = slot->reused;
            event.reply_tokens = slot->reply_tokens;
            if (end == RPI_END_DONE)
                text = (rp_text){ slot->reply.data, slot->reply.size };
        }
        rpi_events_add(world, &event, text.data, text.size);
    }
    unlink_turn(turn);
    leave_slot(world, turn);
    turn->character = NULL;
    turn->ended = true;
    if (turn->is_warm)
        rpi_turn_recycle(world, turn);
}

bool rpi_turn_answer_authored(rp_world *world, rpi_turn *turn)
{
    rpi_character *character = turn->character;
    if (character->fallback_line_count == 0)
        return false;
    const char *line = character->fallback_lines[character->next_fallback_line++ % character->fallback_line_count];
    size_t size = strlen(line);
    const rp_event_kind kinds[] = { RP_EVENT_TURN_STARTED, RP_EVENT_TEXT, RP_EVENT_SENTENCE };
    for (size_t i = 0; i < RPI_COUNT(kinds); i++) {
        rp_event event = { .kind = kinds[i], .character = rpi_character_id(character), .turn = rpi_turn_id(turn) };
        if (kinds[i] == RP_EVENT_TURN_STARTED && turn->started)
            continue;
        bool has_text = kinds[i] != RP_EVENT_TURN_STARTED;
        if (!rpi_events_add(world, &event, has_text ? line : NULL, has_text ? size : 0))
            return false;
        turn->started = true;
    }
    rpi_exchange_text exchange = { .line = { turn->line, strlen(turn->line) }, .reply = { line, size } };
    if (rpi_history_add(&world->host, &character->history, &exchange))
        character->turn_number++;
    turn->first_text_ns = rpi_world_now(world);
    rpi_turn_end(world, turn, RPI_END_DONE, RT_OK, line, 0);
    return true;
}

bool rpi_turn_requeue(rp_world *world, rpi_slot *slot)
{
    if (slot->turn == NULL || slot->passes > 0 || slot->actions.size > 0 || slot->reply.size > 0 ||
        slot->stage == RPI_STAGE_WAIT)
        return false;
    uint64_t now = rpi_world_now(world);
    rpi_trace_add(world, RPI_TRACE_DISPLACED, now, now, 0, (int32_t)slot->character->index, (int32_t)slot->turn->index);
    rpi_slot_release(world, slot);
    return true;
}

void rpi_turn_fail(rp_world *world, rpi_slot *slot, rt_result result)
{
    char message[512];
    strncpy(message, rt_error_message(), sizeof message - 1);
    message[sizeof message - 1] = '\0';
    rpi_turn *turn = slot->turn;
    if (turn == NULL)
        return;
    if (result == RT_ERROR_DEVICE) {
        world->device_lost = true;
        // Nothing was said or done yet: the author's line is said instead.
        if (!turn->is_warm && turn->character->fallback_line_count > 0 && slot->reply.size == 0 && slot->actions.size == 0) {
            leave_slot(world, turn);
            if (rpi_turn_answer_authored(world, turn))
                return;
        }
    }
    rpi_turn_end(world, turn, RPI_END_FAILED, result, message, 0);
}
