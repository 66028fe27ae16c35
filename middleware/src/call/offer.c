// call/offer.c - what a character may do in one turn: asked from the game when the turn starts, compiled where it is new.
// SPDX-License-Identifier: MIT
#include "call/call.h"
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

enum { MOST_SCHEMA_BYTES = 1 << 20 };

static bool is_eligible(rp_world *world, rpi_slot *slot, const rpi_tool *tool)
{
    if (tool->def.eligible == NULL)
        return true;
    const char *speaker = slot->turn->speaker != NULL ? slot->turn->speaker : world->player_name;
    world->callback_depth++;
    bool eligible = tool->def.eligible(tool->def.user, world, rpi_character_id(slot->character), speaker);
    world->callback_depth--;
    return eligible;
}

// Adds the parameters as they are now to the slot's schemas.
static bool add_schema(rp_world *world, rpi_slot *slot, const rpi_tool *tool, rpi_offer *offer)
{
    const rt_host *host = &world->host;
    offer->schema_at = (uint32_t)slot->schemas.size;
    if (tool->def.live_parameters == NULL) {
        offer->schema_size = (uint32_t)strlen(tool->parameters);
        offer->grammar = rt_grammar_retain(tool->grammar);
        return rpi_buffer_add(host, &slot->schemas, tool->parameters, offer->schema_size);
    }
    rpi_buffer_clear(&slot->scratch);
    rp_writer writer = { .host = host, .buffer = &slot->scratch, .limit = MOST_SCHEMA_BYTES };
    world->callback_depth++;
    bool offered = tool->def.live_parameters(tool->def.user, world, rpi_character_id(slot->character), &writer);
    world->callback_depth--;
    if (!offered || writer.result != RT_OK || slot->character == NULL)
        return false;
    offer->schema_size = (uint32_t)slot->scratch.size;
    offer->grammar = rpi_grammar_cache_find(world, slot->scratch.data != NULL ? slot->scratch.data : "", slot->scratch.size);
    return rpi_buffer_add(host, &slot->schemas, slot->scratch.data, slot->scratch.size);
}

rt_result rpi_offers_collect(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_offers(slot);
    rpi_buffer_clear(&slot->schemas);
    slot->compiling = 0;
    const rpi_character *character = slot->character;
    rpi_turn *turn = slot->turn;
    if (turn->no_tools || world->def.max_call_rounds == 0)
        return RT_OK;
    uint64_t now = rpi_world_now(world);
    for (int32_t i = 0; i < character->tool_count; i++) {
        const rpi_tool *tool = rpi_tool_get(world, character->tools[i]);
        if (tool == NULL || character->tool_ready_ns[i] > now || !is_eligible(world, slot, tool))
            continue;
        if (slot->turn != turn || (tool = rpi_tool_get(world, character->tools[i])) == NULL)
            return RT_OK; // the callback has ended the turn, or the tool
        rpi_offer offer = { .tool = character->tools[i] };
        if (add_schema(world, slot, tool, &offer))
            slot->offers[slot->offer_count++] = offer;
        else
            rt_grammar_release(offer.grammar);
        if (slot->turn != turn)
            return RT_OK;
    }
    return RT_OK;
}

static void drop_offer(rpi_slot *slot, int32_t index)
{
    rt_grammar_release(slot->offers[index].grammar);
    slot->offer_count--;
    memmove(&slot->offers[index], &slot->offers[index + 1], (size_t)(slot->offer_count - index) * sizeof *slot->offers);
}

static rt_result begin_compilation(rp_world *world, rpi_slot *slot, const rpi_offer *offer)
{
    rt_grammar_def def = rt_default_grammar_def();
    def.host = world->host;
    def.kind = RT_GRAMMAR_JSON_SCHEMA;
    def.text = slot->schemas.data + offer->schema_at;
    def.text_size = offer->schema_size;
    def.plain_integers = true;
    return rt_grammar_compilation_begin(world->vocabulary, &def, &slot->compilation);
}

rt_result rpi_offers_compile(rp_world *world, rpi_slot *slot, uint32_t budget_us, bool *done)
{
    *done = false;
    while (slot->compiling < slot->offer_count && slot->offers[slot->compiling].grammar != NULL)
        slot->compiling++;
    if (slot->compiling >= slot->offer_count) {
        *done = true;
        return RT_OK;
    }
    rpi_offer *offer = &slot->offers[slot->compiling];
    bool compiled = false;
    rt_result result = slot->compilation == NULL ? begin_compilation(world, slot, offer) : RT_OK;
    if (result == RT_OK)
        result = rt_grammar_compilation_step(slot->compilation, budget_us, &compiled, &offer->grammar);
    if (result == RT_OK && !compiled)
        return RT_OK;
    rt_grammar_compilation_destroy(slot->compilation);
    slot->compilation = NULL;
    if (result == RT_OK) {
        rpi_grammar_cache_add(world, slot->schemas.data + offer->schema_at, offer->schema_size, offer->grammar);
    } else {
        // A live schema that does not compile is the script's mistake: the log has it, the turn goes on without the tool.
        const rpi_tool *tool = rpi_tool_get(world, offer->tool);
        rpi_log(&world->host, RT_LOG_WARNING, "tool \"%s\": its live parameters do not compile, it is not offered: %s",
                tool != NULL ? tool->name : "", rt_error_message());
        drop_offer(slot, slot->compiling);
    }
    return result == RT_ERROR_OUT_OF_MEMORY ? result : RT_OK;
}
