// call/choose.c - what a line asks for, and how it makes a character feel: decided by a model that was never trained to.
//
// Asked for the name of a function, a small model answers with whichever name is common. So it is asked the other way
// round (noisy channel; Min et al. 2022, arXiv:2108.04106): how likely is the player's line where somebody wants just that
// ("Somebody speaks to Marta and wants Marta to pour the guest a drink: ..."), against how likely it is in small talk?
// Every candidate explains the same words, so neither the length of a name nor its frequency matters, and small talk is
// the measure of what the line is worth anyway (domain-conditional pointwise mutual information; Holtzman et al. 2021,
// arXiv:2104.08315). Whatever explains the line no better than small talk by a margin is not done.
//
// The contexts share their beginning, which is computed together with the prompt; each candidate is a fork of it.
// SPDX-License-Identifier: MIT
#include "call/choose.h"

#include "call/call.h"
#include "common/exp.h"
#include "core/core.h"
#include "tool/tool.h"

#include <string.h>

// In nats, over the whole line, as RPI_CHOOSE_MARGIN. Feelings have to be clearer: a face that changes at every word is worse than a calm one.
static const double EMOTION_MARGIN = 2.0;

enum { MOST_DESCRIPTION_BYTES = 160 };

// What else a line may want; the first of them is what feelings are measured by.
enum { NO_CALLS = 2 };
static const char *const no_calls[NO_CALLS] = { " wants to chat" RPI_CHOOSE_LINE, " wants to know something" RPI_CHOOSE_LINE };

static rt_result out_of_memory(const rp_world *world)
{
    return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a choice: out of memory");
}

rt_result rpi_choose_encode(rp_world *world, rpi_tokens *tokens, const char *text, size_t size)
{
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &tokens->capacity, tokens->count + size + 2, sizeof *tokens->ids);
    tokens->ids = ids;
    if (!fits)
        return out_of_memory(world);
    size_t added = 0;
    rt_result result = rt_tokenizer_encode(world->tokenizer, text, size, true, tokens->ids + tokens->count,
                                           tokens->capacity - tokens->count, &added);
    tokens->count += added;
    return result;
}

bool rpi_choose_wish(rp_world *world, rpi_buffer *text, const char *lead, const char *who, const rpi_tool *tool)
{
    const rt_host *host = &world->host;
    const char *what = tool->description != NULL && tool->description[0] != '\0' ? tool->description : tool->name;
    size_t size = strcspn(what, ".\n");
    size = rpi_utf8_floor(what, strlen(what), RPI_MIN(size, (size_t)MOST_DESCRIPTION_BYTES));
    bool fits = rpi_buffer_add_text(host, text, lead) && rpi_buffer_add_text(host, text, who) &&
                rpi_buffer_add_text(host, text, " to ");
    size_t start = text->size;
    if (!fits || !rpi_buffer_add(host, text, what, size))
        return false;
    char *first = text->data + start;
    if (first[0] >= 'A' && first[0] <= 'Z' && !(first[1] >= 'A' && first[1] <= 'Z'))
        first[0] = (char)(first[0] - 'A' + 'a');
    for (size_t i = 0; what == tool->name && i < size; i++)
        if (first[i] == '_')
            first[i] = ' ';
    return true;
}

static void take_candidate(rpi_slot *slot, size_t begin, size_t middle)
{
    rpi_choice *choice = &slot->choice;
    int32_t index = choice->count++;
    choice->begin[index] = (int32_t)begin;
    choice->context[index] = (int32_t)(middle - begin);
    choice->size[index] = (int32_t)(slot->candidates.count - begin);
    choice->offer[index] = choice->emotion[index] = -1;
    choice->score[index] = 0;
}

rt_result rpi_choose_encode_line(rp_world *world, rpi_tokens *tokens, const char *line, size_t most)
{
    size_t begin = tokens->count;
    rt_result result = rpi_choose_encode(world, tokens, line, strlen(line));
    size_t count = tokens->count - begin;
    if (result == RT_OK && count > most) {
        memmove(tokens->ids + begin, tokens->ids + tokens->count - most, most * sizeof *tokens->ids);
        tokens->count = begin + most;
    }
    return result;
}

// A candidate is its context and the line; what counts are the line's tokens.
static rt_result add_candidate(rp_world *world, rpi_slot *slot, const rpi_buffer *context)
{
    size_t begin = slot->candidates.count;
    rt_result result = rpi_choose_encode(world, &slot->candidates, context->data, context->size);
    size_t middle = slot->candidates.count;
    if (result == RT_OK)
        result = rpi_choose_encode_line(world, &slot->candidates, slot->turn->line, RPI_CHOOSE_LINE_TOKENS);
    if (result == RT_OK)
        take_candidate(slot, begin, middle);
    return result;
}

// Raw: behind the prompt and "Action:" a name; what counts are the name's tokens.
static rt_result add_name(rp_world *world, rpi_slot *slot, const char *name)
{
    rpi_buffer_clear(&slot->scratch);
    if (!rpi_buffer_print(&world->host, &slot->scratch, " %s\n", name))
        return out_of_memory(world);
    size_t begin = slot->candidates.count;
    rt_result result = rpi_choose_encode(world, &slot->candidates, "Action:", 7);
    size_t middle = slot->candidates.count;
    if (result == RT_OK)
        result = rpi_choose_encode(world, &slot->candidates, slot->scratch.data, slot->scratch.size);
    if (result == RT_OK) {
        // The prompt's last token is not computed with the prompt; there is always room behind what was encoded.
        memmove(slot->candidates.ids + begin + 1, slot->candidates.ids + begin,
                (slot->candidates.count - begin) * sizeof *slot->candidates.ids);
        slot->candidates.ids[begin] = slot->prompt.ids[slot->prompt.count - 1];
        slot->candidates.count++;
        take_candidate(slot, begin, middle + 1);
    }
    return result;
}

static rt_result add_tools(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    bool is_raw = !world->def.calibrate_choices;
    rt_result result = RT_OK;
    choice->none = is_raw ? choice->count : 0;
    if (is_raw)
        result = add_name(world, slot, "none");
    for (int32_t i = 0; result == RT_OK && i < slot->offer_count; i++) {
        const rpi_tool *tool = rpi_tool_get(world, slot->offers[i].tool);
        if (tool == NULL || slot->offers[i].used || slot->offers[i].grammar == NULL)
            continue;
        rpi_buffer_clear(&slot->scratch);
        if (!is_raw && (!rpi_choose_wish(world, &slot->scratch, " wants ", slot->character->name, tool) ||
                        !rpi_buffer_add_text(&world->host, &slot->scratch, RPI_CHOOSE_LINE)))
            return out_of_memory(world);
        result = is_raw ? add_name(world, slot, tool->name) : add_candidate(world, slot, &slot->scratch);
        choice->offer[choice->count - 1] = i;
    }
    return result;
}

static rt_result add_emotions(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    const rpi_character *character = slot->character;
    rt_result result = RT_OK;
    for (int32_t i = 1; result == RT_OK && i < character->emotion_count; i++) {
        const char *parts[] = { " makes ", character->name, " feel ", character->emotions[i], RPI_CHOOSE_LINE };
        rpi_buffer_clear(&slot->scratch);
        for (size_t part = 0; part < RPI_COUNT(parts); part++)
            if (!rpi_buffer_add_text(&world->host, &slot->scratch, parts[part]))
                return out_of_memory(world);
        result = add_candidate(world, slot, &slot->scratch);
        choice->emotion[choice->count - 1] = i;
    }
    return result;
}

bool rpi_choose_head(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    rpi_buffer_clear(&slot->scratch);
    return rpi_buffer_add_text(host, &slot->scratch, "Somebody speaks to ") &&
           rpi_buffer_add_text(host, &slot->scratch, slot->character->name) && rpi_buffer_add_text(host, &slot->scratch, " and");
}

rt_result rpi_choose_prepare(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    choice->count = 0;
    choice->none = 0;
    choice->head = 0;
    slot->candidates.count = 0;
    bool calls = world->format->calls == RP_CALLS_CHOOSE && slot->rounds == 0 && slot->offer_count > 0;
    bool feels = slot->character->emotion_count > 1 && slot->rounds == 0;
    if (slot->turn->is_warm || (!calls && !feels))
        return RT_OK;
    rt_token bos = rt_tokenizer_adds_bos(world->tokenizer) ? rt_tokenizer_bos(world->tokenizer) : RT_TOKEN_NONE;
    if (bos != RT_TOKEN_NONE)
        slot->candidates.ids[slot->candidates.count++] = bos;
    if (!rpi_choose_head(world, slot))
        return out_of_memory(world);
    rt_result result = rpi_choose_encode(world, &slot->candidates, slot->scratch.data, slot->scratch.size);
    choice->head = (int32_t)slot->candidates.count;
    choice->others = calls && world->def.calibrate_choices ? NO_CALLS : 1;
    for (int32_t i = 0; result == RT_OK && i < choice->others; i++) {
        rpi_buffer_clear(&slot->scratch);
        if (!rpi_buffer_add_text(&world->host, &slot->scratch, no_calls[i]))
            return out_of_memory(world);
        result = add_candidate(world, slot, &slot->scratch);
    }
    if (result == RT_OK && calls)
        result = add_tools(world, slot);
    if (result == RT_OK && feels)
        result = add_emotions(world, slot);
    size_t bytes = (size_t)choice->count * RPI_CHOOSE_LINE_TOKENS * sizeof(float);
    if (result == RT_OK && !rpi_buffer_reserve(&world->host, &slot->choice_rows, bytes))
        result = out_of_memory(world);
    return result;
}

// The head rides along with the prompt.
rt_result rpi_choose_read(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    if (choice->count == 0)
        return RT_OK;
    rt_result result = rt_sequence_create(world->context, &choice->sequence);
    if (result == RT_OK)
        rpi_slot_add_segment(slot, choice->sequence, slot->candidates.ids, choice->head, choice->head);
    return result;
}

rt_result rpi_choose_begin(rp_world *world, rpi_slot *slot)
{
    const rpi_choice *choice = &slot->choice;
    slot->stage = RPI_STAGE_CHOOSE;
    rpi_slot_clear_segments(world, slot);
    for (int32_t i = 0; i < choice->count; i++) {
        // The row before each token of the line says how likely that token is.
        rpi_segment *segment = rpi_slot_add_segment(slot, (rt_sequence){ 0 }, slot->candidates.ids + choice->begin[i],
                                                    choice->size[i] - 1, choice->context[i] - 1);
        bool is_name = choice->none > 0 && i >= choice->none && choice->emotion[i] < 0;
        segment->source = is_name ? slot->main : choice->sequence;
        segment->owned = true;
        segment->candidate = i;
    }
    return RT_OK;
}

// Natural logarithm of the sum of e^logit.
static double normaliser(const float *logits, int32_t count)
{
    float most = logits[0];
    for (int32_t i = 1; i < count; i++)
        most = logits[i] > most ? logits[i] : most;
    double sums[4] = { 0 };
    for (int32_t i = 0; i < count; i++)
        sums[i & 3] += (double)rpi_quick_exp(logits[i] - most);
    return (double)most + rt_log((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

double rpi_choose_log_probability(const rp_world *world, const float *logits, rt_token token)
{
    return (double)logits[token] - normaliser(logits, world->info.vocab_size);
}

rt_result rpi_choose_take(rp_world *world, rpi_slot *slot, rpi_segment *segment, int32_t index, rt_pass *pass, int32_t row)
{
    const float *logits;
    rt_result result = rt_pass_logits(pass, row, &logits);
    if (result != RT_OK)
        return result;
    double score = rpi_choose_log_probability(world, logits, segment->tokens[index + 1]);
    slot->choice.score[segment->candidate] += score;
    int32_t token = index - segment->logits_from;
    if (token < RPI_CHOOSE_LINE_TOKENS)
        rpi_choose_row(slot, segment->candidate)[token] = (float)score;
    return RT_OK;
}

float *rpi_choose_row(const rpi_slot *slot, int32_t candidate)
{
    return (float *)(void *)slot->choice_rows.data + (size_t)candidate * RPI_CHOOSE_LINE_TOKENS;
}

int32_t rpi_choose_other(const rpi_choice *choice)
{
    int32_t other = choice->none;
    for (int32_t i = 0; i < choice->others && choice->none == 0; i++)
        other = choice->score[i] > choice->score[other] ? i : other;
    return other;
}

// The best of the candidates that `kind` marks, by what it explains better than `other`; -1 where none does by `margin`.
static int32_t best_of(const rpi_choice *choice, const int32_t *kind, int32_t other, double margin)
{
    int32_t best = -1;
    double best_gain = margin;
    for (int32_t i = 1; i < choice->count; i++) {
        double gain = choice->score[i] - choice->score[other];
        if (kind[i] >= 0 && gain > best_gain) {
            best = i;
            best_gain = gain;
        }
    }
    return best;
}

static rt_result show_emotion(rp_world *world, rpi_slot *slot)
{
    rpi_character *character = slot->character;
    if (character->emotion_count < 2)
        return RT_OK;
    int32_t best = best_of(&slot->choice, slot->choice.emotion, 0, EMOTION_MARGIN);
    int32_t emotion = best < 0 ? 0 : slot->choice.emotion[best];
    if (emotion == character->emotion)
        return RT_OK;
    character->emotion = emotion;
    rp_event event = { .kind = RP_EVENT_EMOTION, .character = rpi_character_id(character), .turn = rpi_turn_id(slot->turn) };
    const char *name = character->emotions[emotion];
    return rpi_events_add(world, &event, name, strlen(name)) ? RT_OK : out_of_memory(world);
}

rt_result rpi_choose_advance(rp_world *world, rpi_slot *slot)
{
    const rpi_choice *choice = &slot->choice;
    rpi_slot_clear_segments(world, slot);
    rpi_sequence_drop(world, &slot->choice.sequence);
    for (int32_t i = 0; i < choice->count; i++)
        rpi_log(&world->host, RT_LOG_DEBUG, "choice: %s candidate %d (offer %d, emotion %d): %.3f", slot->character->name, i,
                choice->offer[i], choice->emotion[i], choice->score[i] - choice->score[0]);
    rt_result result = show_emotion(world, slot);
    if (result != RT_OK)
        return result;
    int32_t best = best_of(choice, choice->offer, rpi_choose_other(choice), choice->none > 0 ? 0 : RPI_CHOOSE_MARGIN);
    if (best < 0) {
        world->stats.choices_none += slot->offer_count > 0 && !world->call_style->is_on;
        return rpi_speak_begin(world, slot);
    }
    slot->chosen = choice->offer[best];
    return rpi_argue_begin(world, slot);
}
