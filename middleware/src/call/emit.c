// call/emit.c - the tokens of a call, as they are written under a mask.
// SPDX-License-Identifier: MIT
#include "call/call.h"
#include "core/core.h"

static rt_result make_room(rp_world *world, rpi_tokens *tokens, size_t more)
{
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &tokens->capacity, tokens->count + more, sizeof *tokens->ids);
    tokens->ids = ids;
    return fits ? RT_OK : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a call: out of memory");
}

rt_result rpi_emit_token(rp_world *world, rpi_slot *slot, rt_token token)
{
    rpi_tokens *tokens = &slot->argument_tokens;
    rt_result result = make_room(world, tokens, 1);
    if (result == RT_OK)
        tokens->ids[tokens->count++] = token;
    return result;
}

rt_result rpi_emit_text(rp_world *world, rpi_slot *slot, const char *text, size_t size, bool continues)
{
    rpi_tokens *tokens = &slot->argument_tokens;
    rt_result result = make_room(world, tokens, size + 2);
    if (result != RT_OK)
        return result;
    size_t added = 0;
    result = rt_tokenizer_encode(world->tokenizer, text, size, continues, tokens->ids + tokens->count,
                                 tokens->capacity - tokens->count, &added);
    tokens->count += added;
    return result;
}

rt_result rpi_emit_begin(rp_world *world, rpi_slot *slot, rt_grammar *grammar)
{
    if (slot->matcher != NULL && slot->matcher_grammar == grammar) {
        rt_matcher_reset(slot->matcher);
        return RT_OK;
    }
    rt_matcher_destroy(slot->matcher);
    slot->matcher = NULL;
    rt_result result = rt_matcher_create(grammar, &world->host, &slot->matcher);
    slot->matcher_grammar = grammar;
    return result == RT_OK ? rt_matcher_set_end_tokens(slot->matcher, world->stops, world->stop_count) : result;
}

rt_result rpi_emit_commit(rp_world *world, rpi_slot *slot, rpi_emitted *emitted)
{
    rt_token token = slot->argument_token;
    rt_result result = rt_matcher_commit(slot->matcher, token);
    if (result != RT_OK)
        return result;
    if (!rt_tokenizer_bytes(world->tokenizer, token, &emitted->bytes, &emitted->size))
        return RT_ERROR_INTERNAL;
    emitted->ends = rpi_is_stop(world, token);
    return RT_OK;
}
