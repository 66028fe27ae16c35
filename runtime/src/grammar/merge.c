// Threads that will take the same bytes from here on, until their containers close, go on as one: equal ones, and those whose
// frames differ only in what lies around them. The one that stays has all their parents. So nested alternatives cost a thread
// for each way to read the innermost container, not for each way to read all of them (Tomita 1987: a graph-structured stack).
// SPDX-License-Identifier: MIT
#include "grammar/containers.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 8 }; // up to here, looking at each is quicker than a table

static bool room(rti_machine *m, uint32_t **items, uint32_t *capacity, uint32_t needed)
{
    size_t have = *capacity;
    if (needed <= have) return true;
    if (!rti_array_reserve(&m->host, (void **)items, &have, needed, sizeof **items)) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
        return false;
    }
    *capacity = (uint32_t)have;
    return true;
}

static bool same_inside(const rti_machine *m, uint32_t a, uint32_t b)
{
    const rti_frame *x = &m->frames[a], *y = &m->frames[b];
    if (a == b) return true;
    return x->inside == y->inside && x->kind == y->kind && x->within == y->within && memcmp(&x->block, &y->block, offsetof(rti_frame, next) - offsetof(rti_frame, block)) == 0;
}

static bool mergeable(const rti_machine *m, const rti_thread *x, const rti_thread *y)
{
    return x->kind == y->kind && memcmp(&x->a, &y->a, sizeof *x - offsetof(rti_thread, a)) == 0 && same_inside(m, x->frame, y->frame);
}

static uint32_t hash_of(const rti_machine *m, const rti_thread *t)
{
    rti_thread copy = *t;
    copy.frame = m->frames[t->frame].inside;
    return rti_hash_five_words(&copy);
}

// What is kept while merging: a table of threads by hash; frames that threads gave up, in lists by the thread that stays.
typedef struct merging {
    rti_machine *m;
    uint32_t first, used; // threads that stay
    uint32_t *table, table_size;
    uint32_t *head;       // by thread that stays: place in frames and next, plus one
    uint32_t *frames, *next, gathered;
} merging;

// The thread that this one falls together with, or UINT32_MAX.
static uint32_t find(merging *x, const rti_thread *t)
{
    rti_machine *m = x->m;
    if (x->table == NULL) {
        for (uint32_t i = x->first; i < x->used; i++) {
            if (mergeable(m, &m->threads[i], t)) return i;
        }
        return UINT32_MAX;
    }
    uint32_t at = hash_of(m, t) & (x->table_size - 1);
    for (; x->table[at] != UINT32_MAX; at = (at + 1) & (x->table_size - 1)) {
        if (mergeable(m, &m->threads[x->first + x->table[at]], t)) return x->first + x->table[at];
    }
    x->table[at] = x->used - x->first;
    return UINT32_MAX;
}

static void gather(merging *x, uint32_t thread, uint32_t frame)
{
    x->frames[x->gathered] = frame;
    x->next[x->gathered] = x->head[thread - x->first];
    x->head[thread - x->first] = ++x->gathered;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// One frame for all, with the parents of each.
static uint32_t join_frames(merging *x, uint32_t frame, uint32_t list)
{
    rti_machine *m = x->m;
    uint32_t count = 0;
    for (uint32_t next = list; frame != UINT32_MAX;) {
        for (uint32_t p = m->frames[frame].parent; p != 0; p = m->parents[p].rest) {
            if (!room(m, &m->merge_parents, &m->merge_parents_capacity, count + 1)) return frame;
            m->merge_parents[count++] = m->parents[p].frame;
        }
        frame = next == 0 ? UINT32_MAX : x->frames[next - 1];
        next = next == 0 ? 0 : x->next[next - 1];
    }
    frame = x->frames[list - 1];
    if (count == 0) return frame;
    qsort(m->merge_parents, count, sizeof *m->merge_parents, by_number);
    rti_frame joined = m->frames[frame];
    joined.parent = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || m->merge_parents[i] != m->merge_parents[i - 1]) joined.parent = rti_parents_add(m, m->merge_parents[i], joined.parent);
    }
    return rti_frame_intern(m, joined);
}

void rti_threads_merge(rti_machine *m, uint32_t first)
{
    _Static_assert(sizeof(rti_thread) == 5 * sizeof(uint64_t), "a thread is five words");
    _Static_assert(offsetof(rti_frame, parent) + sizeof(uint32_t) == offsetof(rti_frame, block), "parents come before the rest");
    uint32_t count = m->thread_count - first, size = 0;
    if (count < 2) return;
    if (count > FEW) {
        for (size = 32; size < 2 * count; size *= 2) continue;
    }
    if (!room(m, &m->merge, &m->merge_capacity, 3 * count + size)) return;
    merging x = { .m = m, .first = first, .used = first, .head = m->merge, .frames = m->merge + count, .next = m->merge + 2 * count };
    if (size != 0) {
        x.table = m->merge + 3 * count;
        x.table_size = size;
        memset(x.table, 0xFF, size * sizeof *x.table);
    }
    for (uint32_t i = first; i < m->thread_count; i++) {
        uint32_t same = find(&x, &m->threads[i]);
        if (same == UINT32_MAX) {
            x.head[x.used - first] = 0;
            m->threads[x.used++] = m->threads[i];
        } else if (m->threads[same].frame != m->threads[i].frame) {
            gather(&x, same, m->threads[i].frame);
        }
    }
    m->thread_count = x.used;
    for (uint32_t i = first; i < x.used && x.gathered != 0; i++) {
        uint32_t list = x.head[i - first];
        if (list != 0) m->threads[i].frame = join_frames(&x, m->threads[i].frame, list);
    }
}
