// tool/choose.c - one decision among candidates, by a model that was never trained to decide.
//
// Behind the prompt comes a stem ("Action:"), behind that each candidate is scored by its log-probability, once with the
// player's line and once without it. What counts is the difference: how much more likely the line has made a candidate
// than it was anyway (contextual calibration, Zhao et al. 2021, arXiv:2102.09690; domain-conditional pointwise mutual
// information, Holtzman et al. 2021, arXiv:2104.08315). A raw argmax over names would tell which name is common.
// SPDX-License-Identifier: MIT
#include "world/world.h"

#include <math.h>
#include <string.h>

static const char TOOL_STEM[] = "Action:", EMOTION_STEM[] = "*";

// A call must beat `none` by this many nats: small models are restless.
static const double CALL_MARGIN = 0.0;

static rt_result add_encoded(rp_world *world, rpi_tokens *tokens, const char *text, size_t size, int32_t *count)
{
    void *ids = tokens->ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &tokens->capacity, tokens->count + size + 2, sizeof *tokens->ids);
    tokens->ids = ids;
    if (!fits)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a choice: out of memory");
    size_t added = 0;
    rt_result result = rt_tokenizer_encode(world->tokenizer, text, size, true, tokens->ids + tokens->count,
                                           tokens->capacity - tokens->count, &added);
    tokens->count += added;
    *count = (int32_t)added;
    return result;
}

static rt_result add_candidate(rp_world *world, rpi_slot *slot, const char *text, size_t size)
{
    rpi_choice *choice = &slot->choice;
    choice->begin[choice->count] = (int32_t)slot->candidates.count;
    rt_result result = add_encoded(world, &slot->candidates, text, size, &choice->size[choice->count]);
    choice->count++;
    return result;
}

static rt_result add_tool(rp_world *world, rpi_slot *slot, const rpi_tool *tool)
{
    rpi_choice *choice = &slot->choice;
    size_t count = (size_t)tool->name_token_count;
    void *ids = slot->candidates.ids;
    bool fits = rpi_array_reserve(&world->host, &ids, &slot->candidates.capacity, slot->candidates.count + count,
                                  sizeof *slot->candidates.ids);
    slot->candidates.ids = ids;
    if (!fits)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "a choice: out of memory");
    choice->begin[choice->count] = (int32_t)slot->candidates.count;
    choice->size[choice->count++] = (int32_t)count;
    memcpy(slot->candidates.ids + slot->candidates.count, tool->name_tokens, count * sizeof *slot->candidates.ids);
    slot->candidates.count += count;
    return RT_OK;
}

// Which offer each candidate is lies in choice->offer; candidate 0 is none.
static rt_result list_tools(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    rt_result result = add_candidate(world, slot, " none", 5);
    for (int32_t i = 0; result == RT_OK && i < slot->offer_count; i++) {
        const rpi_tool *tool = rpi_tool_get(world, slot->offers[i].tool);
        if (tool == NULL || slot->offers[i].used || slot->offers[i].grammar == NULL)
            continue;
        choice->offer[choice->count] = i;
        result = add_tool(world, slot, tool);
    }
    return result;
}

// Makes one side's sequence and gives the rest of its prompt and the stem to be computed.
static rt_result begin_side(rp_world *world, rpi_slot *slot, int32_t side)
{
    rpi_choice *choice = &slot->choice;
    choice->side = side;
    choice->phase = RPI_CHOICE_STEM;
    rpi_slot_clear_segments(world, slot);
    rt_result result = rt_sequence_fork(world->context, slot->main, &choice->sequence);
    if (result != RT_OK)
        return result;
    const rp_prompt *prompt = side == 0 ? &slot->prompt : &slot->neutral;
    int32_t length = slot->main_length;
    if (side == 1 && slot->shared < length) {
        length = slot->shared;
        result = rt_sequence_truncate(world->context, choice->sequence, length);
    }
    int32_t rest = (int32_t)prompt->count - length;
    if (rest > 0)
        rpi_slot_add_segment(slot, choice->sequence, prompt->ids + length, rest, rest);
    rpi_slot_add_segment(slot, choice->sequence, slot->candidates.ids, choice->stem_size, choice->stem_size - 1);
    return result;
}

static rt_result begin(rp_world *world, rpi_slot *slot, const char *stem)
{
    slot->choice.count = 0;
    slot->candidates.count = 0;
    memset(slot->choice.score, 0, sizeof slot->choice.score);
    return add_encoded(world, &slot->candidates, stem, strlen(stem), &slot->choice.stem_size);
}

rt_result rpi_choose_begin(rp_world *world, rpi_slot *slot)
{
    slot->stage = RPI_STAGE_CHOOSE;
    rt_result result = begin(world, slot, TOOL_STEM);
    if (result == RT_OK)
        result = list_tools(world, slot);
    return result == RT_OK ? begin_side(world, slot, 0) : result;
}

rt_result rpi_feel_begin(rp_world *world, rpi_slot *slot)
{
    slot->stage = RPI_STAGE_FEEL;
    rt_result result = begin(world, slot, EMOTION_STEM);
    for (int32_t i = 0; result == RT_OK && i < slot->character->emotion_count; i++)
        result = add_candidate(world, slot, slot->character->emotions[i], strlen(slot->character->emotions[i]));
    return result == RT_OK ? begin_side(world, slot, 0) : result;
}

rt_result rpi_choose_take(rp_world *world, rpi_slot *slot, rpi_segment *segment, int32_t index, rt_pass *pass, int32_t row)
{
    rpi_choice *choice = &slot->choice;
    const float *logits;
    rt_result result = rt_pass_logits(pass, row, &logits);
    if (result != RT_OK)
        return result;
    // One normaliser serves every candidate of the row.
    double normaliser = (double)logits[0] - rt_log_probability(logits, world->info.vocab_size, NULL, 0);
    if (choice->phase == RPI_CHOICE_REST) {
        rt_token next = slot->candidates.ids[choice->begin[segment->candidate] + index + 1];
        choice->score[choice->side][segment->candidate] += (double)logits[next] - normaliser;
        return RT_OK;
    }
    for (int32_t i = 0; i < choice->count; i++)
        choice->score[choice->side][i] = (double)logits[slot->candidates.ids[choice->begin[i]]] - normaliser;
    return RT_OK;
}

// The tokens behind each candidate's first: computed on forks of the stem.
static bool begin_rest(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    choice->phase = RPI_CHOICE_REST;
    rpi_slot_clear_segments(world, slot);
    for (int32_t i = 0; i < choice->count; i++) {
        if (choice->size[i] < 2)
            continue;
        rpi_segment *segment = rpi_slot_add_segment(slot, (rt_sequence){ 0 }, slot->candidates.ids + choice->begin[i],
                                                    choice->size[i] - 1, 0);
        segment->source = choice->sequence;
        segment->owned = true;
        segment->candidate = i;
    }
    return slot->segment_count > 0;
}

// By what the line has added to a candidate's log-probability, a token of it on average.
static int32_t best_candidate(const rpi_choice *choice)
{
    int32_t best = 0;
    double best_value = -INFINITY;
    for (int32_t i = 0; i < choice->count; i++) {
        double value = (choice->score[0][i] - choice->score[1][i]) / RPI_MAX(choice->size[i], 1);
        if (value > best_value) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

static rt_result decide_tool(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    int32_t best = best_candidate(choice);
    double gain = (choice->score[0][best] - choice->score[1][best]) / RPI_MAX(choice->size[best], 1) -
                  (choice->score[0][0] - choice->score[1][0]) / RPI_MAX(choice->size[0], 1);
    for (int32_t i = 0; i < choice->count; i++)
        rpi_log(&world->host, RT_LOG_DEBUG, "choice: %s candidate %d: with the line %.3f, without %.3f",
                slot->character->name, i, choice->score[0][i], choice->score[1][i]);
    if (best == 0 || gain <= CALL_MARGIN) {
        world->stats.choices_none++;
        return rpi_turn_speak_or_feel(world, slot);
    }
    slot->chosen = choice->offer[best];
    slot->chosen_candidate = best;
    return rpi_argue_begin(world, slot);
}

static rt_result decide_emotion(rp_world *world, rpi_slot *slot)
{
    rpi_character *character = slot->character;
    int32_t best = best_candidate(&slot->choice);
    if (best != character->emotion) {
        const char *name = character->emotions[best];
        rp_event event = { .kind = RP_EVENT_EMOTION, .character = rpi_character_id(character), .turn = rpi_turn_id(slot->turn) };
        if (!rpi_events_add(world, &event, name, strlen(name)))
            return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "an emotion: out of memory");
        character->emotion = best;
    }
    return rpi_speak_begin(world, slot);
}

rt_result rpi_choose_advance(rp_world *world, rpi_slot *slot)
{
    rpi_choice *choice = &slot->choice;
    if (choice->phase == RPI_CHOICE_STEM && begin_rest(world, slot))
        return RT_OK;
    rpi_slot_clear_segments(world, slot);
    rpi_sequence_drop(world, &choice->sequence);
    if (choice->side == 0)
        return begin_side(world, slot, 1);
    return slot->stage == RPI_STAGE_CHOOSE ? decide_tool(world, slot) : decide_emotion(world, slot);
}
