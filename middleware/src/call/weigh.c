// call/weigh.c - an argument's next token, from what both sides make of it.
//
// What counts is not how likely a token is, but how much likelier the conversation has made it than it is behind the call
// alone: otherwise a small model pours ale whatever the guest orders (domain-conditional pointwise mutual information,
// Holtzman et al. 2021, arXiv:2104.08315; contrastive decoding with a plausibility threshold, Li et al. 2022,
// arXiv:2210.15097). Words of the player's line have an advantage over others, and so has ending with one of them.
// SPDX-License-Identifier: MIT
#include <math.h>
#include <string.h>

#include "call/argue.h"
#include "call/call.h"
#include "common/exp.h"
#include "core/core.h"

// Of the likeliest token: what is less likely is not considered, however much the conversation speaks for it.
static const double PLAUSIBLE = 0.02, PLAUSIBLE_COPY = 0.001;

// How much of the other side's log-probability is taken off. All of it where the schema lists what a value may be; half of
// it where free text or a number begins, and no more than that of an unlikely token: what a model never writes by itself is
// not right for that. What a value goes on with follows from how it began.
static const double LISTED_WEIGHT = 1.0, BEGIN_WEIGHT = 0.5, LEAST_PLAIN = -7.0;

// What it is worth, in nats, to begin with a word of the line, to go on with the next one, to end with one; and what it
// costs to say again what an argument says already.
static const double BEGIN_BONUS = 3.0, COPY_BONUS = 2.0, END_BONUS = 3.0, SPENT_COST = 2.0, NEXT_BONUS = 1.0,
                    PARALLEL_BONUS = 2.0;

// Natural logarithm of the sum of e^logit over the allowed tokens, of which there are *count.
static double normaliser(const float *logits, const uint32_t *mask, size_t words, int32_t *count, float *most)
{
    double sum = 0;
    *most = -INFINITY;
    *count = 0;
    for (size_t word = 0; word < words; word++) {
        *count += __builtin_popcount(mask[word]);
        for (uint32_t bits = mask[word]; bits != 0; bits &= bits - 1)
            *most = fmaxf(*most, logits[word * 32 + (size_t)__builtin_ctz(bits)]);
    }
    for (size_t word = 0; word < words; word++)
        for (uint32_t bits = mask[word]; bits != 0; bits &= bits - 1)
            sum += (double)rpi_quick_exp(logits[word * 32 + (size_t)__builtin_ctz(bits)] - *most);
    return (double)*most + rt_log(sum);
}

// Whether it copies on, and how what it copies stands.
static bool copies_on(const rpi_copy *copy, rt_token token, int8_t *standing)
{
    for (int32_t i = 0; i < copy->count; i++) {
        if (copy->tokens[i] == token) {
            *standing = copy->standing[i];
            return true;
        }
    }
    return false;
}

// Whether a token's first byte ends the string or number that is being written.
static bool closes(const rp_world *world, rpi_literal literal, rt_token token)
{
    const char *bytes;
    size_t size;
    if (literal == RPI_LITERAL_NUMBER && rpi_is_stop(world, token))
        return true;
    if (literal == RPI_LITERAL_NONE || !rt_tokenizer_bytes(world->tokenizer, token, &bytes, &size) || size == 0)
        return false;
    return literal == RPI_LITERAL_STRING ? bytes[0] == '"' : strchr("0123456789.eE+-", bytes[0]) == NULL;
}

static rpi_copy find_copies(const rp_world *world, const rpi_slot *slot, bool of_few)
{
    const rpi_argument *argument = &slot->argument;
    const rpi_value *value = &argument->value;
    rpi_copy copy = { .count = 0 };
    bool at_number = !value->is_word && value->literal == RPI_LITERAL_NONE;
    if (value->has_escapes || slot->turn->line == NULL)
        return copy;
    rp_text content = { slot->arguments.data + argument->contents + value->begin, value->size - value->begin };
    if (at_number)
        content = (rp_text){ "", 0 };
    rp_text before = { slot->arguments.data, slot->arguments.size - content.size };
    if (value->literal == RPI_LITERAL_STRING)
        before.size--; // its quote
    rpi_source source = { .line = { slot->turn->line, strlen(slot->turn->line) },
                          .calls = { slot->calls_made.data, slot->calls_made.size },
                          .name = { slot->call_name.data, slot->call_name.size },
                          .key = argument->key,
                          .arguments = before };
    rpi_copy_find(world->tokenizer, &source, content, at_number ? RPI_LITERAL_NUMBER : value->literal, of_few, &copy);
    return copy;
}

static void list(const rp_world *world, rpi_slot *slot, const float *logits)
{
    rpi_shortlist *list = &slot->shortlist;
    const rpi_value *value = &slot->argument.value;
    float most;
    int32_t allowed;
    double sum = normaliser(logits, slot->mask, slot->mask_words, &allowed, &most);
    rpi_copy copy = find_copies(world, slot, allowed <= RPI_SHORTLIST);
    float likely = most + (float)rt_log(PLAUSIBLE), possible = most + (float)rt_log(PLAUSIBLE_COPY);
    list->count = 0;
    list->is_few = allowed <= RPI_SHORTLIST;
    for (size_t word = 0; word < slot->mask_words; word++) {
        for (uint32_t bits = slot->mask[word]; bits != 0; bits &= bits - 1) {
            rt_token token = (rt_token)(word * 32 + (size_t)__builtin_ctz(bits));
            if (logits[token] < possible || list->count == RPI_SHORTLIST)
                continue;
            bool ends = closes(world, value->literal, token);
            int32_t at = list->count;
            list->standing[at] = (int8_t)copy.close;
            list->copies[at] = ends ? copy.may_close : copies_on(&copy, token, &list->standing[at]);
            if (logits[token] < likely && (!list->copies[at] || list->standing[at] < RPI_STANDING_FREE))
                continue;
            list->count++;
            list->token[at] = token;
            list->talk[at] = (float)((double)logits[token] - sum);
            list->closes[at] = ends;
        }
    }
}

static rt_result take_talk(const rp_world *world, rpi_slot *slot, rt_pass *pass, int32_t row)
{
    if (world->def.calibrate_choices) {
        const float *logits;
        rt_result result = rt_pass_logits(pass, row, &logits);
        if (result == RT_OK)
            list(world, slot, logits);
        return result;
    }
    rt_sampler_def greedy = rt_default_sampler_def();
    greedy.temperature = 0;
    greedy.repetition_penalty = 1;
    greedy.repetition_window = 0;
    rt_sample_request request = { .sampler = &greedy, .step = (uint64_t)slot->argument_steps, .mask = slot->mask };
    return rt_pass_sample(pass, row, &request, &slot->argument_token);
}

// How the next token is weighed, by where in a value it stands.
typedef struct scale {
    double weight, least_plain, bonus;
} scale;

static scale scale_of(const rp_world *world, const rpi_slot *slot)
{
    const rpi_shortlist *list = &slot->shortlist;
    const rpi_value *value = &slot->argument.value;
    bool begins = value->literal == RPI_LITERAL_NONE || (value->literal == RPI_LITERAL_STRING && value->size == value->begin);
    bool is_number = value->literal == RPI_LITERAL_NUMBER;
    for (int32_t i = 0; i < list->count && begins && !is_number; i++) {
        const char *bytes;
        size_t size;
        is_number = value->literal == RPI_LITERAL_NONE && rt_tokenizer_bytes(world->tokenizer, list->token[i], &bytes, &size) &&
                    size > 0 && bytes[0] >= '0' && bytes[0] <= '9';
    }
    if (list->is_few && !is_number)
        return (scale){ LISTED_WEIGHT, -INFINITY, begins ? BEGIN_BONUS : COPY_BONUS };
    return (scale){ begins ? BEGIN_WEIGHT : 0, LEAST_PLAIN, begins ? BEGIN_BONUS : COPY_BONUS };
}

static double worth_of(int8_t standing, double bonus)
{
    if (standing < RPI_STANDING_FREE)
        return standing == RPI_STANDING_SPENT ? -SPENT_COST : 0;
    bool is_parallel = standing >= RPI_STANDING_PARALLEL;
    bool is_next = standing == RPI_STANDING_NEXT || standing == RPI_STANDING_PARALLEL_NEXT;
    return bonus + (is_parallel ? PARALLEL_BONUS : 0) + (is_next ? NEXT_BONUS : 0);
}

// All tokens that end the value count as one, by the likeliest of them.
static rt_result take_plain(const rp_world *world, rpi_slot *slot, rt_pass *pass, int32_t row)
{
    const rpi_shortlist *list = &slot->shortlist;
    const float *logits;
    rt_result result = rt_pass_logits(pass, row, &logits);
    if (result != RT_OK)
        return result;
    float most;
    int32_t allowed, end = -1;
    double sum = normaliser(logits, slot->mask, slot->mask_words, &allowed, &most), end_talk = 0, end_plain = 0;
    for (int32_t i = 0; i < list->count; i++) {
        if (!list->closes[i])
            continue;
        end_talk += rt_exp((double)list->talk[i]);
        end_plain += rt_exp((double)logits[list->token[i]] - sum);
        if (end < 0 || list->talk[i] > list->talk[end])
            end = i;
    }
    scale by = scale_of(world, slot);
    double best = -INFINITY, gain = 0;
    for (int32_t i = 0; i < list->count; i++) {
        if (list->closes[i] && i != end)
            continue;
        double talk = i == end ? rt_log(end_talk) : (double)list->talk[i];
        double plain = i == end ? rt_log(end_plain) : (double)logits[list->token[i]] - sum;
        double value = talk - by.weight * fmax(plain, by.least_plain);
        if (list->copies[i])
            value += worth_of(list->standing[i], i == end ? END_BONUS : by.bonus);
        if (value > best) {
            best = value;
            gain = talk - plain;
            slot->argument_token = list->token[i];
        }
    }
    slot->argument.gain += gain;
    return RT_OK;
}

rt_result rpi_argue_take(const rp_world *world, rpi_slot *slot, const rpi_segment *segment, rt_pass *pass, int32_t row)
{
    return segment->candidate == RPI_SIDE_PLAIN ? take_plain(world, slot, pass, row) : take_talk(world, slot, pass, row);
}
