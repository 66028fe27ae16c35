// tool/argue.c - the arguments of a call, written under the mask of their schema.
//
// Bytes that the schema forces are not asked from the model: they are encoded and computed together with what follows.
//
// Where the schema leaves a few tokens to choose from (a value of an enum, a digit), what counts is how much more likely
// the conversation has made a token than it is behind the call alone: otherwise a small model pours ale whatever the guest
// orders (domain-conditional pointwise mutual information, Holtzman et al. 2021, arXiv:2104.08315; contrastive decoding
// with a plausibility threshold, Li et al. 2022, arXiv:2210.15097). Free text is written as the model writes it.
// SPDX-License-Identifier: MIT
#include "world/world.h"

#include <math.h>
#include <string.h>

enum { MOST_ARGUMENT_TOKENS = 256, FORCED_BYTES = 512, FEW_TOKENS = 256 };

// Tokens less likely than this share of the likeliest are not considered, however much the conversation speaks for them.
static const double PLAUSIBLE = 0.02;

enum { SIDE_TALK = 0, SIDE_PLAIN = 1 }; // of a segment: behind the conversation, behind the call alone

static void drop_sequences(rp_world *world, rpi_slot *slot)
{
    rpi_sequence_drop(world, &slot->argument_sequence);
    rpi_sequence_drop(world, &slot->plain_sequence);
}

// The character gives up on the call and just speaks.
static rt_result give_up(rp_world *world, rpi_slot *slot)
{
    world->stats.calls_failed++;
    rpi_slot_clear_segments(world, slot);
    drop_sequences(world, slot);
    slot->offers[slot->chosen].used = true;
    return rpi_speak_begin(world, slot);
}

static rt_result finish(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    drop_sequences(world, slot);
    slot->stage = RPI_STAGE_CALL;
    return RT_OK;
}

// Takes what the schema forces; then either the arguments are complete, or the model has a choice and a mask is needed.
static rt_result take_forced(rp_world *world, rpi_slot *slot)
{
    char bytes[FORCED_BYTES];
    size_t size = 0;
    do {
        rt_result result = rt_matcher_forced(slot->matcher, bytes, sizeof bytes, &size);
        if (result == RT_OK && size > 0)
            result = rt_matcher_commit_bytes(slot->matcher, bytes, size);
        if (result == RT_OK && size > 0)
            result = rpi_emit_text(world, slot, bytes, size, true);
        if (result != RT_OK)
            return result;
        if (!rpi_buffer_add(&world->host, &slot->arguments, bytes, size))
            return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "arguments: out of memory");
    } while (size > 0);
    if (rt_matcher_must_end(slot->matcher))
        return finish(world, slot);
    slot->mask_ready = false;
    rpi_slot_clear_segments(world, slot);
    int32_t first = slot->argument_done, count = (int32_t)slot->argument_tokens.count - first;
    rpi_slot_add_segment(slot, slot->argument_sequence, slot->argument_tokens.ids + first, count, count - 1);
    // The conversation's side comes first, so that its logits are kept when the other's arrive.
    int32_t plain = RPI_MAX(first, slot->argument_prompt);
    count = (int32_t)slot->argument_tokens.count - plain;
    rpi_slot_add_segment(slot, slot->plain_sequence, slot->argument_tokens.ids + plain, count, count - 1)->candidate = SIDE_PLAIN;
    slot->argument_done = (int32_t)slot->argument_tokens.count;
    return RT_OK;
}

// What the model reads before the arguments: the function as its author described it. Not its schema: small models take
// the first value of an enum that they see.
static bool write_stem(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    const rpi_offer *offer = &slot->offers[slot->chosen];
    const rpi_tool *tool = rpi_tool_get(world, offer->tool);
    rpi_buffer *text = &slot->scratch;
    rpi_buffer_clear(text);
    bool fits = rpi_buffer_add_text(host, text, "Action: ") && rpi_buffer_add_text(host, text, tool != NULL ? tool->name : "");
    if (fits && tool != NULL && tool->description != NULL)
        fits = rpi_buffer_add_text(host, text, ": ") && rpi_buffer_add_text(host, text, tool->description);
    return fits && rpi_buffer_add_text(host, text, "\nArguments: ");
}

rt_result rpi_argue_begin(rp_world *world, rpi_slot *slot)
{
    slot->stage = RPI_STAGE_ARGUE;
    slot->argument_tokens.count = 0;
    slot->argument_done = 0;
    slot->argument_steps = 0;
    rpi_buffer_clear(&slot->arguments);
    rt_result result = rpi_emit_begin(world, slot, slot->offers[slot->chosen].grammar);
    if (result == RT_OK)
        result = rt_sequence_fork(world->context, slot->main, &slot->argument_sequence);
    if (result == RT_OK)
        result = rt_sequence_create(world->context, &slot->plain_sequence);
    if (result != RT_OK)
        return result;
    // The rest of the prompt, then what is being done, in the character's own turn.
    rpi_tokens *tokens = &slot->argument_tokens;
    size_t rest = slot->prompt.count - (size_t)slot->main_length;
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &tokens->capacity, rest, sizeof *tokens->ids) &&
                write_stem(world, slot);
    tokens->ids = ids;
    if (!fits)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "arguments: out of memory");
    memcpy(tokens->ids, slot->prompt.ids + slot->main_length, rest * sizeof *tokens->ids);
    tokens->count = rest;
    slot->argument_prompt = (int32_t)rest;
    result = rpi_emit_text(world, slot, slot->scratch.data, slot->scratch.size, true);
    return result == RT_OK ? take_forced(world, slot) : result;
}

rt_result rpi_argue_mask(rp_world *world, rpi_slot *slot, uint32_t budget_us)
{
    (void)world;
    return rt_matcher_mask_step(slot->matcher, slot->mask, budget_us, &slot->mask_ready);
}

// The allowed tokens, where there are few of them; 0 where there are many.
static int32_t list_allowed(const rpi_slot *slot, rt_token allowed[FEW_TOKENS])
{
    int32_t count = 0;
    for (size_t word = 0; word < slot->mask_words; word++) {
        for (uint32_t bits = slot->mask[word]; bits != 0; bits &= bits - 1) {
            if (count == FEW_TOKENS)
                return 0;
            allowed[count++] = (rt_token)(word * 32 + (size_t)__builtin_ctz(bits));
        }
    }
    return count;
}

// Log-probabilities among the allowed tokens only.
static void normalise(const float *logits, const rt_token *allowed, int32_t count, double *out)
{
    double most = -INFINITY, sum = 0;
    for (int32_t i = 0; i < count; i++)
        most = fmax(most, (double)logits[allowed[i]]);
    for (int32_t i = 0; i < count; i++)
        sum += exp((double)logits[allowed[i]] - most);
    for (int32_t i = 0; i < count; i++)
        out[i] = (double)logits[allowed[i]] - most - log(sum);
}

static rt_result take_talk(rpi_slot *slot, rt_pass *pass, int32_t row)
{
    rt_token allowed[FEW_TOKENS];
    slot->allowed_count = list_allowed(slot, allowed);
    if (slot->allowed_count > 0) {
        const float *logits;
        rt_result result = rt_pass_logits(pass, row, &logits);
        if (result == RT_OK)
            normalise(logits, allowed, slot->allowed_count, slot->talk);
        return result;
    }
    rt_sampler_def greedy = rt_default_sampler_def();
    greedy.temperature = 0;
    greedy.repetition_penalty = 1;
    greedy.repetition_window = 0;
    rt_sample_request request = { .sampler = &greedy, .step = (uint64_t)slot->argument_steps, .mask = slot->mask };
    return rt_pass_sample(pass, row, &request, &slot->argument_token);
}

static rt_result take_plain(rpi_slot *slot, rt_pass *pass, int32_t row)
{
    if (slot->allowed_count == 0)
        return RT_OK;
    rt_token allowed[FEW_TOKENS];
    double plain[FEW_TOKENS], most = -INFINITY, best = -INFINITY;
    int32_t count = list_allowed(slot, allowed);
    const float *logits;
    rt_result result = rt_pass_logits(pass, row, &logits);
    if (result != RT_OK)
        return result;
    normalise(logits, allowed, count, plain);
    for (int32_t i = 0; i < count; i++)
        most = fmax(most, slot->talk[i]);
    for (int32_t i = 0; i < count; i++) {
        double value = slot->talk[i] - plain[i];
        if (slot->talk[i] >= most + log(PLAUSIBLE) && value > best) {
            best = value;
            slot->argument_token = allowed[i];
        }
    }
    return RT_OK;
}

rt_result rpi_argue_take(rpi_slot *slot, const rpi_segment *segment, rt_pass *pass, int32_t row)
{
    return segment->candidate == SIDE_PLAIN ? take_plain(slot, pass, row) : take_talk(slot, pass, row);
}

// Takes the token that was sampled: called when its pass is committed.
rt_result rpi_argue_advance(rp_world *world, rpi_slot *slot)
{
    rpi_emitted emitted;
    rt_result result = rpi_emit_commit(world, slot, &emitted);
    if (result != RT_OK)
        return result;
    if (emitted.ends)
        return finish(world, slot);
    bool is_full = slot->main_length + (int32_t)slot->argument_tokens.count + FORCED_BYTES / 2 >= world->context_size;
    if (++slot->argument_steps >= MOST_ARGUMENT_TOKENS || is_full)
        return give_up(world, slot);
    result = rpi_emit_token(world, slot, slot->argument_token);
    if (result == RT_OK && !rpi_buffer_add(&world->host, &slot->arguments, emitted.bytes, emitted.size))
        result = rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "arguments: out of memory");
    if (result != RT_OK)
        return result;
    world->stats.decode_tokens++;
    return take_forced(world, slot);
}
