// turn/slot.c - what a slot holds: its segments, its sequences, its buffers.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

#include <string.h>

enum { FIRST_TEXT_BYTES = 4096, FIRST_TOKENS = 512, FIRST_MESSAGES = 64, PROMPT_BYTES_A_TOKEN = 6, MOST_PROMPT_BYTES = 1 << 17 };

static bool reserve_tokens(const rt_host *host, rpi_tokens *tokens, size_t count)
{
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(host, &ids, &tokens->capacity, count, sizeof *tokens->ids);
    tokens->ids = ids;
    return fits;
}

static void free_tokens(const rt_host *host, rpi_tokens *tokens)
{
    rpi_release(host, tokens->ids, tokens->capacity * sizeof *tokens->ids);
    *tokens = (rpi_tokens){ 0 };
}

// Buffers are made as large as a common turn needs, so that the first frames allocate as little as the later ones.
rt_result rpi_slot_create(rp_world *world, rpi_slot *slot, int32_t number)
{
    const rt_host *host = &world->host;
    slot->number = number;
    slot->prompt.host = world->host;
    rpi_native_create(world, slot);
    slot->mask_words = ((size_t)world->info.vocab_size + 31) / 32;
    slot->mask = rpi_allocate_zeroed(host, slot->mask_words * sizeof *slot->mask);
    size_t prompt_bytes = RPI_MIN((size_t)world->context_size * PROMPT_BYTES_A_TOKEN, (size_t)MOST_PROMPT_BYTES);
    void *messages = NULL;
    bool fits = slot->mask != NULL && rp_prompt_reserve(&slot->prompt, prompt_bytes) == RT_OK &&
                rpi_array_reserve(host, &messages, &slot->message_capacity, FIRST_MESSAGES, sizeof *slot->messages) &&
                reserve_tokens(host, &slot->candidates, FIRST_TOKENS) &&
                reserve_tokens(host, &slot->tokens, FIRST_TOKENS) &&
                reserve_tokens(host, &slot->argument_tokens, FIRST_TOKENS);
    slot->messages = messages;
    rpi_buffer *buffers[] = { &slot->text,    &slot->schemas, &slot->arguments, &slot->actions,
                              &slot->answer,  &slot->reply,   &slot->held,      &slot->scratch,
                              &slot->notes,   &slot->call_name, &slot->calls_made,
                              &slot->choice_rows };
    for (size_t i = 0; fits && i < RPI_COUNT(buffers); i++)
        fits = rpi_buffer_reserve(host, buffers[i], buffers[i] == &slot->notes ? prompt_bytes : FIRST_TEXT_BYTES);
    return fits ? RT_OK : rpi_fail(host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: slot %d: out of memory", number);
}

void rpi_slot_destroy(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    rpi_slot_release(world, slot);
    rpi_buffer_free(host, &slot->record);
    rt_matcher_destroy(slot->matcher);
    rpi_native_free(world, slot);
    rp_prompt_free(&slot->prompt);
    rpi_release(host, slot->mask, slot->mask_words * sizeof *slot->mask);
    rpi_release(host, slot->messages, slot->message_capacity * sizeof *slot->messages);
    free_tokens(host, &slot->candidates);
    free_tokens(host, &slot->tokens);
    free_tokens(host, &slot->argument_tokens);
    rpi_buffer *buffers[] = { &slot->text,    &slot->schemas, &slot->arguments, &slot->actions,
                              &slot->answer,  &slot->reply,   &slot->held,      &slot->scratch,
                              &slot->notes,   &slot->call_name, &slot->calls_made,
                              &slot->choice_rows };
    for (size_t i = 0; i < RPI_COUNT(buffers); i++)
        rpi_buffer_free(host, buffers[i]);
}

void rpi_sequence_drop(rp_world *world, rt_sequence *sequence)
{
    if (sequence->index != 0)
        rt_sequence_destroy(world->context, *sequence);
    *sequence = (rt_sequence){ 0 };
}

rpi_segment *rpi_slot_add_segment(rpi_slot *slot, rt_sequence sequence, const rt_token *tokens, int32_t count,
                                  int32_t logits_from)
{
    if (slot->segment_count >= RPI_MAX_SEGMENTS)
        return NULL;
    rpi_segment *segment = &slot->segments[slot->segment_count++];
    *segment = (rpi_segment){ .sequence = sequence, .tokens = tokens, .count = count, .logits_from = logits_from };
    return segment;
}

// Only while no pass has rows of the slot.
void rpi_slot_clear_segments(rp_world *world, rpi_slot *slot)
{
    for (int32_t i = 0; i < slot->segment_count; i++)
        if (slot->segments[i].owned)
            rpi_sequence_drop(world, &slot->segments[i].sequence);
    slot->segment_count = slot->segments_done = 0;
}

int32_t rpi_slot_remaining(const rpi_slot *slot)
{
    int32_t rows = 0;
    for (int32_t i = 0; i < slot->segment_count; i++)
        rows += slot->segments[i].count - slot->segments[i].done;
    return rows;
}

void rpi_slot_clear_offers(rpi_slot *slot)
{
    rt_grammar_compilation_destroy(slot->compilation);
    slot->compilation = NULL;
    for (int32_t i = 0; i < slot->offer_count; i++)
        rt_grammar_release(slot->offers[i].grammar);
    slot->offer_count = 0;
}

void rpi_slot_release(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    rpi_sequence_drop(world, &slot->choice.sequence);
    rpi_sequence_drop(world, &slot->argument_sequence);
    rpi_sequence_drop(world, &slot->plain_sequence);
    rpi_sequence_drop(world, &slot->main);
    rpi_slot_clear_offers(slot);
    rpi_native_reset(slot);
    if (slot->turn != NULL)
        slot->turn->slot = NULL;
    slot->turn = NULL;
    slot->character = NULL;
    slot->stage = RPI_STAGE_FREE;
    slot->blocks = 0;
    slot->call_generation = 0;
    slot->waits_for = NULL;
    slot->main_length = 0;
}
