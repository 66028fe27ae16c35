// tokenizer/merge_periodic.c - merging a long word that says the same again and again.
//
// A megabyte of one character is a head, a block and a tail: some symbols, then a block of symbols so many times, then some
// more. All pairs of the lowest priority are merged from left to right in one go, which is what the definition says unless a
// merge makes a pair that comes before the rest of them; each merge is looked at for that. A block begins with its first symbol either
// free or eaten by the merge before it; so the blocks come out all alike, or by turns in two kinds, but for a few at the
// beginning, which go to the head. The work depends on the block, hardly on how often it is there. What does not fit
// this picture is left to merge_long.c.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"
#include "tokenizer/unicode.h"

#include <string.h>

#define PERIODIC_WORD 512 // bytes from which on it is worth a look
#define EDGE 16           // bytes that are looked over for the period at the beginning; twice that at the end
#define LONGEST_PERIOD 24 // bytes
#define LIST 1024         // symbols

typedef struct list {
    int32_t ids[LIST];
    size_t count;
} list;

typedef struct periodic {
    list head, block, tail;
    size_t repeats;
    list heads, tails, blocks[2]; // what a step makes of them
    uint32_t priority;            // that is merged in this step
    bool gave_up;
} periodic;

static void add(periodic *p, list *l, int32_t id)
{
    if (l->count == LIST)
        p->gave_up = true;
    else
        l->ids[l->count++] = id;
}

static void add_list(periodic *p, list *l, const list *other)
{
    for (size_t i = 0; i < other->count && !p->gave_up; i++)
        add(p, l, other->ids[i]);
}

static void copy(list *to, const list *from)
{
    memcpy(to->ids, from->ids, from->count * sizeof(*from->ids));
    to->count = from->count;
}

// Moves the last block to the front of the tail.
static void split_off_block(periodic *p)
{
    list *tail = &p->tail, *block = &p->block;
    if (tail->count + block->count > LIST) {
        p->gave_up = true;
        return;
    }
    memmove(tail->ids + block->count, tail->ids, tail->count * sizeof(*tail->ids));
    memcpy(tail->ids, block->ids, block->count * sizeof(*block->ids));
    tail->count += block->count;
    p->repeats -= 1;
}

static const rti_merge *merge_of(const rti_encoder *e, int32_t left, int32_t right)
{
    return rti_merge_find(&e->tokenizer->merges, left, right);
}

static void see_pair(periodic *p, const rti_encoder *e, int32_t left, int32_t right)
{
    const rti_merge *merge = merge_of(e, left, right);
    if (merge && merge->priority < p->priority)
        p->priority = merge->priority;
}

static void see_list(periodic *p, const rti_encoder *e, const list *l, const list *next)
{
    for (size_t i = 0; i + 1 < l->count; i++)
        see_pair(p, e, l->ids[i], l->ids[i + 1]);
    if (l->count > 0 && next->count > 0)
        see_pair(p, e, l->ids[l->count - 1], next->ids[0]);
}

// The lowest priority there is, RTI_NO_MERGE where nothing is left to merge.
static void find_priority(periodic *p, const rti_encoder *e)
{
    static const list none = {.count = 0};
    p->priority = RTI_NO_MERGE;
    see_list(p, e, &p->head, p->repeats > 0 ? &p->block : &p->tail);
    if (p->repeats > 0)
        see_list(p, e, &p->block, &p->tail);
    if (p->repeats > 1)
        see_list(p, e, &p->block, &p->block);
    see_list(p, e, &p->tail, &none);
}

// The symbol at `i` of a list that stands before `next`. Before blocks: another one stands behind the first.
static const int32_t *symbol_at(const periodic *p, const list *in, const list *next, size_t i)
{
    if (i < in->count)
        return &in->ids[i];
    i -= in->count;
    if (!next || next->count == 0)
        return NULL;
    if (next == &p->block)
        return &next->ids[i % next->count];
    return i < next->count ? &next->ids[i] : NULL;
}

// Merges a list whose first `eaten` symbols went into a merge before it; `next`: what stands behind it. How many
// symbols of that were eaten.
static size_t merge_list(periodic *p, const rti_encoder *e, const list *in, const list *next, size_t eaten, list *out)
{
    size_t i = eaten;
    while (i < in->count && !p->gave_up) {
        const int32_t *right = symbol_at(p, in, next, i + 1);
        const rti_merge *merge = right ? merge_of(e, in->ids[i], *right) : NULL;
        if (merge && merge->priority == p->priority) {
            const int32_t *behind = symbol_at(p, in, next, i + 2);
            const rti_merge *made = behind ? merge_of(e, merge->result, *behind) : NULL;
            p->gave_up |= made && made->priority <= p->priority;
            add(p, out, merge->result);
            i += 2;
        } else {
            add(p, out, in->ids[i]);
            i += 1;
        }
    }
    return i - RTI_MIN(i, in->count);
}

// The blocks: those before they come out alike go to the new head. What the last one ate of the tail.
static size_t merge_blocks(periodic *p, const rti_encoder *e, size_t eaten)
{
    size_t next[2];
    for (size_t k = 0; k < 2; k++) {
        p->blocks[k].count = 0;
        next[k] = merge_list(p, e, &p->block, &p->block, k, &p->blocks[k]);
    }
    bool by_turns = next[0] == 1 && next[1] == 0;
    while (p->repeats > 0 && !p->gave_up && (by_turns ? p->repeats % 2 != 0 : next[eaten] != eaten)) {
        add_list(p, &p->heads, &p->blocks[eaten]);
        eaten = next[eaten];
        p->repeats -= 1;
    }
    copy(&p->block, &p->blocks[eaten]);
    if (by_turns) {
        add_list(p, &p->block, &p->blocks[next[eaten]]);
        p->repeats /= 2;
    }
    return eaten;
}

static void step(periodic *p, const rti_encoder *e)
{
    size_t eaten = 0;
    p->heads.count = p->tails.count = 0;
    if (p->repeats > 0) {
        const rti_merge *twin = p->block.count == 1 ? merge_of(e, p->block.ids[0], p->block.ids[0]) : NULL;
        if (twin && twin->priority == p->priority) { // it would eat whole blocks: two are one
            if (p->repeats % 2 != 0)
                split_off_block(p);
            add(p, &p->block, p->block.ids[0]);
            p->repeats /= 2;
        }
    }
    if (p->repeats > 0) {
        split_off_block(p); // so that behind each block stands another one
        eaten = merge_list(p, e, &p->head, &p->block, 0, &p->heads);
        eaten = merge_blocks(p, e, eaten);
    } else {
        eaten = merge_list(p, e, &p->head, &p->tail, 0, &p->heads);
    }
    merge_list(p, e, &p->tail, NULL, eaten, &p->tails);
    copy(&p->head, &p->heads);
    copy(&p->tail, &p->tails);
}

static bool is_continuation(char c)
{
    return ((uint8_t)c & 0xC0) == 0x80;
}

// Appends the first symbols of a part of the word. The symbols before anything is merged must all be tokens.
static void add_symbols(periodic *p, const rti_encoder *e, const char *text, size_t size, list *l)
{
    const rt_tokenizer *t = e->tokenizer;
    for (size_t i = 0; i < size && !p->gave_up;) {
        if (t->kind == RTI_TOKENIZER_BYTE_BPE || t->kind == RTI_TOKENIZER_RANK_BPE) {
            int32_t id = t->byte_ids[(uint8_t)text[i++]];
            p->gave_up |= id < 0;
            add(p, l, id);
            continue;
        }
        rti_symbol symbols[4];
        size_t length = RTI_MIN((size_t)rti_utf8_length(text[i]), size - i);
        size_t count = rti_first_symbols(e, text + i, length, symbols);
        p->gave_up |= count == 0;
        for (size_t k = 0; k < count; k++) {
            p->gave_up |= symbols[k].id < 0 || symbols[k].id == t->unknown;
            add(p, l, symbols[k].id);
        }
        i += length;
    }
}

// Where the word repeats itself, but for its edges: *first to *last bytes, a whole number of periods. False: it does not.
static bool find_period(const char *word, size_t size, size_t *first, size_t *last, size_t *period)
{
    size_t begin = EDGE, n = 1;
    while (is_continuation(word[begin]))
        begin += 1;
    for (size_t probe = 4 * LONGEST_PERIOD; n <= LONGEST_PERIOD; n++)
        if (memcmp(word + begin, word + begin + n, probe) == 0)
            break;
    if (n > LONGEST_PERIOD || is_continuation(word[begin + n]))
        return false;
    size_t end = size - 2 * EDGE;
    if (memcmp(word + begin, word + begin + n, end - begin - n) != 0)
        return false;
    *first = begin;
    *last = begin + (end - begin) / n * n;
    *period = n;
    return true;
}

static void emit(rti_encoder *e, const list *l, size_t repeats)
{
    for (size_t k = 0; k < repeats; k++)
        for (size_t i = 0; i < l->count; i++)
            rti_encoder_emit(e, l->ids[i]);
}

rti_periodic_result rti_merge_periodic(rti_encoder *e, const char *word, size_t size, int32_t *single)
{
    const rt_tokenizer *t = e->tokenizer;
    size_t first, last, period;
    if (size < PERIODIC_WORD || t->resegments || !find_period(word, size, &first, &last, &period))
        return RTI_PERIODIC_NOT;
    periodic *p = rti_scratch_get(&e->host, &e->periodic, sizeof(*p));
    if (!p)
        return RTI_PERIODIC_NO_MEMORY;
    p->gave_up = false;
    p->head.count = p->block.count = p->tail.count = 0;
    p->repeats = (last - first) / period;
    add_symbols(p, e, word, first, &p->head);
    add_symbols(p, e, word + first, period, &p->block);
    add_symbols(p, e, word + last, size - last, &p->tail);
    for (uint32_t done = 0, first_step = 1; !p->gave_up; done = p->priority, first_step = 0) {
        find_priority(p, e);
        // A pair with what was merged before it in the same step that should have come first.
        p->gave_up |= !first_step && p->priority <= done;
        if (p->priority == RTI_NO_MERGE)
            break;
        step(p, e);
    }
    if (p->gave_up)
        return RTI_PERIODIC_NOT;
    size_t count = p->head.count + p->block.count * p->repeats + p->tail.count;
    *single = count != 1 ? -1 : p->head.count ? p->head.ids[0] : p->tail.count ? p->tail.ids[0] : p->block.ids[0];
    emit(e, &p->head, 1);
    emit(e, &p->block, p->repeats);
    emit(e, &p->tail, 1);
    e->previous_unknown = false;
    return RTI_PERIODIC_DONE;
}
