// call/argue.c - the arguments of a call, parameter by parameter, written under the mask of their schema.
//
// Each parameter is asked for by its description, as one would ask a person (slot filling as questions: Du et al. 2021,
// arXiv:2109.03793); what the schema forces is not asked at all: it is encoded and computed together with what follows.
// How a value is weighed stands in call/weigh.c. One that need not be given, and that the conversation does not speak for,
// is left out. Schemas that say more about an object than which properties it has are written in one piece.
// SPDX-License-Identifier: MIT
#include "call/argue.h"

#include <string.h>

#include "call/call.h"
#include "core/core.h"
#include "prompt/text.h"
#include "tool/tool.h"

enum { MOST_ARGUMENT_TOKENS = 256, MOST_VALUE_TOKENS = 64, FORCED_BYTES = 512, MOST_DESCRIPTION_BYTES = 120, MOST_QUESTION_TOKENS = 192 };

// In nats: how much likelier the conversation has to have made a value that may be left out.
static const double OPTIONAL_MARGIN = 2.5;

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "arguments: out of memory");
}

static void drop_sequences(rp_world *world, rpi_slot *slot)
{
    rpi_sequence_drop(world, &slot->argument_sequence);
    rpi_sequence_drop(world, &slot->plain_sequence);
}

// The character gives up on the call and just speaks.
static rt_result give_up(rp_world *world, rpi_slot *slot)
{
    if (slot->rounds > 0)
        return rpi_another_end(world, slot);
    world->stats.calls_failed++;
    rpi_slot_clear_segments(world, slot);
    slot->offers[slot->chosen].used = true;
    drop_sequences(world, slot);
    return rpi_speak_begin(world, slot);
}

// What was written stays computed: another call may follow.
static rt_result finish(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    return rpi_another_weigh(world, slot);
}

// Bytes become part of the arguments, and are read by both sides.
static rt_result add_bytes(rp_world *world, rpi_slot *slot, const char *bytes, size_t size)
{
    rt_result result = rt_matcher_commit_bytes(slot->matcher, bytes, size);
    if (result == RT_OK && size > 0)
        result = rpi_emit_text(world, slot, bytes, size, true);
    if (result == RT_OK && !rpi_buffer_add(&world->host, &slot->arguments, bytes, size))
        result = out_of_memory(world);
    return result;
}

// What is written but not yet computed goes to the passes, on both sides; a mask is made for what comes behind it.
static rt_result ask(rp_world *world, rpi_slot *slot)
{
    slot->mask_ready = false;
    rpi_slot_clear_segments(world, slot);
    int32_t first = slot->argument_done, count = (int32_t)slot->argument_tokens.count - first;
    rpi_slot_add_segment(slot, slot->argument_sequence, slot->argument_tokens.ids + first, count, count - 1);
    slot->argument_done = (int32_t)slot->argument_tokens.count;
    if (!world->def.calibrate_choices)
        return RT_OK;
    // The conversation's side comes first, so that its logits are kept when the other's arrive.
    int32_t plain = RPI_MAX(first, slot->argument_prompt);
    count = (int32_t)slot->argument_tokens.count - plain;
    rpi_slot_add_segment(slot, slot->plain_sequence, slot->argument_tokens.ids + plain, count, count - 1)->candidate =
        RPI_SIDE_PLAIN;
    return RT_OK;
}

// How many of the bytes are taken: in parts, those of the value that is being written.
static size_t take_value(rpi_slot *slot, const char *bytes, size_t size)
{
    size_t taken = rpi_value_take(&slot->argument.value, bytes, size);
    return slot->argument.in_parts ? taken : size;
}

// From here on the whole object is one value.
static void write_in_one_piece(rpi_slot *slot)
{
    slot->argument.in_parts = false;
    slot->argument.contents = 0;
    slot->argument.value = (rpi_value){ 0 };
    rpi_value_take(&slot->argument.value, slot->arguments.data, slot->arguments.size);
}

// Takes what the schema forces, to the end of the value that is being written.
static rt_result take_forced(rp_world *world, rpi_slot *slot)
{
    rpi_argument *argument = &slot->argument;
    char bytes[FORCED_BYTES];
    size_t size = 0, taken = 0;
    do {
        rt_result result = rt_matcher_forced(slot->matcher, bytes, sizeof bytes, &size);
        taken = take_value(slot, bytes, size);
        if (result == RT_OK)
            result = add_bytes(world, slot, bytes, taken);
        if (result != RT_OK)
            return result;
    } while (taken > 0 && taken == size && !(argument->in_parts && argument->value.is_over));
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Parameters
// ---------------------------------------------------------------------------------------------------------------------

static rp_text schema_of(const rpi_slot *slot)
{
    const rpi_offer *offer = &slot->offers[slot->chosen];
    return (rp_text){ slot->schemas.data + offer->schema_at, offer->schema_size };
}

// "location (City and state): ", as the model reads it.
static rt_result write_question(rp_world *world, rpi_slot *slot, const rpi_parameter *parameter)
{
    rpi_text text = { .host = world->host };
    rpi_text_add(&text, "\n", 1);
    rpi_text_add(&text, parameter->key.data + 1, parameter->key.size - 2);
    size_t before = text.size + 2;
    bool has_room = (int32_t)slot->argument_tokens.count - slot->argument_prompt < MOST_QUESTION_TOKENS;
    if (parameter->description.size > 2 && has_room) {
        rpi_text_add_string(&text, " (");
        rpi_json_decode_string(&text, parameter->description);
        for (size_t i = before; i < text.size; i++)
            text.data[i] = text.data[i] == '\n' ? ' ' : text.data[i];
        if (text.result == RT_OK && text.size > before)
            text.size = rpi_utf8_floor(text.data, text.size, RPI_MIN(text.size, before + MOST_DESCRIPTION_BYTES));
        rpi_text_add_string(&text, ")");
    }
    rpi_text_add_string(&text, ": ");
    rt_result result = text.result == RT_OK ? rpi_emit_text(world, slot, text.data, text.size, true) : out_of_memory(world);
    rpi_text_free(&text);
    return result;
}

// Begins the part of one parameter; false in *begun where the schema has no place for it here.
static rt_result begin_part(rp_world *world, rpi_slot *slot, const rpi_parameter *parameter, bool *begun)
{
    rpi_argument *argument = &slot->argument;
    rpi_buffer *lead = &slot->scratch;
    rpi_buffer_clear(lead);
    if (!rpi_buffer_add_text(&world->host, lead, slot->arguments.size == 0 ? "{" : ", ") ||
        !rpi_buffer_add(&world->host, lead, parameter->key.data, parameter->key.size) ||
        !rpi_buffer_add_text(&world->host, lead, ": "))
        return out_of_memory(world);
    *begun = rt_matcher_commit_bytes(slot->matcher, lead->data, lead->size) == RT_OK;
    if (!*begun)
        return RT_OK;
    argument->value = (rpi_value){ 0 };
    argument->steps = 0;
    argument->gain = 0;
    argument->key = parameter->key;
    argument->part = slot->arguments.size;
    argument->tokens = (int32_t)slot->argument_tokens.count;
    if (!rpi_buffer_add(&world->host, &slot->arguments, lead->data, lead->size))
        return out_of_memory(world);
    argument->contents = slot->arguments.size;
    return write_question(world, slot, parameter);
}

// The object has all of its parameters; where more has to follow, it is written in one piece from here on.
static rt_result end_object(rp_world *world, rpi_slot *slot, bool *over)
{
    const char *end = slot->arguments.size == 0 ? "{}" : "}";
    if (rt_matcher_commit_bytes(slot->matcher, end, strlen(end)) != RT_OK) {
        write_in_one_piece(slot);
        return RT_OK;
    }
    *over = rt_matcher_may_end(slot->matcher);
    if (!rpi_buffer_add_text(&world->host, &slot->arguments, end))
        return out_of_memory(world);
    if (!*over)
        write_in_one_piece(slot);
    return RT_OK;
}

// A value that may be left out and that nothing speaks for is taken back.
static rt_result take_back(rp_world *world, rpi_slot *slot)
{
    const rpi_argument *argument = &slot->argument;
    slot->arguments.size = argument->part;
    rt_matcher_reset(slot->matcher);
    rt_result result = rt_matcher_commit_bytes(slot->matcher, slot->arguments.data, slot->arguments.size);
    slot->argument_tokens.count = (size_t)argument->tokens;
    if (result != RT_OK || slot->argument_done <= argument->tokens)
        return result;
    slot->argument_done = argument->tokens;
    result = rt_sequence_truncate(world->context, slot->argument_sequence, slot->main_length + argument->tokens);
    if (result == RT_OK)
        result = rt_sequence_truncate(world->context, slot->plain_sequence, argument->tokens - slot->argument_prompt);
    return result;
}

static bool is_supported(const rpi_slot *slot, const rpi_parameter *parameter)
{
    rp_text value = { slot->arguments.data + slot->argument.contents, slot->arguments.size - slot->argument.contents };
    if (parameter->is_required)
        return true;
    if (value.size == parameter->fallback.size && memcmp(value.data, parameter->fallback.data, value.size) == 0)
        return false; // it means the same
    return slot->argument.gain >= OPTIONAL_MARGIN;
}

static rt_result end_part(rp_world *world, rpi_slot *slot)
{
    rpi_parameter parameter;
    rt_result result = RT_OK;
    if (rpi_parameter_read(schema_of(slot), slot->argument.parameter, &parameter) && !is_supported(slot, &parameter))
        result = take_back(world, slot);
    slot->argument.parameter++;
    return result;
}

// Begins the next parameter that has a place here; the object is over where there is none.
static rt_result next_part(rp_world *world, rpi_slot *slot, bool *over)
{
    rpi_argument *argument = &slot->argument;
    rpi_parameter parameter;
    *over = false;
    for (; rpi_parameter_read(schema_of(slot), argument->parameter, &parameter); argument->parameter++) {
        bool begun = false;
        rt_result result = begin_part(world, slot, &parameter, &begun);
        if (result != RT_OK || begun)
            return result;
    }
    return end_object(world, slot, over);
}

// To where the model has a choice, or to the end.
static rt_result go_on(rp_world *world, rpi_slot *slot)
{
    rpi_argument *argument = &slot->argument;
    for (bool over = false;;) {
        rt_result result = take_forced(world, slot);
        if (result == RT_OK && !argument->in_parts)
            return rt_matcher_must_end(slot->matcher) ? finish(world, slot) : ask(world, slot);
        if (result == RT_OK && !argument->value.is_over)
            return ask(world, slot);
        if (result == RT_OK)
            result = end_part(world, slot);
        if (result == RT_OK)
            result = next_part(world, slot, &over);
        if (result != RT_OK || over)
            return result != RT_OK ? result : finish(world, slot);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The call
// ---------------------------------------------------------------------------------------------------------------------

// What the model reads before the arguments: the function as its author described it. Not its schema: small models take
// the first value of an enum that they see.
static bool write_stem(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    const rpi_offer *offer = &slot->offers[slot->chosen];
    const rpi_tool *tool = rpi_tool_get(world, offer->tool);
    const char *name = tool != NULL ? tool->name : "";
    rpi_buffer *text = &slot->scratch;
    rpi_buffer_clear(text);
    rpi_buffer_clear(&slot->call_name);
    bool fits = rpi_buffer_add_json(host, &slot->call_name, name, strlen(name)) &&
                rpi_buffer_add_text(host, text, slot->rounds > 0 ? "\nAction: " : "Action: ") &&
                rpi_buffer_add_text(host, text, name);
    if (fits && tool != NULL && tool->description != NULL && !slot->offers[slot->chosen].called)
        fits = rpi_buffer_add_text(host, text, ": ") && rpi_buffer_add_text(host, text, tool->description);
    return fits && (slot->argument.in_parts || rpi_buffer_add_text(host, text, "\nArguments: "));
}

// The rest of the prompt, then what is being done, in the character's own turn.
static rt_result write_lead(rp_world *world, rpi_slot *slot)
{
    rpi_tokens *tokens = &slot->argument_tokens;
    tokens->count = 0;
    slot->argument_done = 0;
    size_t rest = slot->prompt.count - (size_t)slot->main_length;
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &tokens->capacity, rest, sizeof *tokens->ids) &&
                write_stem(world, slot);
    tokens->ids = ids;
    if (!fits)
        return out_of_memory(world);
    memcpy(tokens->ids, slot->prompt.ids + slot->main_length, rest * sizeof *tokens->ids);
    tokens->count = rest;
    slot->argument_prompt = (int32_t)rest;
    return rpi_emit_text(world, slot, slot->scratch.data, slot->scratch.size, true);
}

// Behind the arguments of the call before it.
static rt_result write_next_lead(rp_world *world, rpi_slot *slot)
{
    if (!write_stem(world, slot))
        return out_of_memory(world);
    return rpi_emit_text(world, slot, slot->scratch.data, slot->scratch.size, true);
}

rt_result rpi_argue_begin(rp_world *world, rpi_slot *slot)
{
    bool is_first = slot->argument_sequence.index == 0;
    slot->stage = RPI_STAGE_ARGUE;
    slot->argument_steps = 0;
    slot->argument = (rpi_argument){ .in_parts = world->def.calibrate_choices && rpi_parameters_are_listed(schema_of(slot)) };
    rpi_buffer_clear(&slot->arguments);
    rt_result result = rpi_emit_begin(world, slot, slot->offers[slot->chosen].grammar);
    if (result == RT_OK && is_first)
        result = rt_sequence_fork(world->context, slot->main, &slot->argument_sequence);
    if (result == RT_OK && is_first)
        result = rt_sequence_create(world->context, &slot->plain_sequence);
    if (result == RT_OK)
        result = is_first ? write_lead(world, slot) : write_next_lead(world, slot);
    bool over = false;
    if (result == RT_OK && slot->argument.in_parts)
        result = next_part(world, slot, &over);
    if (result != RT_OK || over)
        return result != RT_OK ? result : finish(world, slot);
    return go_on(world, slot);
}

static bool allows_text(const rp_world *world, rpi_slot *slot, const char *text)
{
    rt_token token;
    size_t count = 0;
    return rt_tokenizer_encode(world->tokenizer, text, 1, true, &token, 1, &count) == RT_OK && count == 1 &&
           rt_matcher_allows(slot->matcher, token);
}

// In the schema a number ends with what follows it; for the model, which reads one parameter a line, with the line.
static void allow_end_of_line(const rp_world *world, rpi_slot *slot)
{
    rt_token line_end;
    size_t count = 0;
    if (!allows_text(world, slot, ",") && !allows_text(world, slot, "}"))
        return;
    if (rt_tokenizer_encode(world->tokenizer, "\n", 1, true, &line_end, 1, &count) == RT_OK && count == 1)
        slot->mask[line_end / 32] |= 1u << (line_end % 32);
    for (int32_t i = 0; i < world->stop_count; i++)
        slot->mask[world->stops[i] / 32] |= 1u << (world->stops[i] % 32);
}

rt_result rpi_argue_mask(rp_world *world, rpi_slot *slot, uint32_t budget_us)
{
    rt_result result = rt_matcher_mask_step(slot->matcher, slot->mask, budget_us, &slot->mask_ready);
    const rpi_value *value = &slot->argument.value;
    if (result == RT_OK && slot->mask_ready && slot->argument.in_parts && value->depth == 0 &&
        value->literal == RPI_LITERAL_NUMBER)
        allow_end_of_line(world, slot);
    return result;
}

// A value that finds no end gets one.
static rt_result close_value(rp_world *world, rpi_slot *slot)
{
    static const char *const ends[] = { "\"", "]", "}" };
    rpi_value *value = &slot->argument.value;
    for (int32_t most = value->depth + 2; most > 0 && !value->is_over; most--) {
        if (value->literal == RPI_LITERAL_NUMBER && value->depth == 0)
            value->is_over = true; // what comes next is not part of it
        for (size_t i = 0; i < RPI_COUNT(ends) && !value->is_over; i++) {
            rpi_value after = *value;
            if (rpi_value_take(&after, ends[i], 1) == 1 && add_bytes(world, slot, ends[i], 1) == RT_OK) {
                *value = after;
                break;
            }
        }
    }
    return value->is_over ? go_on(world, slot) : give_up(world, slot);
}

// Takes the token that was sampled: called when its pass is committed.
rt_result rpi_argue_advance(rp_world *world, rpi_slot *slot)
{
    rpi_argument *argument = &slot->argument;
    rt_token token = slot->argument_token;
    const char *bytes;
    size_t size;
    if (rpi_is_stop(world, token)) {
        argument->value.is_over = true;
        return argument->in_parts ? go_on(world, slot) : finish(world, slot);
    }
    bool is_full = slot->main_length + (int32_t)slot->argument_tokens.count + FORCED_BYTES / 2 >= world->context_size;
    if (++slot->argument_steps >= MOST_ARGUMENT_TOKENS || is_full)
        return give_up(world, slot);
    if (!rt_tokenizer_bytes(world->tokenizer, token, &bytes, &size))
        return RT_ERROR_INTERNAL;
    world->stats.decode_tokens++;
    size_t taken = take_value(slot, bytes, size);
    if (taken < size) { // the rest of it is not this value's
        rt_result result = add_bytes(world, slot, bytes, taken);
        return result == RT_OK ? go_on(world, slot) : result;
    }
    rt_result result = rt_matcher_commit(slot->matcher, token);
    if (result == RT_OK)
        result = rpi_emit_token(world, slot, token);
    if (result == RT_OK && !rpi_buffer_add(&world->host, &slot->arguments, bytes, size))
        result = out_of_memory(world);
    if (result == RT_OK && argument->in_parts && ++argument->steps >= MOST_VALUE_TOKENS && !argument->value.is_over)
        return close_value(world, slot);
    return result == RT_OK ? go_on(world, slot) : result;
}
