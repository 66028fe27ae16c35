// call/call.c - a call runs: the game's function, its answer now or later, what the model is told.
// SPDX-License-Identifier: MIT
#include "call/call.h"
#include "core/core.h"
#include "tool/tool.h"
#include "turn/record.h"

#include <string.h>

enum { MOST_ANSWER_BYTES = 1 << 16 };

// Nine letters and digits, as Mistral's formats want them; the same in a replay.
static void write_call_id(const rpi_slot *slot, char id[RPI_CALL_ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint64_t bits = rpi_mix(rpi_mix(slot->character->seed, slot->character->turn_number), (uint64_t)slot->rounds + 1);
    for (int i = 0; i < RPI_CALL_ID_SIZE; i++) {
        id[i] = digits[bits % 62];
        bits /= 62;
    }
}

static bool add_call_action(rp_world *world, rpi_slot *slot, const char *name)
{
    const rt_host *host = &world->host;
    if (!world->call_style->is_on) // else it came with the call
        write_call_id(slot, slot->call_key);
    rpi_buffer *text = &slot->scratch;
    rpi_buffer_clear(text);
    bool fits = rpi_buffer_add_text(host, text, "[{\"name\": ") && rpi_buffer_add_json(host, text, name, strlen(name)) &&
                rpi_buffer_add_text(host, text, ", \"arguments\": ") &&
                rpi_buffer_add(host, text, slot->arguments.data, slot->arguments.size) &&
                rpi_buffer_print(host, text, ", \"id\": \"%.*s\"}]", RPI_CALL_ID_SIZE, slot->call_key);
    return fits && rpi_action_add(host, &slot->actions,
                                  &(rpi_action){ .group = slot->native.group, .said = (uint32_t)slot->reply.size,
                                                 .content = { text->data, text->size } });
}

static void fail_turn(rp_world *world, rpi_slot *slot, const char *what)
{
    rpi_turn_fail(world, slot, rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "%s: out of memory", what));
}

static void start_cooldown(rp_world *world, rpi_slot *slot, const rpi_tool *tool)
{
    rpi_character *character = slot->character;
    for (int32_t i = 0; i < character->tool_count; i++)
        if (RP_ID_EQUAL(character->tools[i], rpi_tool_id(tool)))
            character->tool_ready_ns[i] = rpi_world_now(world) + tool->def.cooldown_us * 1000;
}

void rpi_call_run(rp_world *world, rpi_slot *slot)
{
    const rpi_tool *tool = rpi_tool_get(world, slot->offers[slot->chosen].tool);
    if (tool == NULL || !add_call_action(world, slot, tool->name)) {
        if (tool != NULL || (world->call_style->is_on && rpi_write_next(world, slot) != RT_OK)) {
            fail_turn(world, slot, "a call");
        } else if (!world->call_style->is_on) { // the tool went away meanwhile: the character just speaks
            slot->rounds++;
            rpi_another_end(world, slot);
        }
        return;
    }
    world->stats.calls_made++;
    slot->call_generation = ++world->call_counter == 0 ? ++world->call_counter : world->call_counter;
    slot->call = (rp_call_id){ (uint32_t)slot->number + 1, slot->call_generation };
    slot->call_deadline_ns = rpi_world_now(world) + RPI_MIN(tool->def.timeout_us, UINT64_MAX / 4000) * 1000;
    slot->answered = false;
    slot->stage = RPI_STAGE_WAIT;
    start_cooldown(world, slot, tool);
    rp_event event = { .kind = RP_EVENT_CALL, .character = rpi_character_id(slot->character), .turn = rpi_turn_id(slot->turn),
                       .tool = rpi_tool_id(tool), .call = slot->call };
    if (!rpi_events_add(world, &event, slot->arguments.data, slot->arguments.size)) {
        fail_turn(world, slot, "a call");
        return;
    }
    char name[RPI_MAX_NAME + 1];
    strcpy(name, tool->name);
    rp_call call = {
        .id = slot->call, .tool = rpi_tool_id(tool), .name = name, .character = event.character, .turn = event.turn,
        .speaker = slot->turn->speaker != NULL ? slot->turn->speaker : world->player_name,
        .arguments = { slot->arguments.data, slot->arguments.size },
    };
    // The callback may end this very turn, or destroy the tool: nothing of them is touched behind it without asking again.
    rpi_buffer *answer = &slot->scratch;
    rpi_buffer_clear(answer);
    rp_writer writer = { .host = &world->host, .buffer = answer, .limit = MOST_ANSWER_BYTES };
    uint32_t generation = slot->call_generation;
    world->callback_depth++;
    rp_call_status status = tool->def.call(tool->def.user, world, &call, &writer);
    world->callback_depth--;
    if (slot->call_generation != generation || slot->stage != RPI_STAGE_WAIT || slot->answered)
        return;
    if (writer.result != RT_OK)
        status = RP_CALL_FAILED;
    if (status != RP_CALL_LATER)
        rpi_call_finish(world, slot, status, answer->data != NULL ? answer->data : "", answer->size);
}

static bool fits_result_schema(rp_world *world, rt_grammar *grammar, const char *answer, size_t size)
{
    rt_matcher *matcher = NULL;
    bool fits = rt_matcher_create(grammar, &world->host, &matcher) == RT_OK &&
                rt_matcher_commit_bytes(matcher, answer, size) == RT_OK && rt_matcher_may_end(matcher);
    rt_matcher_destroy(matcher);
    return fits;
}

// What the model reads about a call.
static bool write_outcome(rp_world *world, rpi_slot *slot, rp_call_status status, const char *answer, size_t size)
{
    const rt_host *host = &world->host;
    rpi_buffer *text = &slot->answer;
    rpi_buffer_clear(text);
    const char *lead = status == RP_CALL_VETOED ? "Not allowed" : status == RP_CALL_FAILED ? "It failed" : "";
    bool fits = rpi_buffer_add_text(host, text, lead);
    if (fits && lead[0] != '\0' && size > 0)
        fits = rpi_buffer_add_text(host, text, ": ");
    if (fits && size == 0 && lead[0] == '\0')
        fits = rpi_buffer_add_text(host, text, "done");
    return fits && rpi_buffer_add_repaired(host, text, answer, size);
}

void rpi_call_finish(rp_world *world, rpi_slot *slot, rp_call_status status, const char *answer, size_t size)
{
    rpi_offer *offer = &slot->offers[slot->chosen];
    const rpi_tool *tool = rpi_tool_get(world, offer->tool);
    if (status == RP_CALL_ANSWERED && tool != NULL && tool->result_grammar != NULL &&
        !fits_result_schema(world, tool->result_grammar, answer, size)) {
        rpi_log(&world->host, RT_LOG_WARNING, "tool \"%s\": its answer does not fit its result schema", tool->name);
        status = RP_CALL_FAILED;
        answer = "";
        size = 0;
    }
    world->stats.calls_vetoed += status == RP_CALL_VETOED;
    world->stats.calls_failed += status == RP_CALL_FAILED;
    slot->call_generation = 0;
    slot->answered = false;
    slot->rounds++;
    offer->used = tool == NULL || tool->def.once_per_turn || tool->def.cooldown_us > 0;
    rp_event event = { .kind = RP_EVENT_CALL_RESULT, .character = rpi_character_id(slot->character),
                       .turn = rpi_turn_id(slot->turn), .tool = offer->tool, .call = slot->call, .call_status = status };
    const char *name = tool != NULL ? tool->name : "";
    rpi_record_answer(world, slot, name, status, (rp_text){ answer, size });
    bool fits = rpi_events_add(world, &event, answer, size) && write_outcome(world, slot, status, answer, size) &&
                rpi_action_add(&world->host, &slot->actions,
                               &(rpi_action){ .is_result = true, .content = { slot->answer.data, slot->answer.size },
                                              .name = { name, strlen(name) },
                                              .call_id = { slot->call_key, RPI_CALL_ID_SIZE } });
    slot->stage = rpi_another_may_follow(world, slot) ? RPI_STAGE_ANOTHER : RPI_STAGE_COMPOSE;
    if (!fits || (world->call_style->is_on && rpi_write_next(world, slot) != RT_OK))
        fail_turn(world, slot, "the answer of a call");
}

rt_result rp_call_answer(rp_world *world, rp_call_id id, rp_call_status status, const char *answer)
{
    if (world == NULL || status == RP_CALL_LATER || (unsigned)status > RP_CALL_FAILED)
        return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rp_call_answer: no world, or the status LATER");
    rpi_world_lock(world);
    rt_result result = RT_OK;
    rpi_slot *slot = id.index >= 1 && id.index <= (uint32_t)world->slot_count ? &world->slots[id.index - 1] : NULL;
    if (slot == NULL || slot->stage != RPI_STAGE_WAIT || slot->call_generation != id.generation || slot->answered)
        result = rpi_fail(&world->host, RT_ERROR_STALE_ID, "rp_call_answer: the call was answered, timed out, or its turn has ended");
    size_t size = answer != NULL ? strlen(answer) : 0;
    if (result == RT_OK && size > MOST_ANSWER_BYTES)
        result = rpi_fail(&world->host, RT_ERROR_TOO_LARGE, "rp_call_answer: more than %d bytes", MOST_ANSWER_BYTES);
    if (result == RT_OK) {
        rpi_buffer_clear(&slot->answer);
        if (rpi_buffer_add(&world->host, &slot->answer, answer, size)) {
            slot->answered = true; // taken at the next update, where its events belong
            slot->answer_status = status;
        } else {
            result = rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_call_answer: out of memory");
        }
    }
    rpi_world_unlock(world);
    return result;
}

rt_result rp_tool_destroy(rp_world *world, rp_tool_id id)
{
    rpi_tool *tool = rpi_tool_get(world, id);
    if (tool == NULL)
        return rpi_fail(world != NULL ? &world->host : NULL, RT_ERROR_STALE_ID, "rp_tool_destroy: no such tool");
    rpi_world_lock(world);
    rpi_tool_free(world, tool);
    // Calls that wait for an answer will not get one.
    for (int32_t i = 0; i < world->slot_count; i++) {
        rpi_slot *slot = &world->slots[i];
        if (slot->stage == RPI_STAGE_WAIT && !slot->answered && RP_ID_EQUAL(slot->offers[slot->chosen].tool, id)) {
            slot->answered = true;
            slot->answer_status = RP_CALL_FAILED;
            rpi_buffer_clear(&slot->answer);
        }
    }
    rpi_world_unlock(world);
    return RT_OK;
}

// Calls that the game did not answer in time have failed.
void rpi_calls_expire(rp_world *world, uint64_t now_ns)
{
    for (int32_t i = 0; i < world->slot_count; i++) {
        rpi_slot *slot = &world->slots[i];
        if (slot->stage == RPI_STAGE_WAIT && now_ns >= slot->call_deadline_ns) {
            static const char message[] = "it took too long";
            rpi_call_finish(world, slot, RP_CALL_FAILED, message, sizeof message - 1);
        }
    }
}
