// call/write.c - the calls of a reply, written under their mask, and made one after another.
//
// Bytes that the mask forces are not asked from the model: they are encoded and computed together with what follows.
// SPDX-License-Identifier: MIT
#include "prompt/builder.h"
#include "call/call.h"
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

enum { MOST_TOKENS = 256, MOST_BYTES_BETWEEN = 64, FORCED_BYTES = 512, SPARE_POSITIONS = 256 };

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a call: out of memory");
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

// ---------------------------------------------------------------------------------------------------------------------
// Tokens
// ---------------------------------------------------------------------------------------------------------------------

// Writes a string of the format: its special tokens as such.
static rt_result add_format(rp_world *world, rpi_slot *slot, const char *string)
{
    const char *end = string + strlen(string), *plain = string;
    rt_result result = RT_OK;
    for (const char *at = string; result == RT_OK && at < end;) {
        size_t length = 0;
        rt_token token = rpi_special_at(world->tokenizer, at, end, &length);
        if (token == RT_TOKEN_NONE) {
            at++;
            continue;
        }
        if (at > plain)
            result = rpi_emit_text(world, slot, plain, (size_t)(at - plain), true);
        if (result == RT_OK)
            result = rpi_emit_token(world, slot, token);
        plain = at += length;
    }
    return result == RT_OK && end > plain ? rpi_emit_text(world, slot, plain, (size_t)(end - plain), true) : result;
}

// What is written but not yet computed goes to the passes; the logits behind it are asked for.
static void compute(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    int32_t first = slot->argument_done, count = (int32_t)slot->argument_tokens.count - first;
    rpi_slot_add_segment(slot, slot->argument_sequence, slot->argument_tokens.ids + first, count, count - 1);
    slot->argument_done += count;
}

// ---------------------------------------------------------------------------------------------------------------------
// Under the mask
// ---------------------------------------------------------------------------------------------------------------------

static rt_result end_call(rp_world *world, rpi_slot *slot);

// Takes what the mask forces, encoded together with `lead`, which stands before it; then either the call is complete, or the
// model has a choice.
static rt_result take_forced(rp_world *world, rpi_slot *slot, const rpi_buffer *lead, bool continues)
{
    char bytes[FORCED_BYTES];
    size_t size = 0;
    rpi_buffer *text = &slot->scratch;
    rpi_buffer_clear(text);
    bool fits = lead == NULL || rpi_buffer_add(&world->host, text, lead->data, lead->size);
    do {
        rt_result result = rt_matcher_forced(slot->matcher, bytes, sizeof bytes, &size);
        if (result == RT_OK && size > 0)
            result = rt_matcher_commit_bytes(slot->matcher, bytes, size);
        if (result != RT_OK)
            return result;
        fits = fits && rpi_buffer_add(&world->host, text, bytes, size) &&
               rpi_buffer_add(&world->host, &slot->arguments, bytes, size);
    } while (fits && size > 0);
    if (!fits)
        return out_of_memory(world);
    rt_result result = text->size > 0 ? rpi_emit_text(world, slot, text->data, text->size, continues) : RT_OK;
    if (result != RT_OK)
        return result;
    if (rt_matcher_must_end(slot->matcher))
        return end_call(world, slot);
    slot->mask_ready = false;
    compute(world, slot);
    return RT_OK;
}

// Writes what leads to a call, then the call under its mask.
static rt_result open_call(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    rt_result result = native->keeps_token ? rpi_emit_token(world, slot, native->token) : RT_OK;
    bool after_token = native->keeps_token && native->token == world->call_style->syntax.trigger_token;
    native->between = false;
    if (result == RT_OK)
        result = rpi_emit_begin(world, slot, native->grammar);
    return result == RT_OK ? take_forced(world, slot, &native->lead, !after_token) : result;
}

rt_result rpi_write_begin(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    native->opened = false;
    rpi_speak_end(world, slot); // what was said before the call
    slot->stop = false;
    slot->stage = RPI_STAGE_WRITE;
    slot->argument_tokens.count = 0;
    slot->argument_done = 0;
    slot->argument_steps = 0;
    rpi_buffer_clear(&slot->arguments);
    native->written = 0;
    if (native->token == world->call_style->syntax.trigger_token) {
        rpi_buffer_clear(&native->lead);
        if (!rpi_buffer_add_text(&world->host, &native->lead, world->call_style->behind))
            return out_of_memory(world);
    }
    rt_result result = rt_sequence_fork(world->context, slot->main, &slot->argument_sequence);
    return result == RT_OK ? open_call(world, slot) : result;
}

// A call is complete. Whether another one follows is for the model to say where its format has them one by one.
static rt_result end_call(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    const rpi_call_syntax *syntax = &world->call_style->syntax;
    native->written++;
    if (syntax->is_list || syntax->whole_reply || native->written >= rpi_native_calls_left(world, slot))
        return rpi_write_end(world, slot);
    native->between = true;
    slot->mask_ready = true;
    rpi_buffer_clear(&native->tail);
    const char *after = syntax->after != NULL ? syntax->after : "";
    if (!rpi_buffer_add_text(&world->host, &slot->arguments, after))
        return out_of_memory(world);
    rt_result result = add_format(world, slot, after);
    if (result == RT_OK)
        compute(world, slot);
    return result;
}

// How the text since the last call goes on: 1 the marker is complete, 0 it may become that, -1 it will not.
static int find_marker(const rpi_call_style *style, const rpi_buffer *tail, size_t *end)
{
    size_t begin = 0;
    while (begin < tail->size && is_space(tail->data[begin]))
        begin++;
    if (begin == tail->size)
        return 0;
    if (style->syntax.trigger == NULL)
        return -1; // nothing but its token opens a call
    size_t size = RPI_MIN(tail->size - begin, style->marker_size);
    if (memcmp(tail->data + begin, style->marker, size) != 0)
        return -1;
    *end = begin + size;
    return size == style->marker_size;
}

static bool is_full(const rp_world *world, const rpi_slot *slot)
{
    return slot->argument_steps >= MOST_TOKENS ||
           slot->main_length + (int32_t)slot->argument_tokens.count + SPARE_POSITIONS >= world->context_size;
}

// Takes a token that was sampled between two calls.
static rt_result advance_between(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    const rpi_call_style *style = world->call_style;
    rt_token token = native->token = slot->argument_token;
    const char *bytes;
    size_t size, before = native->tail.size, end = 0;
    bool stops = is_full(world, slot) || native->tail.size > MOST_BYTES_BETWEEN ||
                 !rt_tokenizer_bytes(world->tokenizer, token, &bytes, &size);
    for (int32_t i = 0; i < world->stop_count; i++)
        stops = stops || world->stops[i] == token;
    if (stops)
        return rpi_write_end(world, slot);
    world->stats.decode_tokens++;
    int found = 1;
    if (token == style->syntax.trigger_token) {
        native->keeps_token = true;
        rpi_buffer_clear(&native->lead);
        if (!rpi_buffer_add_text(&world->host, &native->lead, style->behind))
            return out_of_memory(world);
    } else {
        if (!rpi_buffer_add(&world->host, &native->tail, bytes, size))
            return out_of_memory(world);
        found = find_marker(style, &native->tail, &end);
    }
    if (found < 0)
        return rpi_write_end(world, slot);
    if (found == 0) {
        rt_result result = rpi_emit_token(world, slot, token);
        if (result == RT_OK)
            compute(world, slot);
        return result;
    }
    rt_result result = RT_OK;
    if (token != style->syntax.trigger_token)
        result = rpi_native_open_behind(world, slot, &native->tail, before, end);
    if (result == RT_OK && !rpi_buffer_add(&world->host, &slot->arguments, style->marker, style->marker_size))
        result = out_of_memory(world);
    return result == RT_OK ? open_call(world, slot) : result;
}

// Takes a token of a call.
static rt_result advance_call(rp_world *world, rpi_slot *slot)
{
    rpi_emitted emitted;
    rt_result result = rpi_emit_commit(world, slot, &emitted);
    if (result != RT_OK)
        return result;
    if (emitted.ends)
        return end_call(world, slot);
    if (is_full(world, slot)) {
        world->stats.calls_failed++;
        return rpi_write_end(world, slot);
    }
    result = rpi_emit_token(world, slot, slot->argument_token);
    if (result == RT_OK && !rpi_buffer_add(&world->host, &slot->arguments, emitted.bytes, emitted.size))
        result = out_of_memory(world);
    if (result != RT_OK)
        return result;
    world->stats.decode_tokens++;
    return take_forced(world, slot, NULL, true);
}

rt_result rpi_write_mask(rpi_slot *slot, uint32_t budget_us)
{
    return rt_matcher_mask_step(slot->matcher, slot->mask, budget_us, &slot->mask_ready);
}

// What is called is not left to chance.
rt_result rpi_write_take(rpi_slot *slot, rt_pass *pass, int32_t row)
{
    rt_sampler_def greedy = rt_default_sampler_def();
    greedy.temperature = 0;
    greedy.repetition_penalty = 1;
    greedy.repetition_window = 0;
    rt_sample_request request = { .sampler = &greedy, .step = (uint64_t)slot->argument_steps,
                                  .mask = slot->native.between ? NULL : slot->mask };
    return rt_pass_sample(pass, row, &request, &slot->argument_token);
}

rt_result rpi_write_advance(rp_world *world, rpi_slot *slot)
{
    slot->argument_steps++;
    return slot->native.between ? advance_between(world, slot) : advance_call(world, slot);
}

// ---------------------------------------------------------------------------------------------------------------------
// Making the calls
// ---------------------------------------------------------------------------------------------------------------------

rt_result rpi_write_end(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    rpi_slot_clear_segments(world, slot);
    rpi_sequence_drop(world, &slot->argument_sequence);
    native->between = native->made = false;
    native->next = 0;
    native->group++;
    uint64_t seed = rpi_mix(rpi_mix(slot->character->seed, slot->character->turn_number), (uint64_t)slot->rounds + 1);
    // A last call that was cut off is none; those before it are.
    rp_text written = { slot->arguments.data != NULL ? slot->arguments.data : "", slot->arguments.size };
    rt_result result = rpi_calls_parse(world->format, written, true, seed, &native->calls);
    return result == RT_ERROR_OUT_OF_MEMORY ? result : rpi_write_next(world, slot);
}

static int32_t find_offer(const rp_world *world, const rpi_slot *slot, const rpi_text *name)
{
    for (int32_t i = 0; i < slot->offer_count; i++) {
        const rpi_tool *tool = rpi_tool_get(world, slot->offers[i].tool);
        if (tool != NULL && !slot->offers[i].used && strlen(tool->name) == name->size &&
            memcmp(tool->name, name->data, name->size) == 0)
            return i;
    }
    return -1;
}

rt_result rpi_write_next(rp_world *world, rpi_slot *slot)
{
    rpi_native *native = &slot->native;
    while (native->next < native->calls.count && rpi_native_calls_left(world, slot) > 0) {
        int32_t index = native->next++;
        native->name.size = 0;
        native->name.result = RT_OK;
        rpi_calls_name(&native->calls, index, &native->name);
        if (native->name.result != RT_OK)
            return native->name.result;
        slot->chosen = find_offer(world, slot, &native->name);
        if (slot->chosen < 0)
            continue; // used up by the call before it, or gone
        rp_text arguments = rpi_calls_arguments(&native->calls, index);
        rpi_buffer_clear(&slot->arguments);
        if (!rpi_buffer_add(&world->host, &slot->arguments, arguments.data, arguments.size))
            return out_of_memory(world);
        memcpy(slot->call_key, rpi_calls_id(&native->calls, index).data, RPI_CALL_ID_SIZE);
        native->made = true;
        slot->stage = RPI_STAGE_CALL;
        return RT_OK;
    }
    native->calls.count = 0;
    if (!native->made) {
        native->off = true;
        if (slot->reply.size > 0) { // what was said stands by itself
            rpi_turn_end(world, slot->turn, RPI_END_DONE, RT_OK, NULL, 0);
            return RT_OK;
        }
    }
    slot->stage = RPI_STAGE_COMPILE;
    return RT_OK;
}
