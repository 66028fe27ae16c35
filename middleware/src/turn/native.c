// turn/native.c - calls that a model writes into its reply itself: what can be called, and where a reply begins to do so.
//
// Where a token both ends the marker and begins what follows ("_call>\n{"), it is given back before it is computed: the
// marker's rest is written in its place, and the call begins under its mask. So no token can carry anything past the mask.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "tool/tool.h"
#include "turn/turn.h"

#include <string.h>

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a call: out of memory");
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

// ---------------------------------------------------------------------------------------------------------------------
// The style of the world's model
// ---------------------------------------------------------------------------------------------------------------------

// Tokens that would open a call are not among those of a reply that can have none.
static void forbid_openings(rp_world *world)
{
    rpi_call_style *style = world->call_style;
    rt_token special = style->marker_size > 0 ? rt_tokenizer_special(world->tokenizer, style->marker) : RT_TOKEN_NONE;
    for (int32_t id = 0; id < world->info.vocab_size; id++) {
        const char *bytes = NULL;
        size_t size = 0;
        bool opens = id == style->syntax.trigger_token || id == special;
        if (style->syntax.whole_reply && rt_tokenizer_bytes(world->tokenizer, id, &bytes, &size)) {
            while (size > 0 && is_space(*bytes)) {
                bytes++;
                size--;
            }
            opens = opens || (size > 0 && *bytes == '{');
        }
        if (!opens)
            style->without_calls[id / 32] |= 1u << id % 32;
    }
}

rt_result rpi_call_style_create(rp_world *world)
{
    rpi_call_style *style = world->call_style;
    const rp_format *format = world->format;
    if (format->calls == RP_CALLS_CHOOSE)
        return RT_OK;
    rt_result result = rpi_call_syntax_of(format, world->tokenizer, &style->syntax);
    if (result != RT_OK)
        return result;
    const char *opening = style->syntax.whole_reply             ? ""
                          : format->calls == RP_CALLS_MISTRAL ? "[TOOL_CALLS]"
                                                              : format->call_prefix;
    size_t size = strlen(opening);
    while (size > 0 && is_space(opening[size - 1]))
        size--;
    char *marker = rpi_copy_text(&world->host, opening, size);
    style->mask_words = ((size_t)world->info.vocab_size + 31) / 32;
    style->without_calls = rpi_allocate_zeroed(&world->host, style->mask_words * sizeof *style->without_calls);
    style->marker = marker;
    style->marker_size = size;
    style->behind = opening + size;
    if (marker == NULL || style->without_calls == NULL)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: out of memory");
    forbid_openings(world);
    style->is_on = true;
    return RT_OK;
}

void rpi_call_style_free(rp_world *world)
{
    rpi_call_style *style = world->call_style;
    rpi_release_text(&world->host, (char *)style->marker);
    rpi_release(&world->host, style->without_calls, style->mask_words * sizeof *style->without_calls);
    *style = (rpi_call_style){ 0 };
}

void rpi_native_create(rp_world *world, rpi_slot *slot)
{
    slot->native.schema.host = slot->native.name.host = slot->native.calls.json.host = world->host;
}

void rpi_native_reset(rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    rt_grammar_release(native->grammar);
    native->grammar = NULL;
    native->off = native->opened = native->between = native->made = false;
    native->calls.count = native->written = native->next = 0;
    native->group = 0;
    native->reply_begin = 0;
}

void rpi_native_free(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    rpi_native_reset(slot);
    rpi_buffer_free(&world->host, &native->lead);
    rpi_buffer_free(&world->host, &native->tail);
    rpi_text_free(&native->schema);
    rpi_text_free(&native->name);
    rpi_calls_free(&native->calls);
}

// ---------------------------------------------------------------------------------------------------------------------
// What may be called
// ---------------------------------------------------------------------------------------------------------------------

bool rpi_native_write_tools(rp_world *world, rpi_slot *slot, bool usable, rpi_buffer *text)
{
    const rt_host *host = &world->host;
    rpi_buffer_clear(text);
    bool fits = rpi_buffer_add_text(host, text, "[");
    for (int32_t i = 0; fits && i < slot->offer_count; i++) {
        const rpi_offer *offer = &slot->offers[i];
        const rpi_tool *tool = rpi_tool_get(world, offer->tool);
        if (tool == NULL || (usable && offer->used))
            continue;
        const char *description = tool->description != NULL ? tool->description : "";
        fits = rpi_buffer_add_text(host, text, text->size > 1 ? ", " : "") &&
               rpi_buffer_add_text(host, text, "{\"type\": \"function\", \"function\": {\"name\": ") &&
               rpi_buffer_add_json(host, text, tool->name, strlen(tool->name)) &&
               rpi_buffer_add_text(host, text, ", \"description\": ") &&
               rpi_buffer_add_json(host, text, description, strlen(description)) &&
               rpi_buffer_add_text(host, text, ", \"parameters\": ") &&
               rpi_buffer_add(host, text, slot->schemas.data + offer->schema_at, offer->schema_size) &&
               rpi_buffer_add_text(host, text, "}}");
    }
    return fits && rpi_buffer_add_text(host, text, "]");
}

int32_t rpi_native_calls_left(const rp_world *world, const rpi_slot *slot)
{
    return RPI_MIN(world->def.max_call_rounds - slot->rounds, RPI_MAX_CALLS);
}

static bool can_call(const rp_world *world, const rpi_slot *slot)
{
    bool any = false;
    for (int32_t i = 0; i < slot->offer_count; i++)
        any = any || (!slot->offers[i].used && rpi_tool_get(world, slot->offers[i].tool) != NULL);
    return any && !slot->native.off && rpi_native_calls_left(world, slot) > 0;
}

static rt_result begin_compilation(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    if (!rpi_native_write_tools(world, slot, true, &slot->scratch))
        return out_of_memory(world);
    native->schema.size = 0;
    native->schema.result = RT_OK;
    rt_result result = rpi_call_schema(world->format, slot->scratch.data, rpi_native_calls_left(world, slot), &native->schema);
    if (result != RT_OK)
        return result;
    native->grammar = rpi_grammar_cache_find(world, native->schema.data, native->schema.size);
    if (native->grammar != NULL)
        return RT_OK;
    rt_grammar_def def = rt_default_grammar_def();
    def.host = world->host;
    def.kind = RT_GRAMMAR_JSON_SCHEMA;
    def.text = native->schema.data;
    def.text_size = native->schema.size;
    def.plain_integers = true;
    return rt_grammar_compilation_begin(world->vocabulary, &def, &slot->compilation);
}

rt_result rpi_native_compile(rp_world *world, rpi_slot *slot, uint32_t budget_us, bool *done)
{
    rpi_native *native = &slot->native;
    *done = true;
    if (!world->call_style->is_on)
        return RT_OK;
    rt_result result = RT_OK;
    if (slot->compilation == NULL) {
        rt_grammar_release(native->grammar);
        native->grammar = NULL;
        if (!can_call(world, slot))
            return RT_OK;
        result = begin_compilation(world, slot);
        if (result == RT_OK && native->grammar != NULL)
            return RT_OK;
    }
    bool compiled = false;
    if (result == RT_OK)
        result = rt_grammar_compilation_step(slot->compilation, budget_us, &compiled, &native->grammar);
    *done = compiled || result != RT_OK;
    if (!*done)
        return RT_OK;
    rt_grammar_compilation_destroy(slot->compilation);
    slot->compilation = NULL;
    if (result == RT_OK)
        rpi_grammar_cache_add(world, native->schema.data, native->schema.size, native->grammar);
    else if (result != RT_ERROR_OUT_OF_MEMORY)
        rpi_log(&world->host, RT_LOG_WARNING, "%s: its tools do not compile together, none is offered: %s",
                slot->character->name, rt_error_message());
    return result == RT_ERROR_OUT_OF_MEMORY ? result : RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// In free text
// ---------------------------------------------------------------------------------------------------------------------

static bool is_at_start(const rpi_slot *slot)
{
    return slot->reply.size == slot->native.reply_begin && slot->held.size == 0;
}

const uint32_t *rpi_native_mask(const rp_world *world, const rpi_slot *slot)
{
    const rpi_call_style *style = world->call_style;
    bool forbids = style->is_on && slot->native.grammar == NULL && (!style->syntax.whole_reply || is_at_start(slot));
    return forbids ? style->without_calls : NULL;
}

bool rpi_native_takes_token(const rp_world *world, rpi_slot *slot, rt_token token)
{
    rpi_native *native = &slot->native;
    if (!world->call_style->is_on)
        return false;
    native->token = token;
    if (native->grammar == NULL || token != world->call_style->syntax.trigger_token)
        return false;
    native->opened = native->keeps_token = true;
    return true;
}

// The marker ends at `end` in `text`, whose bytes from `before` on are the last token's. Keeps that token where it holds
// nothing but what the format has there; else writes what it should have been.
rt_result rpi_native_open_behind(rp_world *world, rpi_slot *slot, const rpi_buffer *text, size_t before, size_t end)
{
    rpi_native *native = &slot->native;
    const char *behind = world->call_style->behind;
    size_t excess = text->size - end, room = strlen(behind);
    native->keeps_token = excess <= room && memcmp(text->data + end, behind, excess) == 0;
    rpi_buffer_clear(&native->lead);
    bool fits = native->keeps_token ? rpi_buffer_add_text(&world->host, &native->lead, behind + excess)
                                    : rpi_buffer_add(&world->host, &native->lead, text->data + before, end - before) &&
                                          rpi_buffer_add_text(&world->host, &native->lead, behind);
    return fits ? RT_OK : out_of_memory(world);
}

rt_result rpi_native_take_text(rp_world *world, rpi_slot *slot, size_t before)
{
    const rpi_call_style *style = world->call_style;
    rpi_native *native = &slot->native;
    if (!style->is_on)
        return RT_OK;
    if (style->syntax.whole_reply) {
        size_t at = slot->held.size > 0 && slot->held.data[0] == ' '; // parts it from what was said before a call
        bool opens = before == 0 && slot->reply.size == native->reply_begin && slot->held.size > at && slot->held.data[at] == '{';
        if (!opens || native->grammar == NULL)
            return RT_OK;
        native->opened = true;
        native->keeps_token = false;
        rpi_buffer_clear(&native->lead);
        rpi_buffer_clear(&slot->held);
        return RT_OK;
    }
    if (style->syntax.trigger == NULL)
        return RT_OK;
    char *found = memmem(slot->held.data, slot->held.size, style->marker, style->marker_size);
    if (found == NULL)
        return RT_OK;
    size_t begin = (size_t)(found - slot->held.data);
    rt_result result = RT_OK;
    if (native->grammar != NULL) {
        result = rpi_native_open_behind(world, slot, &slot->held, before, begin + style->marker_size);
        native->opened = true;
    } else {
        slot->stop = true; // nothing can be called: nobody is to read what would have been
    }
    slot->held.size = begin;
    return result;
}

size_t rpi_native_showable(const rp_world *world, const rpi_slot *slot)
{
    const rpi_call_style *style = world->call_style;
    size_t size = slot->held.size;
    if (!style->is_on || style->syntax.trigger == NULL)
        return size;
    for (size_t part = RPI_MIN(style->marker_size - 1, size); part > 0; part--)
        if (memcmp(slot->held.data + size - part, style->marker, part) == 0)
            return size - part;
    return size;
}
