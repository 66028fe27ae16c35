// tokenizer/merge_long.c - merging a long word in linear time.
//
// A heap of all pairs costs a cache miss or more for each level of each pair. Here the pairs of one priority form a list,
// their bucket; only buckets go through a heap, and a long word has few of those for its length. Buckets are taken in
// order of priority and each from left to right, which is the order that defines the result. A pair that goes away is
// not looked for in its bucket: that its symbol names another one is enough to pass over it.
//
// A merge that makes a pair of the same or a lower priority (it can: the order of a vocabulary need not follow how its
// tokens are built) puts that pair on a small heap of its own that goes first. Where the vocabulary shows that this
// cannot happen for a token (rt_tokenizer's `ordered`), all merges into it are done before any new pair is looked up,
// which is far fewer look-ups. Long words are bound by memory: what a symbol takes is kept to 16 bytes.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include <stdlib.h>

#define NONE UINT32_MAX

// One symbol of the word; links are indices of symbols.
typedef struct node {
    int32_t id;
    uint32_t previous, next;
    uint32_t bucket; // of the pair with `next`; NONE: no such pair, or merged away
} node;

// Symbols of a bucket, in the order in which they came.
typedef struct chunk {
    uint32_t next; // NONE: the last one
    uint32_t count;
    uint32_t at[14];
} chunk;

// The pairs of one priority.
typedef struct bucket {
    uint32_t priority;
    int32_t result;       // of a merge (SCORE_BPE keeps one for each pair)
    uint32_t first, last; // chunks; NONE: empty
    uint32_t latest;      // the symbol added last
    uint32_t count;       // of symbols in its chunks: one that left and came back is there twice
    bool queued;          // in the heap
    bool sorted;          // symbols came from left to right
} bucket;

typedef struct queue { // a binary heap
    uint64_t *items;
    size_t count, capacity;
} queue;

// Kept from word to word of one call.
struct rti_merging {
    const char *word;
    uint32_t size;
    node *nodes;
    size_t nodes_capacity;
    uint32_t *starts; // byte of each symbol; only where symbols are not the bytes themselves
    size_t starts_capacity;
    int32_t *results; // of each pair, SCORE_BPE only
    size_t results_capacity;
    uint32_t *positions;
    size_t positions_capacity;
    bucket *buckets;
    size_t bucket_count, bucket_capacity;
    chunk *chunks;
    size_t chunk_count, chunk_capacity;
    uint32_t free_chunk;
    uint32_t *index; // priority -> bucket + 1, open addressing
    size_t index_capacity;
    queue priorities; // priority << 32 | bucket, of buckets that are not empty
    queue urgent;     // priority << 32 | node
    uint32_t current; // the priority that is being taken; valid while `taking`
    bool taking;
    bool has_starts, has_results;
    bool failed;
    struct { int32_t left, right; rti_pair pair; uint32_t bucket; } last; // the pair that was looked up last
};

typedef struct rti_merging merging;

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

static size_t index_slot(const merging *m, uint32_t priority)
{
    return (priority * 0x9E3779B1u) & (m->index_capacity - 1);
}

static void index_bucket(merging *m, uint32_t number)
{
    size_t i = index_slot(m, m->buckets[number].priority);
    while (m->index[i] != 0)
        i = (i + 1) & (m->index_capacity - 1);
    m->index[i] = number + 1;
}

static bool grow_index(merging *m, const rt_host *host)
{
    size_t capacity = m->index_capacity ? m->index_capacity * 2 : 1024;
    uint32_t *index = rti_allocate_zeroed(host, capacity * sizeof(*index));
    if (!index)
        return false;
    rti_release(host, m->index, m->index_capacity * sizeof(*index));
    m->index = index;
    m->index_capacity = capacity;
    for (size_t i = 0; i < m->bucket_count; i++)
        index_bucket(m, (uint32_t)i);
    return true;
}

// The bucket of a priority, made when there is none. NONE: out of memory.
static uint32_t find_bucket(merging *m, const rt_host *host, rti_pair pair)
{
    if (m->bucket_count * 2 >= m->index_capacity && !grow_index(m, host))
        return NONE;
    for (size_t i = index_slot(m, pair.priority); m->index[i] != 0; i = (i + 1) & (m->index_capacity - 1))
        if (m->buckets[m->index[i] - 1].priority == pair.priority)
            return m->index[i] - 1;
    if (!rti_array_reserve(host, (void **)&m->buckets, &m->bucket_capacity, m->bucket_count + 1, sizeof(*m->buckets)))
        return NONE;
    uint32_t number = (uint32_t)m->bucket_count++;
    m->buckets[number] = (bucket){.priority = pair.priority, .result = pair.result, .first = NONE, .last = NONE};
    index_bucket(m, number);
    return number;
}

static uint32_t new_chunk(merging *m, const rt_host *host)
{
    uint32_t number = m->free_chunk;
    if (number != NONE) {
        m->free_chunk = m->chunks[number].next;
    } else {
        if (!rti_array_reserve(host, (void **)&m->chunks, &m->chunk_capacity, m->chunk_count + 1, sizeof(*m->chunks)))
            return NONE;
        number = (uint32_t)m->chunk_count++;
    }
    m->chunks[number].next = NONE;
    m->chunks[number].count = 0;
    return number;
}

static void add_pair(merging *m, const rt_host *host, uint32_t number, uint32_t at)
{
    bucket *b = &m->buckets[number];
    if (m->taking && b->priority <= m->current) {
        m->failed |= !queue_push(host, &m->urgent, (uint64_t)b->priority << 32 | at);
        return;
    }
    if (b->first == NONE || m->chunks[b->last].count == RTI_COUNT(m->chunks->at)) {
        uint32_t added = new_chunk(m, host);
        if (added == NONE) {
            m->failed = true;
            return;
        }
        b->sorted = b->first == NONE || b->sorted;
        b->latest = b->first == NONE ? at : b->latest;
        if (b->first == NONE)
            b->first = added;
        else
            m->chunks[b->last].next = added;
        b->last = added;
    }
    chunk *c = &m->chunks[b->last];
    c->at[c->count++] = at;
    b->count += 1;
    b->sorted &= b->latest <= at;
    b->latest = at;
    if (!b->queued) {
        b->queued = true;
        m->failed |= !queue_push(host, &m->priorities, (uint64_t)b->priority << 32 | number);
    }
}

static inline uint32_t start_of(const merging *m, uint32_t at)
{
    return m->has_starts ? m->starts[at] : at;
}

static void look_up(merging *m, rti_encoder *e, uint32_t at, const node *n)
{
    const node *right = &m->nodes[n->next];
    bool by_text = n->id < 0 || right->id < 0;
    if (!by_text && m->last.left == n->id && m->last.right == right->id)
        return; // runs of one character ask the same again and again
    uint32_t end = right->next == NONE ? m->size : start_of(m, right->next);
    rti_pair pair = rti_find_pair(e, m->word, n->id, start_of(m, at), right->id, end, start_of(m, n->next));
    if (pair.priority != m->last.pair.priority)
        m->last.bucket = pair.priority == RTI_NO_MERGE ? NONE : find_bucket(m, &e->host, pair);
    m->failed |= pair.priority != RTI_NO_MERGE && m->last.bucket == NONE;
    m->last.left = n->id;
    m->last.right = right->id;
    m->last.pair = pair;
}

// Looks up the pair that begins at `at`.
static void set_pair(merging *m, rti_encoder *e, uint32_t at)
{
    node *n = &m->nodes[at];
    n->bucket = NONE;
    if (n->next == NONE)
        return;
    look_up(m, e, at, n);
    n->bucket = m->last.bucket;
    if (m->has_results)
        m->results[at] = m->last.pair.result;
    if (n->bucket != NONE)
        add_pair(m, &e->host, n->bucket, at);
}

// Joins `at` and the symbol behind it; the pairs around it are not up to date then.
static inline void join(merging *m, uint32_t at, int32_t result)
{
    node *n = &m->nodes[at];
    node *right = &m->nodes[n->next];
    right->bucket = NONE;
    n->id = m->has_results ? m->results[at] : result;
    n->next = right->next;
    n->bucket = NONE; // its own pair is the one that was taken
    if (n->next != NONE)
        m->nodes[n->next].previous = at;
}

static void merge_at(merging *m, rti_encoder *e, uint32_t at)
{
    join(m, at, m->buckets[m->nodes[at].bucket].result);
    uint32_t previous = m->nodes[at].previous;
    if (previous != NONE)
        set_pair(m, e, previous);
    set_pair(m, e, at);
}

static int compare_positions(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// The symbols of a bucket that are still of it, from left to right; it is empty then. With `joins` each is joined on
// the way, where that can be done in one go.
static size_t take(merging *m, const rt_host *host, uint32_t number, bool joins)
{
    bucket *b = &m->buckets[number];
    size_t count = 0;
    if (!rti_array_reserve(host, (void **)&m->positions, &m->positions_capacity, b->count, sizeof(*m->positions))) {
        m->failed = true;
        return 0;
    }
    for (uint32_t c = b->first; c != NONE;) {
        chunk *taken = &m->chunks[c];
        for (uint32_t i = 0; i < taken->count; i++) {
            uint32_t at = taken->at[i];
            if (m->nodes[at].bucket != number)
                continue;
            m->positions[count++] = at;
            if (joins && b->sorted)
                join(m, at, b->result);
        }
        uint32_t next = taken->next;
        taken->next = m->free_chunk;
        m->free_chunk = c;
        c = next;
    }
    b->first = b->last = NONE;
    b->count = 0;
    b->queued = false;
    if (b->sorted)
        return count;
    qsort(m->positions, count, sizeof(*m->positions), compare_positions);
    if (!joins)
        return count;
    size_t joined = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = m->positions[i];
        if (m->nodes[at].bucket == number) {
            join(m, at, b->result);
            m->positions[joined++] = at;
        }
    }
    return joined;
}

static void merge_one_by_one(merging *m, rti_encoder *e, uint32_t number)
{
    size_t count = take(m, &e->host, number, false);
    for (size_t i = 0; i < count && !m->failed; i++) {
        if (m->nodes[m->positions[i]].bucket != number)
            continue;
        merge_at(m, e, m->positions[i]);
        while (m->urgent.count > 0 && !m->failed) {
            uint64_t item = queue_pop(&m->urgent);
            uint32_t at = (uint32_t)item, of = m->nodes[at].bucket;
            if (of != NONE && m->buckets[of].priority == (uint32_t)(item >> 32))
                merge_at(m, e, at);
        }
    }
}

static void merge_together(merging *m, rti_encoder *e, uint32_t number)
{
    size_t count = take(m, &e->host, number, true);
    for (size_t i = 0; i < count && !m->failed; i++) {
        uint32_t at = m->positions[i], previous = m->nodes[at].previous;
        // A neighbour that was joined as well has its pair already.
        if (previous != NONE && (i == 0 || m->positions[i - 1] != previous))
            set_pair(m, e, previous);
        set_pair(m, e, at);
    }
}

static void merge_all(merging *m, rti_encoder *e)
{
    const uint8_t *ordered = e->tokenizer->ordered;
    while (m->priorities.count > 0 && !m->failed) {
        uint64_t item = queue_pop(&m->priorities);
        uint32_t number = (uint32_t)item;
        m->current = (uint32_t)(item >> 32);
        m->taking = true;
        if (ordered && ordered[m->buckets[number].result])
            merge_together(m, e, number);
        else
            merge_one_by_one(m, e, number);
        m->taking = false;
    }
}

static bool prepare(merging *m, const rt_host *host, size_t count)
{
    // A pass over the used part is cheaper than clearing the whole index, which a longer word may have grown.
    for (size_t i = 0; i < m->bucket_count; i++)
        for (size_t k = index_slot(m, m->buckets[i].priority); m->index[k] != 0; k = (k + 1) & (m->index_capacity - 1))
            m->index[k] = 0;
    m->bucket_count = m->chunk_count = m->priorities.count = m->urgent.count = 0;
    m->free_chunk = NONE;
    m->taking = m->failed = false;
    m->last.left = m->last.right = -2;
    m->last.pair = (rti_pair){RTI_NO_MERGE, -1};
    m->last.bucket = NONE;
    size_t chunks = count / RTI_COUNT(m->chunks->at) + 64;
    return rti_array_reserve(host, (void **)&m->nodes, &m->nodes_capacity, count, sizeof(*m->nodes)) &&
           rti_array_reserve(host, (void **)&m->chunks, &m->chunk_capacity, chunks, sizeof(*m->chunks)) &&
           (!m->has_starts ||
            rti_array_reserve(host, (void **)&m->starts, &m->starts_capacity, count, sizeof(*m->starts))) &&
           (!m->has_results ||
            rti_array_reserve(host, (void **)&m->results, &m->results_capacity, count, sizeof(*m->results)));
}

bool rti_merge_long(rti_encoder *e, const char *word, size_t size, const rti_symbol *symbols, size_t count, int32_t *single)
{
    const rt_tokenizer *t = e->tokenizer;
    *single = -1;
    if (count == 0)
        return true;
    if (!e->merging)
        e->merging = rti_allocate_zeroed(&e->host, sizeof(*e->merging));
    merging *m = e->merging;
    if (!m)
        return false;
    m->has_starts = symbols != NULL;
    m->has_results = t->kind == RTI_TOKENIZER_SCORE_BPE;
    if (!prepare(m, &e->host, count))
        return false;
    m->word = word;
    m->size = (uint32_t)size;
    for (uint32_t i = 0; i < count && symbols; i++)
        m->starts[i] = symbols[i].start;
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = symbols ? symbols[i].id : t->byte_ids[(uint8_t)word[i]];
        m->nodes[i] = (node){id, i > 0 ? i - 1 : NONE, i + 1 < count ? i + 1 : NONE, NONE};
        if (i > 0)
            set_pair(m, e, i - 1);
    }
    merge_all(m, e);
    if (m->failed)
        return false;
    if (m->nodes[0].next == NONE)
        *single = m->nodes[0].id;
    for (uint32_t at = 0; at != NONE;) {
        uint32_t next = m->nodes[at].next, start = start_of(m, at), end = next == NONE ? m->size : start_of(m, next);
        if (!rti_encode_symbol(e, word + start, end - start, m->nodes[at].id))
            return false;
        at = next;
    }
    return true;
}

void rti_merging_release(const rt_host *host, rti_merging *m)
{
    if (!m)
        return;
    rti_release(host, m->nodes, m->nodes_capacity * sizeof(*m->nodes));
    rti_release(host, m->starts, m->starts_capacity * sizeof(*m->starts));
    rti_release(host, m->results, m->results_capacity * sizeof(*m->results));
    rti_release(host, m->positions, m->positions_capacity * sizeof(*m->positions));
    rti_release(host, m->buckets, m->bucket_capacity * sizeof(*m->buckets));
    rti_release(host, m->chunks, m->chunk_capacity * sizeof(*m->chunks));
    rti_release(host, m->index, m->index_capacity * sizeof(*m->index));
    rti_release(host, m->priorities.items, m->priorities.capacity * sizeof(*m->priorities.items));
    rti_release(host, m->urgent.items, m->urgent.capacity * sizeof(*m->urgent.items));
    rti_release(host, m, sizeof(*m));
}
