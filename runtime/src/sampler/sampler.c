// SPDX-License-Identifier: MIT
#include "rt/sampler.h"

#include "base/base.h"
#include "base/exact_math.h"
#include "sampler/uniform.h"

#include <math.h>
#include <string.h>

rt_sampler_def rt_default_sampler_def(void)
{
    return (rt_sampler_def){
        .temperature = 0.7f,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .repetition_penalty = 1.1f,
        .repetition_window = 64,
    };
}

rt_result rt_sampler_check(const rt_sampler_def *def)
{
    if (!def) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "sampler: no definition given");
    const char *field = NULL;
    if (!(def->temperature >= 0.0f && def->temperature <= 10.0f)) field = "temperature must be 0 to 10";
    else if (def->top_k < 0) field = "top_k must be 0 (all) or more";
    else if (!(def->top_p > 0.0f && def->top_p <= 1.0f)) field = "top_p must be above 0 and at most 1";
    else if (!(def->min_p >= 0.0f && def->min_p <= 1.0f)) field = "min_p must be 0 to 1";
    else if (!(def->repetition_penalty > 0.0f && def->repetition_penalty <= 10.0f))
        field = "repetition_penalty must be above 0 and at most 10";
    else if (def->repetition_window < 0 || def->repetition_window > 256) field = "repetition_window must be 0 to 256";
    if (field) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "sampler: %s", field);
    return RT_OK;
}

// What a draw works on: the adjusted logits of all tokens, and the ids that are still in.
typedef struct candidates {
    float *logits;
    rt_token *ids;
    int32_t count;
} candidates;

size_t rt_sampler_scratch_bytes(int32_t vocab_size)
{
    return vocab_size > 0 ? (size_t)vocab_size * (sizeof(float) + sizeof(rt_token)) : 0;
}

static bool is_allowed(const uint32_t *mask, int32_t id)
{
    return !mask || (mask[id >> 5] >> (id & 31) & 1u);
}

// Likelier first; of equals the lower id, so that the order is total and the same everywhere.
static bool is_before(const candidates *c, rt_token a, rt_token b)
{
    if (c->logits[a] != c->logits[b]) return c->logits[a] > c->logits[b];
    return a < b;
}

static void apply_repetition_penalty(float *logits, int32_t vocab_size, const rt_sample_request *request)
{
    const rt_sampler_def *def = request->sampler;
    if (def->repetition_penalty == 1.0f || !request->history || def->repetition_window <= 0) return;
    int32_t window = RTI_MIN(request->history_count, RTI_MIN(def->repetition_window, 256));
    const rt_token *recent = request->history + request->history_count - window;
    for (int32_t i = 0; i < window; i++) {
        rt_token id = recent[i];
        if (id < 0 || id >= vocab_size) continue;
        bool seen = false; // once for each distinct token, however often it occurred
        for (int32_t j = 0; j < i && !seen; j++) seen = recent[j] == id;
        if (seen) continue;
        logits[id] = logits[id] > 0.0f ? logits[id] / def->repetition_penalty : logits[id] * def->repetition_penalty;
    }
}

// Tokens are looked at in blocks of as many as a mask's word has; loops of a fixed length become vector instructions.
enum { BLOCK = 32 };

static void adjust(const float *logits, int32_t vocab_size, const rt_sample_request *request, void *scratch, candidates *c)
{
    c->logits = scratch;
    c->ids = (rt_token *)(c->logits + vocab_size);
    c->count = 0;
    int32_t id = 0;
    for (; id + BLOCK <= vocab_size; id += BLOCK)
        for (int32_t j = id; j < id + BLOCK; j++) // NaN: a damaged model must not stop the game
            c->logits[j] = logits[j] >= -INFINITY ? logits[j] : -INFINITY;
    for (; id < vocab_size; id++) c->logits[id] = logits[id] >= -INFINITY ? logits[id] : -INFINITY;
    apply_repetition_penalty(c->logits, vocab_size, request);
}

static void gather(int32_t vocab_size, const uint32_t *mask, candidates *c)
{
    for (int32_t id = 0; id < vocab_size; id++)
        if (is_allowed(mask, id)) c->ids[c->count++] = id;
}

static rt_token likeliest(const candidates *c)
{
    rt_token best = c->ids[0];
    for (int32_t i = 1; i < c->count; i++)
        if (c->logits[c->ids[i]] > c->logits[best]) best = c->ids[i];
    return best;
}

// Heap of ids; `first_out` is the order: true keeps the likeliest at the root, false the least likely.
static void sift_down(const candidates *c, rt_token *heap, int32_t count, int32_t root, bool likeliest_first)
{
    rt_token id = heap[root];
    for (;;) {
        int32_t child = 2 * root + 1;
        if (child >= count) break;
        if (child + 1 < count && is_before(c, heap[child + 1], heap[child]) == likeliest_first) child++;
        if (is_before(c, id, heap[child]) == likeliest_first) break;
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = id;
}

// Whether any token of a whole block is likelier than `limit`.
static bool has_above(const float *block, float limit)
{
    int32_t above = 0;
    for (int32_t j = 0; j < BLOCK; j++) above |= block[j] > limit;
    return above != 0;
}

// The k likeliest of the allowed tokens in ids[0 .. k), likeliest first: a bounded heap whose root is the one to beat. Ids come
// in ascending order, so one that is only as likely as the root does not beat it.
static void gather_top_k(int32_t vocab_size, const uint32_t *mask, int32_t k, candidates *c)
{
    rt_token *heap = c->ids;
    for (int32_t begin = 0; begin < vocab_size; begin += BLOCK) {
        int32_t end = RTI_MIN(begin + BLOCK, vocab_size);
        if (mask && mask[begin / BLOCK] == 0) continue;
        if (c->count == k && end - begin == BLOCK && !has_above(c->logits + begin, c->logits[heap[0]])) continue;
        for (rt_token id = begin; id < end; id++) {
            if (!is_allowed(mask, id)) continue;
            if (c->count == k && c->logits[id] <= c->logits[heap[0]]) continue;
            if (c->count == k) {
                heap[0] = id;
                sift_down(c, heap, k, 0, false);
                continue;
            }
            heap[c->count++] = id;
            for (int32_t i = k / 2 - 1; c->count == k && i >= 0; i--) sift_down(c, heap, k, i, false);
        }
    }
    for (int32_t i = c->count / 2 - 1; c->count < k && i >= 0; i--) sift_down(c, heap, c->count, i, false);
    for (int32_t end = c->count - 1; end > 0; end--) {
        rt_token least = heap[0];
        heap[0] = heap[end];
        sift_down(c, heap, end, 0, false);
        heap[end] = least;
    }
}

static double weight(const candidates *c, rt_token id, float top, float temperature)
{
    return rti_exact_exp(((double)c->logits[id] - (double)top) / (double)temperature);
}

// Walks ids in their order until the running sum passes target.
static rt_token walk(const candidates *c, int32_t count, float top, float temperature, double target)
{
    double sum = 0.0;
    rt_token last = c->ids[0];
    for (int32_t i = 0; i < count; i++) {
        double w = weight(c, c->ids[i], top, temperature);
        if (w <= 0.0) continue;
        last = c->ids[i];
        sum += w;
        if (sum > target) return last;
    }
    return last;
}

// Sorted candidates: the shortest prefix that top-p and min-p leave, then the draw.
static rt_token draw_sorted(const candidates *c, const rt_sampler_def *def, double total, double u)
{
    float top = c->logits[c->ids[0]];
    double kept = 0.0;
    int32_t count = 0;
    while (count < c->count) {
        double w = weight(c, c->ids[count], top, def->temperature);
        if (count > 0 && (w < (double)def->min_p || kept >= (double)def->top_p * total)) break;
        kept += w;
        count++;
    }
    return walk(c, count, top, def->temperature, u * kept);
}

// All candidates are in (top_k 0): heap them and take from the top only as many as top-p and min-p can leave.
static rt_token draw_from_all(candidates *c, const rt_sampler_def *def, double u)
{
    float top = c->logits[likeliest(c)];
    double total = 0.0;
    for (int32_t i = 0; i < c->count; i++) total += weight(c, c->ids[i], top, def->temperature);
    if (def->top_p >= 1.0f && def->min_p <= 0.0f) return walk(c, c->count, top, def->temperature, u * total);

    rt_token *heap = c->ids;
    int32_t left = c->count;
    for (int32_t i = left / 2 - 1; i >= 0; i--) sift_down(c, heap, left, i, true);
    // Popped ids go behind the shrinking heap, so the likeliest ends up last.
    double kept = 0.0;
    while (left > 0) {
        double w = weight(c, heap[0], top, def->temperature);
        if (left < c->count && (w < (double)def->min_p || kept >= (double)def->top_p * total)) break;
        kept += w;
        rt_token id = heap[0];
        heap[0] = heap[--left];
        if (left > 0) sift_down(c, heap, left, 0, true);
        heap[left] = id;
    }
    double sum = 0.0;
    rt_token last = c->ids[c->count - 1];
    for (int32_t i = c->count - 1; i >= left; i--) {
        last = c->ids[i];
        sum += weight(c, last, top, def->temperature);
        if (sum > u * kept) break;
    }
    return last;
}

rt_result rt_sample(const float *logits, int32_t vocab_size, const rt_sample_request *request, void *scratch, rt_token *token)
{
    if (!logits || vocab_size <= 0 || !request || !request->sampler || !scratch || !token)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_sample: logits, request, scratch and token are all needed");
    *token = RT_TOKEN_NONE;
    const rt_sampler_def *def = request->sampler;
    rt_result result = rt_sampler_check(def);
    if (result != RT_OK) return result;

    candidates c;
    adjust(logits, vocab_size, request, scratch, &c);
    if (def->temperature == 0.0f) gather_top_k(vocab_size, request->mask, 1, &c);
    else if (def->top_k > 0) gather_top_k(vocab_size, request->mask, RTI_MIN(def->top_k, vocab_size), &c);
    else gather(vocab_size, request->mask, &c);
    if (c.count == 0) return rti_fail(NULL, RT_ERROR_REJECTED, "rt_sample: the mask allows no token");
    double u = rti_uniform(def->seed, request->step);
    if (c.count == 1) {
        *token = c.ids[0];
    } else if (def->top_k > 0) {
        double total = 0.0;
        for (int32_t i = 0; i < c.count; i++) total += weight(&c, c.ids[i], c.logits[c.ids[0]], def->temperature);
        *token = draw_sorted(&c, def, total, u);
    } else {
        *token = draw_from_all(&c, def, u);
    }
    return RT_OK;
}

double rt_log_probability(const float *logits, int32_t vocab_size, const uint32_t *mask, rt_token token)
{
    if (!logits || token < 0 || token >= vocab_size || !is_allowed(mask, token)) return -INFINITY;
    float top = -INFINITY;
    for (int32_t id = 0; id < vocab_size; id++)
        if (is_allowed(mask, id) && logits[id] > top) top = logits[id];
    double total = 0.0;
    for (int32_t id = 0; id < vocab_size; id++)
        if (is_allowed(mask, id)) total += rti_exact_exp((double)logits[id] - (double)top);
    return (double)logits[token] - (double)top - rti_exact_log(total);
}
