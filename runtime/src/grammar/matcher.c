// The public walk: masks, tokens, bytes.
// SPDX-License-Identifier: MIT
#include "grammar/mask.h"
#include "grammar/trigger.h"

#include <string.h>

enum { MAX_ENDS = 16, KEPT_MASKS = 2, KEPT_THREADS = 8 };

// A mask and the threads that it belongs to: inside one string it is often the same again.
typedef struct kept_mask {
    uint32_t thread_count; // 0: none
    rti_thread threads[KEPT_THREADS];
    uint32_t *words;
} kept_mask;

struct rt_matcher {
    rt_host host;
    rt_grammar *grammar;
    rti_machine machine; // its first threads are where the walk is
    uint32_t count;      // so many
    rti_set_scratch scratch;
    rti_mask_job job;
    rt_token ends[MAX_ENDS];
    int end_count;
    kept_mask kept[KEPT_MASKS];
    uint32_t next_kept;
    bool ended; // an end token was committed
};

static rt_result check(rti_machine *m)
{
    rt_result result = m->error;
    m->error = RT_OK;
    return result;
}

static void drop_job(rt_matcher *x)
{
    x->job.active = false;
    x->machine.thread_count = x->count;
}

void rt_matcher_reset(rt_matcher *x)
{
    if (x == NULL) return;
    x->machine.thread_count = 0;
    rti_machine_forget(&x->machine, (rti_machine_mark){ 1, 1, 1 });
    rti_machine_start(&x->machine);
    x->count = x->machine.thread_count;
    x->job.active = false;
    x->ended = false;
    for (int i = 0; i < KEPT_MASKS; i++) x->kept[i].thread_count = 0;
}

rt_result rt_matcher_create(rt_grammar *grammar, const rt_host *host, rt_matcher **matcher)
{
    if (matcher == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_create: matcher is NULL");
    *matcher = NULL;
    if (grammar == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_create: grammar is NULL");
    rt_host filled = rti_host_or_default(host != NULL ? host : &grammar->host);
    rt_matcher *x = rti_allocate_zeroed(&filled, sizeof *x);
    if (x == NULL) return rti_fail(&filled, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
    x->host = filled;
    x->grammar = rt_grammar_retain(grammar);
    rt_result result = rti_machine_begin(&x->machine, grammar, &filled);
    if (result == RT_OK) {
        rt_matcher_reset(x);
        result = check(&x->machine);
    }
    if (result != RT_OK) {
        rt_matcher_destroy(x);
        return result;
    }
    if (grammar->vocabulary->end != RT_TOKEN_NONE) x->ends[x->end_count++] = grammar->vocabulary->end;
    *matcher = x;
    return RT_OK;
}

void rt_matcher_destroy(rt_matcher *x)
{
    if (x == NULL) return;
    rt_host host = x->host;
    size_t words = x->grammar->vocabulary->words;
    rti_set_scratch_end(&x->machine, &x->scratch);
    rti_machine_end(&x->machine);
    for (int i = 0; i < KEPT_MASKS; i++) rti_release(&host, x->kept[i].words, words * sizeof(uint32_t));
    rt_grammar_release(x->grammar);
    rti_release(&host, x, sizeof *x);
}

static bool copy_table(const rt_host *host, void **to, const void *from, size_t count, size_t capacity, size_t size)
{
    if (capacity == 0) return true;
    *to = rti_allocate(host, capacity * size);
    if (*to == NULL) return false;
    memcpy(*to, from, count * size);
    return true;
}

rt_result rt_matcher_clone(const rt_matcher *x, rt_matcher **clone)
{
    if (clone == NULL) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_clone: clone is NULL");
    *clone = NULL;
    if (x == NULL) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_clone: matcher is NULL");
    rt_matcher *y = rti_allocate_zeroed(&x->host, sizeof *y);
    if (y == NULL) return rti_fail(&x->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
    y->host = x->host;
    y->grammar = rt_grammar_retain(x->grammar);
    const rti_machine *a = &x->machine;
    rti_machine *b = &y->machine;
    b->g = a->g;
    b->host = a->host;
    bool copied = copy_table(&x->host, (void **)&b->threads, a->threads, x->count, a->thread_capacity, sizeof *a->threads);
    if (copied) b->thread_capacity = a->thread_capacity;
    copied = copied && copy_table(&x->host, (void **)&b->frames, a->frames, a->frame_count, a->frame_capacity, sizeof *a->frames);
    if (copied) b->frame_capacity = a->frame_capacity;
    copied = copied && copy_table(&x->host, (void **)&b->frame_buckets, a->frame_buckets, a->frame_bucket_count, a->frame_bucket_count, sizeof(uint32_t));
    if (copied) b->frame_bucket_count = a->frame_bucket_count;
    copied = copied && copy_table(&x->host, (void **)&b->parents, a->parents, a->parents_count, a->parents_capacity, sizeof *a->parents);
    if (copied) b->parents_capacity = a->parents_capacity;
    copied = copied && copy_table(&x->host, (void **)&b->parents_buckets, a->parents_buckets, a->parents_bucket_count, a->parents_bucket_count, sizeof(uint32_t));
    if (copied) b->parents_bucket_count = a->parents_bucket_count;
    copied = copied && copy_table(&x->host, (void **)&b->seen, a->seen, a->seen_count, a->seen_capacity, sizeof *a->seen);
    if (copied) b->seen_capacity = a->seen_capacity;
    copied = copied && copy_table(&x->host, (void **)&b->seen_buckets, a->seen_buckets, a->seen_bucket_count, a->seen_bucket_count, sizeof(uint32_t));
    if (copied) b->seen_bucket_count = a->seen_bucket_count;
    if (!copied) {
        rt_matcher_destroy(y);
        return rti_fail(&x->host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a matcher");
    }
    b->thread_count = x->count;
    b->frame_count = a->frame_count;
    b->seen_count = a->seen_count;
    b->parents_count = a->parents_count;
    y->count = x->count;
    y->end_count = x->end_count;
    memcpy(y->ends, x->ends, sizeof y->ends);
    y->ended = x->ended;
    *clone = y;
    return RT_OK;
}

size_t rt_matcher_mask_words(const rt_matcher *x)
{
    return x->grammar->vocabulary->words;
}

rt_result rt_matcher_set_end_tokens(rt_matcher *x, const rt_token *ids, int count)
{
    if (x == NULL || count < 0 || count > MAX_ENDS || (count > 0 && ids == NULL)) {
        return rti_fail(x != NULL ? &x->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_set_end_tokens: 0 to %d tokens", MAX_ENDS);
    }
    for (int i = 0; i < count; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= x->grammar->vocabulary->count) {
            return rti_fail(&x->host, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_set_end_tokens: token %d is not in the vocabulary", (int)ids[i]);
        }
    }
    if (count > 0) memcpy(x->ends, ids, (size_t)count * sizeof *ids);
    x->end_count = count;
    for (int i = 0; i < KEPT_MASKS; i++) x->kept[i].thread_count = 0;
    return RT_OK;
}

bool rt_matcher_may_end(rt_matcher *x)
{
    if (x->ended) return true;
    for (uint32_t i = 0; i < x->count; i++) {
        if (rti_thread_may_end(&x->machine, &x->machine.threads[i])) return true;
    }
    return false;
}

bool rt_matcher_must_end(rt_matcher *x)
{
    if (x->ended) return true;
    if (!rt_matcher_may_end(x)) return false;
    char byte[1];
    (void)byte;
    rti_machine *m = &x->machine;
    drop_job(x);
    bool more = false;
    rti_machine_mark mark = rti_machine_here(m);
    for (int i = 0; i < 256 && !more; i++) {
        more = rti_machine_step(m, 0, x->count, (uint8_t)i) != 0;
        m->thread_count = x->count;
    }
    rti_machine_forget(m, mark);
    m->error = RT_OK;
    return !more;
}

// ---------------------------------------------------------------------------------------------------------------------
// Masks
// ---------------------------------------------------------------------------------------------------------------------

static void add_ends(rt_matcher *x, uint32_t *words)
{
    if (!rt_matcher_may_end(x)) return;
    for (int i = 0; i < x->end_count; i++) rti_mask_set(words, (uint32_t)x->ends[i]);
}

static const kept_mask *find_kept(const rt_matcher *x)
{
    for (int i = 0; i < KEPT_MASKS; i++) {
        const kept_mask *k = &x->kept[i];
        if (k->thread_count == x->count && x->count != 0 && memcmp(k->threads, x->machine.threads, x->count * sizeof *k->threads) == 0) return k;
    }
    return NULL;
}

static void keep(rt_matcher *x, const uint32_t *words)
{
    if (x->count == 0 || x->count > KEPT_THREADS) return;
    bool string = false; // elsewhere the next token changes everything
    for (uint32_t i = 0; i < x->count; i++) string |= x->machine.threads[i].kind == RTI_THREAD_STRING || x->machine.threads[i].kind == RTI_THREAD_FREE;
    if (!string) return;
    kept_mask *k = &x->kept[x->next_kept++ % KEPT_MASKS];
    size_t size = x->grammar->vocabulary->words * sizeof *words;
    k->thread_count = 0;
    if (k->words == NULL) k->words = rti_allocate(&x->host, size);
    if (k->words == NULL) return; // only slower
    memcpy(k->words, words, size);
    memcpy(k->threads, x->machine.threads, x->count * sizeof *k->threads);
    k->thread_count = x->count;
}

rt_result rt_matcher_mask_step(rt_matcher *x, uint32_t *words, uint32_t budget_us, bool *done)
{
    if (x == NULL || words == NULL || done == NULL) {
        return rti_fail(x != NULL ? &x->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_mask_step: a pointer is NULL");
    }
    *done = true;
    size_t count = x->grammar->vocabulary->words;
    if (x->ended) {
        memset(words, 0, count * sizeof *words);
        add_ends(x, words);
        return RT_OK;
    }
    if (!x->job.active || x->job.words != words) {
        const kept_mask *k = find_kept(x);
        if (k != NULL) {
            memcpy(words, k->words, count * sizeof *words);
            return RT_OK;
        }
        drop_job(x);
        rti_mask_begin(&x->job, &x->machine, &x->scratch, 0, x->count, words);
    }
    uint64_t until = budget_us == UINT32_MAX ? UINT64_MAX : rti_now_ns() + (uint64_t)budget_us * 1000;
    while (!rti_mask_step(&x->job)) {
        if (until != UINT64_MAX && rti_now_ns() >= until) {
            *done = false;
            return RT_OK;
        }
    }
    drop_job(x);
    rt_result result = check(&x->machine);
    if (result != RT_OK) return result;
    add_ends(x, words);
    keep(x, words);
    return RT_OK;
}

rt_result rt_matcher_mask(rt_matcher *x, uint32_t *words)
{
    bool done;
    return rt_matcher_mask_step(x, words, UINT32_MAX, &done);
}

// ---------------------------------------------------------------------------------------------------------------------
// Taking tokens and bytes
// ---------------------------------------------------------------------------------------------------------------------

// Steps over the bytes; what comes out lies behind the threads of the walk. False: not allowed.
static bool try_bytes(rt_matcher *x, const char *bytes, size_t size, uint32_t *from, uint32_t *to)
{
    rti_machine *m = &x->machine;
    drop_job(x);
    *from = 0;
    *to = x->count;
    for (size_t i = 0; i < size; i++) {
        uint32_t count = rti_machine_step(m, *from, *to, (uint8_t)bytes[i]);
        if (count == 0) return false;
        if (*from != 0) { // the list before is no longer needed
            memmove(m->threads + x->count, m->threads + m->thread_count - count, count * sizeof *m->threads);
            m->thread_count = x->count + count;
        }
        *from = x->count;
        *to = x->count + count;
    }
    return true;
}

static void accept(rt_matcher *x, uint32_t from, uint32_t to)
{
    rti_machine *m = &x->machine;
    memmove(m->threads, m->threads + from, (to - from) * sizeof *m->threads);
    m->thread_count = x->count = to - from;
}

static bool is_end(const rt_matcher *x, rt_token id)
{
    for (int i = 0; i < x->end_count; i++) {
        if (x->ends[i] == id) return true;
    }
    return false;
}

static bool is_trigger(const rt_matcher *x, rt_token id)
{
    const rt_grammar *g = x->grammar;
    if (g->kind != RT_GRAMMAR_TRIGGERED || x->count != 1 || x->machine.threads[0].kind != RTI_THREAD_FREE) return false;
    for (uint32_t i = 0; i < g->trigger_count; i++) {
        if (g->triggers[i].token == id) return true;
    }
    return false;
}

static rt_result commit(rt_matcher *x, const char *bytes, size_t size, const char *what)
{
    rti_machine *m = &x->machine;
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t from, to;
    bool allowed = !x->ended && try_bytes(x, bytes, size, &from, &to);
    rt_result result = check(m);
    if (!allowed || result != RT_OK) {
        m->thread_count = x->count;
        rti_machine_forget(m, mark);
        if (result != RT_OK) return result;
        return rti_fail(&x->host, RT_ERROR_REJECTED, "grammar: %s is not allowed here", what);
    }
    accept(x, from, to);
    return RT_OK;
}

rt_result rt_matcher_commit(rt_matcher *x, rt_token id)
{
    if (x == NULL) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_commit: matcher is NULL");
    const rt_vocabulary *v = x->grammar->vocabulary;
    if (id < 0 || (uint32_t)id >= v->count) return rti_fail(&x->host, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_commit: token %d is not in the vocabulary", (int)id);
    if (is_end(x, id) && rt_matcher_may_end(x)) {
        drop_job(x);
        x->ended = true;
        return RT_OK;
    }
    if (!x->ended && is_trigger(x, id)) {
        rti_thread *t = &x->machine.threads[0];
        drop_job(x);
        memset(t, 0, sizeof *t);
        t->t = RTI_OUTSIDE;
        t->kind = RTI_THREAD_VALUE;
        t->a = x->grammar->root;
        return RT_OK;
    }
    uint32_t size = v->offsets[id + 1] - v->offsets[id];
    if (size == 0 || size > RTI_TOKEN_BYTES_MAX) return rti_fail(&x->host, RT_ERROR_REJECTED, "grammar: token %d is not allowed here", (int)id);
    char what[32] = "token ";
    int at = 6;
    char digits[12];
    int n = 0;
    for (rt_token left = id; n == 0 || left != 0; left /= 10) digits[n++] = (char)('0' + left % 10);
    while (n > 0) what[at++] = digits[--n];
    return commit(x, v->bytes + v->offsets[id], size, what);
}

rt_result rt_matcher_commit_bytes(rt_matcher *x, const char *bytes, size_t size)
{
    if (x == NULL || (bytes == NULL && size != 0)) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_commit_bytes: a pointer is NULL");
    return commit(x, bytes, size, "this text");
}

bool rt_matcher_allows(rt_matcher *x, rt_token id)
{
    if (x == NULL) return false;
    const rt_vocabulary *v = x->grammar->vocabulary;
    if (id < 0 || (uint32_t)id >= v->count) return false;
    if (is_end(x, id) && rt_matcher_may_end(x)) return true;
    if (x->ended) return false;
    if (is_trigger(x, id)) return true;
    uint32_t size = v->offsets[id + 1] - v->offsets[id], from, to;
    if (size == 0 || size > RTI_TOKEN_BYTES_MAX) return false;
    rti_machine *m = &x->machine;
    rti_machine_mark mark = rti_machine_here(m);
    bool allowed = try_bytes(x, v->bytes + v->offsets[id], size, &from, &to) && m->error == RT_OK;
    m->error = RT_OK;
    m->thread_count = x->count;
    rti_machine_forget(m, mark);
    return allowed;
}

rt_result rt_matcher_forced(rt_matcher *x, char *bytes, size_t capacity, size_t *size)
{
    if (x == NULL || size == NULL || (bytes == NULL && capacity != 0)) {
        return rti_fail(x != NULL ? &x->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rt_matcher_forced: a pointer is NULL");
    }
    *size = 0;
    rti_machine *m = &x->machine;
    drop_job(x);
    if (x->ended) return RT_OK;
    rti_machine_mark mark = rti_machine_here(m);
    uint32_t from = 0, to = x->count;
    while (*size < capacity && m->error == RT_OK) {
        bool may_end = false;
        for (uint32_t i = from; i < to; i++) may_end |= rti_thread_may_end(m, &m->threads[i]);
        if (may_end) break;
        int only = -1;
        uint32_t first = m->thread_count, only_to = first;
        for (int byte = 0; byte < 256 && only != -2; byte++) {
            uint32_t before = m->thread_count;
            if (rti_machine_step(m, from, to, (uint8_t)byte) == 0) continue;
            only = only == -1 ? byte : -2;
            if (only == -2) m->thread_count = before;
            only_to = m->thread_count;
        }
        if (only < 0) break;
        bytes[(*size)++] = (char)only;
        from = first;
        to = only_to;
    }
    m->thread_count = x->count;
    rti_machine_forget(m, mark);
    return check(m);
}
