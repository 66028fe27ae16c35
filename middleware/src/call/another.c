// call/another.c - whether the line asks for one call more than were made.
//
// A model that writes its calls itself says when the list is over; one that was never trained to has to be asked, the other
// way round as for the first call: what of the line is still unexplained?
//
// The same tool again. A call is written behind the one before it, with the words that are spent (call/spent.h). It is made only
// if it says something new with words of the line that no other call has, and if these can change places with the words
// that the same parameters had in the call before: the items of a list can, "Sell me ten arrows for the hunt" cannot (conjuncts
// are replaceable: Ficler, Goldberg 2016, arXiv:1610.03946). That is one more reading of the line, and only of lines for which
// a new call was found.
//
// Another tool. The first choice has read the line behind every wish, token by token. Each token is explained by the call that
// explains it best, or by small talk; a tool that explains the rest better, and one token of it clearly, may be meant as well.
// That costs no row. Then the line is read behind both wishes: it has to be likelier there than behind the first alone.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "call/argue.h"
#include "call/call.h"
#include "call/choose.h"
#include "call/spent.h"
#include "core/core.h"
#include "prompt/text.h"
#include "tool/tool.h"

// In nats. What an exchange of places may cost, on average over the parameters; by how much another tool has to explain the
// rest of the line better, and a token of it; by how much likelier the line has to be behind both wishes.
static const double LEAST_EXCHANGE = -8.5, REST_MARGIN = 3.0, TOKEN_MARGIN = 1.75, BOTH_MARGIN = 1.5;

enum { MOST_EXCHANGE_TOKENS = 256 };

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "another call: out of memory");
}

static rp_text text_of(const rpi_buffer *buffer)
{
    return (rp_text){ buffer->data != NULL ? buffer->data : "", buffer->size };
}

bool rpi_another_may_follow(const rp_world *world, const rpi_slot *slot)
{
    return world->format->calls == RP_CALLS_CHOOSE && world->def.calibrate_choices && slot->turn->line != NULL &&
           slot->rounds < world->def.max_call_rounds && slot->argument_sequence.index != 0;
}

rt_result rpi_another_end(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    rpi_sequence_drop(world, &slot->argument_sequence);
    rpi_sequence_drop(world, &slot->plain_sequence);
    slot->stage = RPI_STAGE_COMPOSE;
    return RT_OK;
}

// The call is made; what it explains is kept.
static rt_result note_call(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    rpi_buffer *calls = &slot->calls_made;
    slot->stage = RPI_STAGE_CALL;
    slot->offers[slot->chosen].called = true;
    if (calls->size > 0)
        calls->size--; // its bracket
    bool fits = rpi_buffer_add_text(host, calls, calls->size > 0 ? ", {\"name\": " : "[{\"name\": ") &&
                rpi_buffer_add(host, calls, slot->call_name.data, slot->call_name.size) &&
                rpi_buffer_add_text(host, calls, ", \"arguments\": ") &&
                rpi_buffer_add(host, calls, slot->arguments.data, slot->arguments.size) &&
                rpi_buffer_add_text(host, calls, "}]");
    return fits ? RT_OK : out_of_memory(world);
}

// ---------------------------------------------------------------------------------------------------------------------
// Readings of the line
// ---------------------------------------------------------------------------------------------------------------------

// A line behind a wish, on a sequence of its own: from `begin` in the slot's `candidates`, where the line starts at `middle`.
static rt_result add_reading(rp_world *world, rpi_slot *slot, size_t begin, size_t middle, int32_t number)
{
    rt_sequence sequence;
    rt_result result = rt_sequence_create(world->context, &sequence);
    if (result != RT_OK)
        return result;
    int32_t count = (int32_t)(slot->candidates.count - begin);
    rpi_segment *segment =
        rpi_slot_add_segment(slot, sequence, slot->candidates.ids + begin, count - 1, (int32_t)(middle - begin) - 1);
    segment->owned = true;
    segment->candidate = number;
    slot->another.score[number] = 0;
    return RT_OK;
}

// "Somebody speaks to Marta and", to which the wish is added.
static rt_result begin_readings(rp_world *world, rpi_slot *slot, rpi_another_step step)
{
    slot->stage = RPI_STAGE_ANOTHER;
    slot->another.step = step;
    rpi_slot_clear_segments(world, slot);
    slot->candidates.count = 0;
    return rpi_choose_head(world, slot) ? RT_OK : out_of_memory(world);
}

static rt_result encode_context(rp_world *world, rpi_slot *slot)
{
    rt_token bos = rt_tokenizer_adds_bos(world->tokenizer) ? rt_tokenizer_bos(world->tokenizer) : RT_TOKEN_NONE;
    if (bos != RT_TOKEN_NONE)
        slot->candidates.ids[slot->candidates.count++] = bos; // there is always room for it
    return rpi_choose_encode(world, &slot->candidates, slot->scratch.data, slot->scratch.size);
}

// The line behind the wish for the tool that was called first, and for another one.
static rt_result read_both(rp_world *world, rpi_slot *slot, const rpi_tool *first, const rpi_tool *other)
{
    const char *who = slot->character->name;
    rt_result result = begin_readings(world, slot, RPI_ANOTHER_BOTH);
    if (result == RT_OK && (!rpi_choose_wish(world, &slot->scratch, " wants ", who, first) ||
                            !rpi_choose_wish(world, &slot->scratch, ", and wants ", who, other) ||
                            !rpi_buffer_add_text(&world->host, &slot->scratch, RPI_CHOOSE_LINE)))
        result = out_of_memory(world);
    if (result == RT_OK)
        result = encode_context(world, slot);
    size_t middle = slot->candidates.count;
    if (result == RT_OK)
        result = rpi_choose_encode_line(world, &slot->candidates, slot->turn->line, RPI_CHOOSE_LINE_TOKENS);
    return result == RT_OK ? add_reading(world, slot, 0, middle, 0) : result;
}

// The line as it is and as it would be with the words exchanged, which stands in the slot's `answer`.
static rt_result read_exchange(rp_world *world, rpi_slot *slot)
{
    const char *lines[] = { slot->turn->line, slot->answer.data };
    rt_result result = begin_readings(world, slot, RPI_ANOTHER_EXCHANGE);
    if (result == RT_OK && !rpi_buffer_add_text(&world->host, &slot->scratch, " wants to chat" RPI_CHOOSE_LINE))
        result = out_of_memory(world);
    size_t begins[2] = { 0 }, middles[2] = { 0 }, ends[2] = { 0 };
    for (int i = 0; result == RT_OK && i < 2; i++) {
        begins[i] = slot->candidates.count;
        result = encode_context(world, slot);
        middles[i] = slot->candidates.count;
        if (result == RT_OK)
            result = rpi_choose_encode_line(world, &slot->candidates, lines[i], MOST_EXCHANGE_TOKENS);
        ends[i] = slot->candidates.count;
    }
    for (int i = 0; result == RT_OK && i < 2; i++) { // now that the tokens stay where they are
        slot->candidates.count = ends[i];
        result = add_reading(world, slot, begins[i], middles[i], i);
    }
    return result;
}

rt_result rpi_another_take(rp_world *world, rpi_slot *slot, const rpi_segment *segment, int32_t index, rt_pass *pass, int32_t row)
{
    const float *logits;
    rt_result result = rt_pass_logits(pass, row, &logits);
    if (result == RT_OK)
        slot->another.score[segment->candidate] += rpi_choose_log_probability(world, logits, segment->tokens[index + 1]);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Another tool
// ---------------------------------------------------------------------------------------------------------------------

// How much better a candidate explains tokens than the calls that were made and small talk, together; *clear: the best of them.
static double rest_explained(const rpi_slot *slot, int32_t candidate, double *clear)
{
    const rpi_choice *choice = &slot->choice;
    const float *row = rpi_choose_row(slot, candidate), *other = rpi_choose_row(slot, rpi_choose_other(choice));
    int32_t tokens = RPI_MIN(choice->size[candidate] - choice->context[candidate], RPI_CHOOSE_LINE_TOKENS);
    double rest = *clear = 0;
    for (int32_t t = 0; t < tokens; t++) {
        float explained = other[t];
        for (int32_t i = 0; i < choice->count; i++)
            if (choice->offer[i] >= 0 && slot->offers[choice->offer[i]].called && rpi_choose_row(slot, i)[t] > explained)
                explained = rpi_choose_row(slot, i)[t];
        double gain = (double)row[t] - (double)explained;
        rest += gain > 0 ? gain : 0;
        *clear = gain > *clear ? gain : *clear;
    }
    return rest;
}

// The tool that was called first is the one that explains the line best.
static int32_t find_candidate(const rpi_choice *choice, int32_t offer)
{
    for (int32_t i = 0; i < choice->count; i++)
        if (choice->offer[i] == offer)
            return i;
    return -1;
}

static rt_result try_other_tool(rp_world *world, rpi_slot *slot)
{
    const rpi_choice *choice = &slot->choice;
    int32_t other = rpi_choose_other(choice), best = -1;
    double most = REST_MARGIN;
    for (int32_t i = 0; i < choice->count; i++) {
        const rpi_offer *offer = choice->offer[i] >= 0 ? &slot->offers[choice->offer[i]] : NULL;
        if (offer == NULL || offer->used || offer->called || rpi_tool_get(world, offer->tool) == NULL ||
            choice->score[i] - choice->score[other] <= RPI_CHOOSE_MARGIN)
            continue;
        double clear, rest = rest_explained(slot, i, &clear);
        rpi_log(&world->host, RT_LOG_DEBUG, "another: %s offer %d: rest %.3f, token %.3f", slot->character->name,
                choice->offer[i], rest, clear);
        if (rest > most && clear > TOKEN_MARGIN) {
            most = rest;
            best = choice->offer[i];
        }
    }
    const rpi_tool *first = rpi_tool_get(world, slot->offers[slot->another.first].tool);
    if (best < 0 || first == NULL)
        return rpi_another_end(world, slot);
    slot->chosen = best;
    return read_both(world, slot, first, rpi_tool_get(world, slot->offers[best].tool));
}

static rt_result weigh_both(rp_world *world, rpi_slot *slot)
{
    int32_t first = find_candidate(&slot->choice, slot->another.first);
    double both = slot->another.score[0] - (first >= 0 ? slot->choice.score[first] : 0);
    rpi_log(&world->host, RT_LOG_DEBUG, "another: %s both %.3f", slot->character->name, both);
    if (both < BOTH_MARGIN) {
        slot->offers[slot->chosen].called = true; // not this one; it explains nothing more
        return try_other_tool(world, slot);
    }
    slot->another.is_again = false;
    return rpi_argue_begin(world, slot);
}

// ---------------------------------------------------------------------------------------------------------------------
// The same tool again
// ---------------------------------------------------------------------------------------------------------------------

rt_result rpi_another_begin(rp_world *world, rpi_slot *slot)
{
    const rpi_offer *offer = &slot->offers[slot->chosen];
    rpi_parameter parameter;
    rp_text schema = { slot->schemas.data + offer->schema_at, offer->schema_size };
    if (slot->rounds == 1)
        slot->another.first = slot->chosen;
    if (offer->used || rpi_tool_get(world, offer->tool) == NULL || !rpi_parameter_read(schema, 0, &parameter))
        return try_other_tool(world, slot);
    slot->another.is_again = true;
    return rpi_argue_begin(world, slot);
}

static rt_result weigh_exchange(rp_world *world, rpi_slot *slot)
{
    const rpi_another *another = &slot->another;
    double exchange = (another->score[1] - another->score[0]) / another->exchanged;
    rpi_log(&world->host, RT_LOG_DEBUG, "another: %s exchange %.3f of %d", slot->character->name, exchange, another->exchanged);
    if (exchange < LEAST_EXCHANGE)
        return try_other_tool(world, slot);
    return note_call(world, slot);
}

rt_result rpi_another_advance(rp_world *world, rpi_slot *slot)
{
    rpi_slot_clear_segments(world, slot);
    return slot->another.step == RPI_ANOTHER_BOTH ? weigh_both(world, slot) : weigh_exchange(world, slot);
}

static bool was_made(const rpi_slot *slot)
{
    rp_text name = text_of(&slot->call_name), arguments = text_of(&slot->arguments);
    rpi_json_walk calls = rpi_json_begin(text_of(&slot->calls_made));
    while (rpi_json_next(&calls)) {
        rp_text a = rpi_json_member(calls.value, "name"), b = rpi_json_member(calls.value, "arguments");
        if (a.size == name.size && memcmp(a.data, name.data, a.size) == 0 && b.size == arguments.size &&
            memcmp(b.data, arguments.data, b.size) == 0)
            return true;
    }
    return false;
}

// The arguments are written: the call is made at once, or weighed, or was the last one's again.
rt_result rpi_another_weigh(rp_world *world, rpi_slot *slot)
{
    rpi_another *another = &slot->another;
    if (slot->rounds == 0 || !another->is_again) {
        return note_call(world, slot);
    }
    rpi_source source = { .line = { slot->turn->line, strlen(slot->turn->line) }, .calls = text_of(&slot->calls_made),
                          .name = text_of(&slot->call_name), .arguments = text_of(&slot->arguments) };
    int32_t found = 0;
    another->exchanged = 0;
    bool made = was_made(slot);
    if (!made && !rpi_spent_exchange(&source, &world->host, &slot->answer, &found, &another->exchanged))
        return out_of_memory(world);
    rpi_log(&world->host, RT_LOG_DEBUG, "another: %s%.*s: %d of %d exchanged", made ? "made: " : "", (int)slot->arguments.size,
            slot->arguments.data, another->exchanged, found);
    return another->exchanged > 0 ? read_exchange(world, slot) : try_other_tool(world, slot);
}
