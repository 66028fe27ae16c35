// turn/turn.c - saying something to a character, and taking it back.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

#include <string.h>

// Puts a turn at the end of its character's queue. With its generation taken from the table, its id is new.
static rpi_turn *queue_turn(rp_world *world, rpi_character *character)
{
    // Room for the event that ends it is made now: later nothing may be in its way.
    if (world->turns_alive >= world->turn_capacity || !rpi_events_reserve(world, 1, 0))
        return NULL;
    rpi_turn *turn = rpi_turn_take_free(world);
    turn->character = character;
    turn->said_ns = rpi_world_now(world);
    if (character->last_turn != NULL)
        character->last_turn->next = turn;
    else
        character->first_turn = turn;
    character->last_turn = turn;
    return turn;
}

static rt_result check_say(const rp_world *world, const rp_say *say, size_t *size)
{
    const rt_host *host = &world->host;
    if (say->text == NULL)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_say: no text");
    *size = say->text_size > 0 ? say->text_size : strlen(say->text);
    // The longest tokens have a few dozen bytes, so this refuses only what can never fit; the exact check is made when
    // the prompt is put together.
    if (*size / 64 > (size_t)world->context_size)
        return rpi_fail(host, RT_ERROR_TOO_LARGE, "rp_character_say: a line of %zu bytes does not fit %d positions of context",
                        *size, world->context_size);
    if ((unsigned)say->priority > RP_PRIORITY_BACKGROUND)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_say: priority is %d: expected 0 to 3",
                        (int)say->priority);
    if (say->max_reply_tokens < 0 || say->max_reply_tokens > world->context_size)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_character_say: max_reply_tokens is %d: expected 0 to %d",
                        say->max_reply_tokens, world->context_size);
    return RT_OK;
}

static void cancel_warm_turns(rp_world *world, rpi_character *character)
{
    for (rpi_turn *turn = character->first_turn, *next; turn != NULL; turn = next) {
        next = turn->next;
        if (turn->is_warm)
            rpi_turn_end(world, turn, RPI_END_CANCELLED, RT_OK, NULL, 0);
    }
}

// The line as the model reads it: repaired, with the speaker's name in front where it is not the player's.
static bool copy_line(rp_world *world, rpi_turn *turn, const rp_say *say, size_t size)
{
    rpi_buffer line = { 0 };
    const rt_host *host = &world->host;
    bool copied = true;
    if (say->speaker != NULL) {
        copied = rpi_buffer_add_repaired(host, &line, say->speaker, strlen(say->speaker)) &&
                 (turn->speaker = rpi_copy_text(host, line.data, line.size)) != NULL &&
                 rpi_buffer_add(host, &line, ": ", 2);
    }
    copied = copied && rpi_buffer_add_repaired(host, &line, say->text, size) &&
             (turn->line = rpi_copy_text(host, line.data, line.size)) != NULL;
    rpi_buffer_free(host, &line);
    return copied;
}

static rt_result say_line(rp_world *world, rpi_character *character, const rp_say *say, rp_turn_id *id)
{
    size_t size = 0;
    rt_result result = check_say(world, say, &size);
    if (result != RT_OK)
        return result;
    cancel_warm_turns(world, character);
    int32_t reply_tokens = say->max_reply_tokens > 0 ? say->max_reply_tokens : character->max_reply_tokens;
    // What the exchange will add to the history is made room for now: frames allocate nothing.
    if (!rpi_history_reserve(&world->host, &character->history, size * 3 + (size_t)reply_tokens * 8 + 1024))
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_character_say: history: out of memory");
    if (world->turns_alive >= world->turn_capacity)
        return rpi_fail(&world->host, RT_ERROR_BUSY,
                        "rp_character_say: %d turns wait or have untaken events: take events, or raise max_queued_turns",
                        world->turns_alive);
    rpi_turn *turn = queue_turn(world, character);
    if (turn == NULL)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_character_say: events: out of memory");
    turn->priority = say->priority;
    turn->deadline_ns = say->deadline_us > 0 && say->deadline_us < UINT64_MAX / 2000 ? turn->said_ns + say->deadline_us * 1000 : 0;
    turn->max_reply_tokens = reply_tokens;
    turn->no_tools = say->no_tools;
    if (!copy_line(world, turn, say, size)) {
        turn->is_warm = true; // nobody has its id: it leaves without an event
        rpi_turn_end(world, turn, RPI_END_CANCELLED, RT_OK, NULL, 0);
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_character_say: the line: out of memory");
    }
    *id = rpi_turn_id(turn);
    return RT_OK;
}

rt_result rp_character_say(rp_world *world, rp_character_id id, const rp_say *say, rp_turn_id *turn)
{
    if (world == NULL || say == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_character_say: a null pointer");
    rp_turn_id ignored;
    if (turn == NULL)
        turn = &ignored;
    *turn = (rp_turn_id){ 0 };
    rpi_world_lock(world);
    rpi_character *character = rpi_character_get(world, id);
    rt_result result = rpi_world_check_idle(world, "rp_character_say");
    if (result == RT_OK && character == NULL)
        result = rpi_fail(&world->host, RT_ERROR_STALE_ID, "rp_character_say: no such character");
    if (result == RT_OK)
        result = say_line(world, character, say, turn);
    rpi_world_unlock(world);
    return result;
}

rt_result rp_character_warm(rp_world *world, rp_character_id id)
{
    rpi_character *character = rpi_character_get(world, id);
    if (character == NULL)
        return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_STALE_ID, "rp_character_warm: no such character");
    rt_result result = rpi_world_check_idle(world, "rp_character_warm");
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    // Whoever speaks or is about to is warm already.
    if (character->first_turn == NULL) {
        rpi_turn *turn = queue_turn(world, character);
        if (turn != NULL) {
            turn->is_warm = true;
            turn->priority = RP_PRIORITY_BACKGROUND;
        }
    }
    rpi_world_unlock(world);
    return RT_OK;
}

// The turn under way of an id, with the world locked; NULL, unlocked and raised where there is none.
static rpi_turn *lock_turn(rp_world *world, rp_turn_id id, const char *function, bool may_have_ended)
{
    if (world != NULL) {
        rpi_world_lock(world);
        rpi_turn *turn = rpi_turn_get(world, id);
        if (turn != NULL && (may_have_ended || !turn->ended))
            return turn;
        rpi_world_unlock(world);
    }
    rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_STALE_ID, "%s: the turn has ended", function);
    return NULL;
}

static rt_result end_early(rp_world *world, rp_turn_id id, const char *function, rpi_end end, size_t heard)
{
    rpi_turn *turn = lock_turn(world, id, function, false);
    if (turn == NULL)
        return RT_ERROR_STALE_ID;
    rpi_turn_end(world, turn, end, RT_OK, NULL, heard);
    rpi_world_unlock(world);
    return RT_OK;
}

rt_result rp_turn_cancel(rp_world *world, rp_turn_id id)
{
    return end_early(world, id, "rp_turn_cancel", RPI_END_CANCELLED, 0);
}

rt_result rp_turn_interrupt(rp_world *world, rp_turn_id id, size_t heard_bytes)
{
    return end_early(world, id, "rp_turn_interrupt", RPI_END_INTERRUPTED, heard_bytes);
}

rt_result rp_turn_get_state(const rp_world *world, rp_turn_id id, rp_turn_state *state)
{
    static const rp_turn_state states[] = {
        [RPI_STAGE_FREE] = RP_TURN_QUEUED,      [RPI_STAGE_OFFER] = RP_TURN_READING,
        [RPI_STAGE_COMPILE] = RP_TURN_READING,  [RPI_STAGE_COMPOSE] = RP_TURN_READING,
        [RPI_STAGE_ENCODE] = RP_TURN_READING,   [RPI_STAGE_PREPARE] = RP_TURN_READING,
        [RPI_STAGE_ATTACH] = RP_TURN_READING,   [RPI_STAGE_READ] = RP_TURN_READING,
        [RPI_STAGE_CHOOSE] = RP_TURN_DECIDING,  [RPI_STAGE_ARGUE] = RP_TURN_DECIDING,
        [RPI_STAGE_WRITE] = RP_TURN_DECIDING,   [RPI_STAGE_ANOTHER] = RP_TURN_DECIDING,
        [RPI_STAGE_CALL] = RP_TURN_CALLING,     [RPI_STAGE_WAIT] = RP_TURN_CALLING,
        [RPI_STAGE_SPEAK] = RP_TURN_SPEAKING,
        [RPI_STAGE_ZOMBIE] = RP_TURN_DONE,
    };
    if (state == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_turn_get_state: no place for the state");
    rpi_turn *turn = lock_turn((rp_world *)world, id, "rp_turn_get_state", true);
    if (turn == NULL)
        return RT_ERROR_STALE_ID;
    *state = turn->ended ? RP_TURN_DONE : turn->slot == NULL ? RP_TURN_QUEUED : states[turn->slot->stage];
    rpi_world_unlock(world);
    return RT_OK;
}

rt_result rp_turn_set_priority(rp_world *world, rp_turn_id id, rp_priority priority)
{
    if ((unsigned)priority > RP_PRIORITY_BACKGROUND)
        return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_INVALID_ARGUMENT,
                        "rp_turn_set_priority: priority is %d: expected 0 to 3", (int)priority);
    rpi_turn *turn = lock_turn(world, id, "rp_turn_set_priority", false);
    if (turn == NULL)
        return RT_ERROR_STALE_ID;
    turn->priority = priority;
    rpi_world_unlock(world);
    return RT_OK;
}

// Its turns go with it.
rt_result rp_character_destroy(rp_world *world, rp_character_id id)
{
    rpi_character *character = rpi_character_get(world, id);
    if (character == NULL)
        return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_STALE_ID, "rp_character_destroy: no such character");
    rpi_world_lock(world);
    while (character->first_turn != NULL)
        rpi_turn_end(world, character->first_turn, RPI_END_CANCELLED, RT_OK, NULL, 0);
    rpi_character_free(world, character);
    rpi_world_unlock(world);
    return RT_OK;
}
