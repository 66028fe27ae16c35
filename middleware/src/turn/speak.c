// turn/speak.c - a reply, token by token: text that is safe to show, sentences, the end.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

#include <string.h>

// From this share of its tokens on a reply ends with the sentence it is in: better a short answer than half a one.
enum { LATE_NUMERATOR = 3, LATE_DENOMINATOR = 4, LONGEST_PIECE = 4096 };

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a reply: out of memory");
}

static rt_result say_event(rp_world *world, rpi_slot *slot, rp_event_kind kind, const char *text, size_t size)
{
    rp_event event = { .kind = kind, .character = rpi_character_id(slot->character), .turn = rpi_turn_id(slot->turn) };
    return rpi_events_add(world, &event, text, size) ? RT_OK : out_of_memory(world);
}

rt_result rpi_speak_begin(rp_world *world, rpi_slot *slot)
{
    slot->stage = RPI_STAGE_SPEAK;
    slot->stream = (rt_text_stream){ 0 };
    rpi_buffer_clear(&slot->held);
    slot->native.reply_begin = slot->reply.size; // what was said before a call stays said
    if (slot->reply.size == 0) {
        slot->tokens.count = 0;
        slot->sentence_begin = 0;
        slot->reply_tokens = 0;
    }
    slot->stop = false;
    slot->sampler = slot->character->sampler;
    slot->sampler.seed = rpi_mix(slot->character->seed, slot->character->turn_number);
    slot->max_reply_tokens = RPI_MAX(slot->turn->max_reply_tokens, slot->reply_tokens + slot->turn->max_reply_tokens / 2);
    int32_t last = (int32_t)slot->prompt.count - 1;
    rpi_slot_clear_segments(world, slot);
    rpi_draft_begin(slot, slot->prompt.ids[last]);
    return RT_OK;
}

// Sentences that are complete now. Returns whether the text ends with one.
static rt_result add_sentences(rp_world *world, rpi_slot *slot, bool final)
{
    const char *text = slot->reply.data;
    size_t end;
    while (slot->sentence_begin < slot->reply.size &&
           (end = rpi_sentence_end(text, slot->sentence_begin, slot->reply.size, final)) > 0) {
        size_t begin = slot->sentence_begin;
        while (begin < end && is_space(text[begin]))
            begin++;
        slot->sentence_begin = end;
        if (begin == end)
            continue;
        rt_result result = say_event(world, slot, RP_EVENT_SENTENCE, text + begin, end - begin);
        if (result != RT_OK)
            return result;
    }
    return RT_OK;
}

// Whether the reply so far could end here: its last visible character ends a sentence.
static bool ends_a_sentence(const rpi_slot *slot)
{
    return slot->reply.size > 0 && slot->held.size == 0 &&
           rpi_sentence_end(slot->reply.data, slot->sentence_begin, slot->reply.size, true) == slot->reply.size &&
           rpi_sentence_end(slot->reply.data, slot->sentence_begin, slot->reply.size, false) == 0 &&
           strchr(".!?\"')*", slot->reply.data[slot->reply.size - 1]) != NULL;
}

// Gives out the first `size` bytes of what is held.
static rt_result give(rp_world *world, rpi_slot *slot, size_t size)
{
    if (size == 0)
        return RT_OK;
    if (!rpi_buffer_add(&world->host, &slot->reply, slot->held.data, size))
        return out_of_memory(world);
    rt_result result = say_event(world, slot, RP_EVENT_TEXT, slot->held.data, size);
    if (slot->turn->first_text_ns == 0) {
        slot->turn->first_text_ns = rpi_world_now(world);
        rpi_histogram_add(&world->stats.first_text, (double)(slot->turn->first_text_ns - slot->turn->said_ns) / 1000.0);
    }
    memmove(slot->held.data, slot->held.data + size, slot->held.size - size);
    slot->held.size -= size;
    return result;
}

// The end of what can be shown of the held text: not the beginning of a stop text, not white space that may be the last.
static size_t showable(const rp_world *world, rpi_slot *slot)
{
    size_t size = slot->held.size;
    for (size_t i = 0; i < RPI_COUNT(world->format->stop_text); i++) {
        const char *stop = world->format->stop_text[i];
        size_t stop_size = stop != NULL ? strlen(stop) : 0;
        if (stop_size == 0)
            continue;
        char *found = memmem(slot->held.data, slot->held.size, stop, stop_size);
        if (found != NULL) {
            slot->held.size = (size_t)(found - slot->held.data);
            slot->stop = true;
            size = RPI_MIN(size, slot->held.size);
            continue;
        }
        for (size_t part = RPI_MIN(stop_size - 1, slot->held.size); part > 0; part--) {
            if (memcmp(slot->held.data + slot->held.size - part, stop, part) == 0) {
                size = RPI_MIN(size, slot->held.size - part);
                break;
            }
        }
    }
    size = RPI_MIN(size, rpi_native_showable(world, slot));
    while (size > 0 && is_space(slot->held.data[size - 1]))
        size--;
    return rpi_utf8_floor(slot->held.data, slot->held.size, size);
}

static rt_result add_text(rp_world *world, rpi_slot *slot, const char *text, size_t size)
{
    size_t before = slot->held.size;
    if (slot->reply.size == slot->native.reply_begin && before == 0) {
        while (size > 0 && is_space(*text)) {
            text++;
            size--;
        }
        if (size > 0 && slot->reply.size > 0 && !rpi_buffer_add(&world->host, &slot->held, " ", 1))
            return out_of_memory(world);
    }
    if (size == 0)
        return RT_OK;
    // Without control characters: a model may well write a zero byte.
    if (!rpi_buffer_add_repaired(&world->host, &slot->held, text, size))
        return out_of_memory(world);
    rt_result result = rpi_native_take_text(world, slot, before);
    if (result == RT_OK && !slot->native.opened)
        result = give(world, slot, showable(world, slot));
    return result == RT_OK ? add_sentences(world, slot, false) : result;
}

rt_result rpi_speak_take(rp_world *world, rpi_slot *slot, rt_token token)
{
    if (rpi_is_stop(world, token)) {
        slot->stop = true;
        return RT_OK;
    }
    if (rpi_native_takes_token(world, slot, token))
        return RT_OK;
    void *ids = slot->tokens.ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &slot->tokens.capacity, slot->tokens.count + 1, sizeof(rt_token));
    slot->tokens.ids = ids;
    if (!fits)
        return out_of_memory(world);
    slot->tokens.ids[slot->tokens.count++] = token;
    slot->reply_tokens++;
    world->stats.decode_tokens++;

    char text[LONGEST_PIECE];
    size_t size = 0;
    rt_result result = rt_text_stream_push(&slot->stream, world->tokenizer, token, text, sizeof text, &size);
    if (result == RT_OK && size > 0)
        result = add_text(world, slot, text, size);
    if (result != RT_OK)
        return result;
    if (slot->native.opened)
        return RT_OK;
    if (slot->reply_tokens >= slot->max_reply_tokens ||
        (slot->reply_tokens * LATE_DENOMINATOR >= slot->max_reply_tokens * LATE_NUMERATOR && ends_a_sentence(slot)))
        slot->stop = true;
    return RT_OK;
}

void rpi_speak_end(rp_world *world, rpi_slot *slot)
{
    char rest[16];
    size_t size = rt_text_stream_flush(&slot->stream, rest);
    if (size > 0)
        rpi_buffer_add(&world->host, &slot->held, rest, size);
    size_t visible = slot->held.size;
    while (visible > 0 && is_space(slot->held.data[visible - 1]))
        visible--;
    if (give(world, slot, visible) == RT_OK)
        add_sentences(world, slot, true);
}
