// Threads, frames and what was seen: tables that grow, and forget what was made after a mark.
// SPDX-License-Identifier: MIT
#include "grammar/containers.h"
#include "grammar/unseen.h"

#include <string.h>

enum { FIRST_BUCKETS = 256 };

static bool reserve(rti_machine *m, void **items, uint32_t *capacity, uint32_t needed, size_t item_size)
{
    size_t room = *capacity;
    if (needed <= room) return true;
    if (!rti_array_reserve(&m->host, items, &room, needed, item_size)) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
        return false;
    }
    *capacity = (uint32_t)room;
    return true;
}

rti_thread *rti_machine_push(rti_machine *m)
{
    static _Thread_local rti_thread nowhere;
    if (!reserve(m, (void **)&m->threads, &m->thread_capacity, m->thread_count + 1, sizeof *m->threads)) return &nowhere;
    rti_thread *t = &m->threads[m->thread_count++];
    memset(t, 0, sizeof *t);
    t->t = RTI_OUTSIDE;
    return t;
}

static uint64_t frame_hash(const rti_frame *f)
{
    _Static_assert(offsetof(rti_frame, next) == 5 * sizeof(uint64_t), "a frame is five words, but for its place in the table");
    return rti_hash_five_words(f);
}

// Twice as many buckets, empty. False: no memory, and the old ones stay.
static bool more_buckets(rti_machine *m, uint32_t **buckets, uint32_t *count)
{
    uint32_t wanted = *count == 0 ? FIRST_BUCKETS : *count * 2;
    uint32_t *fresh = rti_allocate(&m->host, wanted * sizeof *fresh);
    if (fresh == NULL) {
        if (m->error == RT_OK) m->error = rti_fail(&m->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
        return false;
    }
    memset(fresh, 0xFF, wanted * sizeof *fresh);
    rti_release(&m->host, *buckets, *count * sizeof *fresh);
    *buckets = fresh;
    *count = wanted;
    return true;
}

static bool rehash_frames(rti_machine *m)
{
    if (!more_buckets(m, &m->frame_buckets, &m->frame_bucket_count)) return false;
    for (uint32_t i = 0; i < m->frame_count; i++) {
        uint32_t *bucket = &m->frame_buckets[frame_hash(&m->frames[i]) & (m->frame_bucket_count - 1)];
        m->frames[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

uint32_t rti_frame_intern(rti_machine *m, rti_frame f)
{
    if (m->frame_count * 2 >= m->frame_bucket_count && !rehash_frames(m)) return 0;
    uint32_t *bucket = &m->frame_buckets[frame_hash(&f) & (m->frame_bucket_count - 1)];
    for (uint32_t i = *bucket; i != UINT32_MAX; i = m->frames[i].next) {
        if (memcmp(&m->frames[i], &f, offsetof(rti_frame, next)) == 0) return i;
    }
    if (!reserve(m, (void **)&m->frames, &m->frame_capacity, m->frame_count + 1, sizeof *m->frames)) return 0;
    uint32_t id = m->frame_count++, parent = f.parent;
    f.parent = 0;
    f.inside = rti_hash_five_words(&f);
    f.parent = parent;
    f.next = *bucket;
    *bucket = id;
    m->frames[id] = f;
    return id;
}

static uint64_t parents_hash(uint32_t frame, uint32_t rest)
{
    return rti_hash_mix(frame, rest);
}

static bool rehash_parents(rti_machine *m)
{
    if (!more_buckets(m, &m->parents_buckets, &m->parents_bucket_count)) return false;
    for (uint32_t i = 1; i < m->parents_count; i++) {
        uint32_t *bucket = &m->parents_buckets[parents_hash(m->parents[i].frame, m->parents[i].rest) & (m->parents_bucket_count - 1)];
        m->parents[i].next = *bucket;
        *bucket = i;
    }
    return true;
}

uint32_t rti_parents_add(rti_machine *m, uint32_t frame, uint32_t rest)
{
    if (m->parents_count * 2 >= m->parents_bucket_count && !rehash_parents(m)) return 0;
    uint32_t *bucket = &m->parents_buckets[parents_hash(frame, rest) & (m->parents_bucket_count - 1)];
    for (uint32_t i = *bucket; i != UINT32_MAX; i = m->parents[i].next) {
        if (m->parents[i].frame == frame && m->parents[i].rest == rest) return i;
    }
    if (m->parents_count == 0) m->parents_count = 1; // 0: no parents
    if (!reserve(m, (void **)&m->parents, &m->parents_capacity, m->parents_count + 1, sizeof *m->parents)) return 0;
    uint32_t id = m->parents_count++;
    m->parents[id] = (rti_parents){ .frame = frame, .rest = rest, .next = *bucket };
    *bucket = id;
    return id;
}

bool rti_is_seen(const rti_machine *m, uint32_t list, uint64_t hash)
{
    for (; list != 0; list = m->seen[list].before) {
        if (m->seen[list].hash == hash) return true;
    }
    return false;
}

// `counts`: towards the length of the list.
uint32_t rti_seen_add(rti_machine *m, uint32_t list, uint64_t hash, bool counts)
{
    uint64_t own = rti_hash_mix(hash, list);
    uint32_t *bucket = &m->seen_buckets[own & (m->seen_bucket_count - 1)];
    for (uint32_t i = *bucket; i != UINT32_MAX; i = m->seen[i].next) {
        if (m->seen[i].hash == hash && m->seen[i].before == list) return i;
    }
    if (!reserve(m, (void **)&m->seen, &m->seen_capacity, m->seen_count + 1, sizeof *m->seen)) return 0;
    uint32_t id = m->seen_count++;
    m->seen[id] = (rti_seen){ .hash = hash, .before = list, .length = m->seen[list].length + counts, .next = *bucket };
    *bucket = id;
    return id;
}

rti_machine_mark rti_machine_here(const rti_machine *m)
{
    return (rti_machine_mark){ m->frame_count, m->seen_count, m->parents_count };
}

void rti_machine_forget(rti_machine *m, rti_machine_mark mark)
{
    if (m->open_frame > mark.frames) m->open_frame = 0;
    while (m->frame_count > mark.frames) {
        const rti_frame *f = &m->frames[--m->frame_count];
        m->frame_buckets[frame_hash(f) & (m->frame_bucket_count - 1)] = f->next;
    }
    while (m->seen_count > mark.seen) {
        const rti_seen *s = &m->seen[--m->seen_count];
        m->seen_buckets[rti_hash_mix(s->hash, s->before) & (m->seen_bucket_count - 1)] = s->next;
    }
    while (m->parents_count > RTI_MAX(mark.parents, 1u)) {
        const rti_parents *p = &m->parents[--m->parents_count];
        m->parents_buckets[parents_hash(p->frame, p->rest) & (m->parents_bucket_count - 1)] = p->next;
    }
}

rt_result rti_machine_begin(rti_machine *m, rt_grammar *g, const rt_host *host)
{
    memset(m, 0, sizeof *m);
    m->g = g;
    m->host = *host;
    m->seen_bucket_count = 64;
    m->seen_buckets = rti_allocate(host, m->seen_bucket_count * sizeof *m->seen_buckets);
    if (m->seen_buckets == NULL) {
        m->seen_bucket_count = 0;
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
    }
    memset(m->seen_buckets, 0xFF, m->seen_bucket_count * sizeof *m->seen_buckets);
    if (!reserve(m, (void **)&m->seen, &m->seen_capacity, 16, sizeof *m->seen)) return m->error;
    m->seen[0] = (rti_seen){ 0 };
    m->seen_count = 1;
    rti_frame_intern(m, (rti_frame){ .kind = RTI_FRAME_ROOT });
    return m->error;
}

void rti_machine_end(rti_machine *m)
{
    rti_release(&m->host, m->threads, m->thread_capacity * sizeof *m->threads);
    rti_release(&m->host, m->frames, m->frame_capacity * sizeof *m->frames);
    rti_release(&m->host, m->frame_buckets, m->frame_bucket_count * sizeof *m->frame_buckets);
    rti_release(&m->host, m->parents, m->parents_capacity * sizeof *m->parents);
    rti_release(&m->host, m->parents_buckets, m->parents_bucket_count * sizeof *m->parents_buckets);
    rti_release(&m->host, m->merge, m->merge_capacity * sizeof *m->merge);
    rti_release(&m->host, m->merge_parents, m->merge_parents_capacity * sizeof *m->merge_parents);
    rti_release(&m->host, m->seen, m->seen_capacity * sizeof *m->seen);
    rti_release(&m->host, m->seen_buckets, m->seen_bucket_count * sizeof *m->seen_buckets);
}
