// turn/draft.c - guesses of the next tokens, checked by the model in one pass.
//
// Where the last tokens of a reply have stood before, in the prompt or in the reply itself, what followed them then is
// guessed to follow again (prompt-lookup decoding, Saxena 2023; speculative decoding, Leviathan et al. 2022,
// arXiv:2211.17192). Each row is sampled as it would have been by itself, with the same seed and step, and what stands
// behind the first wrong guess is forgotten: the reply is the same, only sooner. A slot whose guesses are wrong stops.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

enum { MATCH = 3, WINDOW = 2048, FIRST_CREDIT = 2, MOST_CREDIT = 6, REST_TOKENS = 32 };

void rpi_draft_begin(rpi_slot *slot, rt_token first)
{
    slot->draft[0] = first;
    slot->draft_count = 1;
    slot->draft_valid = 0;
    slot->draft_missed = false;
    slot->draft_credit = FIRST_CREDIT;
    rpi_slot_add_segment(slot, slot->main, slot->draft, 1, 0);
}

static rt_token token_at(const rpi_slot *slot, size_t at)
{
    return at < slot->prompt.count ? slot->prompt.ids[at] : slot->tokens.ids[at - slot->prompt.count];
}

// What followed the last MATCH tokens when they stood somewhere before: the latest such place.
static int32_t look_up(const rpi_slot *slot, rt_token *guess, int32_t most)
{
    size_t total = slot->prompt.count + slot->tokens.count, oldest = total > WINDOW ? total - WINDOW : 0;
    for (size_t end = total - 1; end >= oldest + MATCH; end--) {
        int32_t matched = 0;
        while (matched < MATCH && token_at(slot, end - 1 - (size_t)matched) == token_at(slot, total - 1 - (size_t)matched))
            matched++;
        if (matched < MATCH)
            continue;
        int32_t count = 0;
        while (count < most && end + (size_t)count < total) {
            guess[count] = token_at(slot, end + (size_t)count);
            count++;
        }
        return count;
    }
    return 0;
}

void rpi_draft_next(rp_world *world, rpi_slot *slot)
{
    if (slot->draft_count > 1) {
        int32_t accepted = slot->draft_valid - 1;
        world->stats.speculated_tokens += (uint64_t)slot->draft_count - 1;
        world->stats.accepted_tokens += (uint64_t)accepted;
        slot->draft_credit += accepted * 2 >= slot->draft_count - 1 ? 1 : -1;
        slot->draft_credit = RPI_MIN(slot->draft_credit, MOST_CREDIT);
    }
    if (slot->draft_credit <= 0 && slot->tokens.count % REST_TOKENS == 0)
        slot->draft_credit = 1;
    slot->draft[0] = slot->tokens.ids[slot->tokens.count - 1];
    slot->draft_count = 1;
    slot->draft_valid = 0;
    slot->draft_missed = false;
    // Masks of native calls are made for one step at a time.
    int32_t most = RPI_MIN(RPI_DRAFT - 1, slot->max_reply_tokens - slot->reply_tokens - 1);
    if (world->def.speculate && slot->native.grammar == NULL && slot->draft_credit > 0 && most > 0)
        slot->draft_count += look_up(slot, slot->draft + 1, most);
    rpi_slot_add_segment(slot, slot->main, slot->draft, slot->draft_count, 0);
}

void rpi_draft_check(rpi_slot *slot, int32_t index, rt_token sampled)
{
    slot->draft_valid = index + 1;
    slot->draft_missed = index + 1 < slot->draft_count && slot->draft[index + 1] != sampled;
}
