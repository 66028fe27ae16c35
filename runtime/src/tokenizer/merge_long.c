// tokenizer/merge_long.c - merging a long word in linear time.
//
// A heap of all pairs costs a cache miss or more for each level of each pair. Here the pairs of one priority form a list;
// only priorities go through a heap, and a long word has few of those for its length. Lists are taken in order of
// priority and each from left to right, which is the order that defines the result. A merge that makes a pair of the
// same or a lower priority (it can: the order of a vocabulary need not follow how its tokens are built) puts that pair
// on a small heap of its own that goes first.
// SPDX-License-Identifier: MIT
#include "tokenizer/encode.h"

#include <stdlib.h>

#define NONE UINT32_MAX

// One symbol of the word; all links are indices of symbols.
typedef struct node {
    int32_t id;
    uint32_t start;
    uint32_t previous, next;
    uint32_t priority; // of the pair with `next`; RTI_NO_MERGE: none, or merged away
    int32_t result;
    uint32_t list_previous, list_next; // other pairs of this priority; list_previous NONE: the first
} node;

typedef struct bucket {
    uint32_t priority;
    uint32_t first; // NONE: empty
    uint32_t last;
    bool queued; // in the heap
    bool used;
} bucket;

typedef struct queue { // a binary heap
    uint64_t *items;
    size_t count, capacity;
} queue;

typedef struct merging {
    rti_encoder *e;
    const char *word;
    uint32_t size;
    node *nodes;
    bucket *buckets; // by priority, open addressing
    size_t bucket_capacity, bucket_count;
    queue priorities; // of buckets that are not empty
    queue urgent;     // priority << 32 | node
    uint32_t current; // the priority that is being taken; RTI_NO_MERGE: none yet
    bool failed;
} merging;

static bool queue_push(const rt_host *host, queue *q, uint64_t item)
{
    if (q->count == q->capacity &&
        !rti_array_reserve(host, (void **)&q->items, &q->capacity, q->count + 1, sizeof(*q->items)))
        return false;
    size_t i = q->count++;
    for (; i > 0 && q->items[(i - 1) / 2] > item; i = (i - 1) / 2)
        q->items[i] = q->items[(i - 1) / 2];
    q->items[i] = item;
    return true;
}

static uint64_t queue_pop(queue *q)
{
    uint64_t top = q->items[0], item = q->items[--q->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && q->items[child + 1] < q->items[child])
            child += 1;
        if (q->items[child] >= item)
            break;
        q->items[i] = q->items[child];
        i = child;
    }
    if (q->count > 0)
        q->items[i] = item;
    return top;
}

static size_t bucket_slot(const bucket *buckets, size_t capacity, uint32_t priority)
{
    size_t i = (priority * 0x9E3779B1u) & (capacity - 1);
    while (buckets[i].used && buckets[i].priority != priority)
        i = (i + 1) & (capacity - 1);
    return i;
}

static bool grow_buckets(merging *m)
{
    size_t capacity = m->bucket_capacity ? m->bucket_capacity * 2 : 256;
    bucket *buckets = rti_allocate_zeroed(&m->e->host, capacity * sizeof(*buckets));
    if (!buckets)
        return false;
    for (size_t i = 0; i < m->bucket_capacity; i++)
        if (m->buckets[i].used)
            buckets[bucket_slot(buckets, capacity, m->buckets[i].priority)] = m->buckets[i];
    rti_release(&m->e->host, m->buckets, m->bucket_capacity * sizeof(*buckets));
    m->buckets = buckets;
    m->bucket_capacity = capacity;
    return true;
}

static void link_pair(merging *m, uint32_t at)
{
    node *n = &m->nodes[at];
    if (n->priority <= m->current && m->current != RTI_NO_MERGE) {
        n->list_previous = n->list_next = NONE;
        m->failed |= !queue_push(&m->e->host, &m->urgent, (uint64_t)n->priority << 32 | at);
        return;
    }
    if (m->bucket_count * 2 >= m->bucket_capacity && !grow_buckets(m)) {
        m->failed = true;
        return;
    }
    bucket *b = &m->buckets[bucket_slot(m->buckets, m->bucket_capacity, n->priority)];
    if (!b->used) {
        *b = (bucket){.priority = n->priority, .first = NONE, .last = NONE, .used = true};
        m->bucket_count += 1;
    }
    n->list_previous = b->last;
    n->list_next = NONE;
    if (b->last != NONE)
        m->nodes[b->last].list_next = at;
    else
        b->first = at;
    b->last = at;
    if (!b->queued) {
        b->queued = true;
        m->failed |= !queue_push(&m->e->host, &m->priorities, n->priority);
    }
}

// Takes the pair at `at` out of its list. Pairs of the list that is being taken, and urgent ones, are in none: their
// node's priority is enough to pass over them.
static void unlink_pair(merging *m, uint32_t at)
{
    node *n = &m->nodes[at];
    if (n->priority == RTI_NO_MERGE)
        return;
    if (m->current == RTI_NO_MERGE || n->priority > m->current) {
        bucket *b = &m->buckets[bucket_slot(m->buckets, m->bucket_capacity, n->priority)];
        if (n->list_previous != NONE)
            m->nodes[n->list_previous].list_next = n->list_next;
        else
            b->first = n->list_next;
        if (n->list_next != NONE)
            m->nodes[n->list_next].list_previous = n->list_previous;
        else
            b->last = n->list_previous;
    }
    n->priority = RTI_NO_MERGE;
}

static void set_pair(merging *m, uint32_t at, bool linked)
{
    node *n = &m->nodes[at];
    if (linked)
        unlink_pair(m, at);
    n->priority = RTI_NO_MERGE;
    if (n->next == NONE)
        return;
    const node *right = &m->nodes[n->next];
    uint32_t end = right->next == NONE ? m->size : m->nodes[right->next].start;
    rti_pair pair = rti_find_pair(m->e, m->word, n->id, n->start, right->id, end, right->start);
    n->priority = pair.priority;
    n->result = pair.result;
    if (pair.priority != RTI_NO_MERGE)
        link_pair(m, at);
}

static void merge_at(merging *m, uint32_t at)
{
    node *n = &m->nodes[at];
    uint32_t right = n->next;
    unlink_pair(m, right);
    n->id = n->result;
    n->next = m->nodes[right].next;
    m->nodes[right].previous = NONE;
    m->nodes[right].next = NONE;
    if (n->next != NONE)
        m->nodes[n->next].previous = at;
    n->priority = RTI_NO_MERGE; // its own pair is the one that was taken
    if (n->previous != NONE)
        set_pair(m, n->previous, true);
    set_pair(m, at, false);
}

static int compare_positions(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// The list of the current priority, from left to right.
static size_t take_list(merging *m, uint32_t *positions)
{
    bucket *b = &m->buckets[bucket_slot(m->buckets, m->bucket_capacity, m->current)];
    size_t count = 0;
    bool sorted = true;
    for (uint32_t at = b->first; at != NONE; at = m->nodes[at].list_next) {
        sorted &= count == 0 || positions[count - 1] < at;
        positions[count++] = at;
    }
    b->first = b->last = NONE;
    b->queued = false;
    if (!sorted)
        qsort(positions, count, sizeof(*positions), compare_positions);
    return count;
}

static void take_urgent(merging *m)
{
    while (m->urgent.count > 0 && !m->failed) {
        uint64_t item = queue_pop(&m->urgent);
        uint32_t at = (uint32_t)item;
        if (m->nodes[at].priority == (uint32_t)(item >> 32))
            merge_at(m, at);
    }
}

static void run(merging *m, uint32_t *positions)
{
    while (m->priorities.count > 0 && !m->failed) {
        m->current = (uint32_t)queue_pop(&m->priorities);
        size_t count = take_list(m, positions);
        for (size_t i = 0; i < count && !m->failed; i++) {
            if (m->nodes[positions[i]].priority != m->current)
                continue;
            merge_at(m, positions[i]);
            take_urgent(m);
        }
        m->current = RTI_NO_MERGE;
    }
}

ptrdiff_t rti_merge_long(rti_encoder *e, const char *word, size_t size, rti_symbol *symbols, size_t count)
{
    if (count < 2)
        return (ptrdiff_t)count;
    size_t node_bytes = count * sizeof(node);
    char *memory = rti_scratch_get(&e->host, &e->long_word, node_bytes + count * sizeof(uint32_t));
    if (!memory)
        return -1;
    merging m = {.e = e, .word = word, .size = (uint32_t)size, .nodes = (node *)memory, .current = RTI_NO_MERGE};
    for (size_t i = 0; i < count; i++)
        m.nodes[i] = (node){.id = symbols[i].id,
                            .start = symbols[i].start,
                            .previous = i > 0 ? (uint32_t)(i - 1) : NONE,
                            .next = i + 1 < count ? (uint32_t)(i + 1) : NONE,
                            .priority = RTI_NO_MERGE};
    for (size_t i = 0; i + 1 < count && !m.failed; i++)
        set_pair(&m, (uint32_t)i, false);
    run(&m, (uint32_t *)(memory + node_bytes));
    size_t left = 0;
    for (uint32_t at = 0; at != NONE && !m.failed; at = m.nodes[at].next)
        symbols[left++] = (rti_symbol){m.nodes[at].id, m.nodes[at].start};
    rti_release(&e->host, m.buckets, m.bucket_capacity * sizeof(bucket));
    rti_release(&e->host, m.priorities.items, m.priorities.capacity * sizeof(uint64_t));
    rti_release(&e->host, m.urgent.items, m.urgent.capacity * sizeof(uint64_t));
    return m.failed ? -1 : (ptrdiff_t)left;
}
