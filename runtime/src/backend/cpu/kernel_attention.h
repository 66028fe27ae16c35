// backend/cpu/kernel_attention.h - online softmax over one key-value block (Milakov and Gimelshein 2018, arXiv:1805.02867).
//
// Keys lie transposed, [dimension][slot]: a lane is a slot, so a score is one chain of fused multiply-adds over the
// dimensions. Values lie [slot][dimension]: a lane is a dimension, and slots are added in ascending order.
//
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_KERNEL_ATTENTION_H
#define RTI_CPU_KERNEL_ATTENTION_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/lanes.h"

#define SLOTS RTI_KV_SLOTS
#define SLOT_PARTS (SLOTS / LANES)

// Keys or values of one block and head, where they are read from: the cache, or scratch as floats.
typedef struct kv_view {
    rt_kv_type type;
    const void *data;
    const float *scales; // Q8_0: as floats
    const void *next;    // what is read after this: fetched meanwhile; NULL: nothing
} kv_view;

ALWAYS_INLINE int32_t kv_bytes(rt_kv_type type)
{
    return type == RT_KV_F16 ? 2 : type == RT_KV_Q8_0 ? 1 : 4;
}

// Fetches the lines that begin in [at, at + bytes) into the second cache, which has more requests under way than the first.
ALWAYS_INLINE void fetch(const void *next, int32_t at, const int32_t bytes)
{
    if (next && (bytes >= 64 || at % 64 == 0)) {
        for (int32_t i = 0; i < bytes; i += 64) {
            __builtin_prefetch((const uint8_t *)next + at + i, 0, 2);
        }
    }
}

// Q8_0's scales, after head_size * SLOTS bytes, as floats: [head_size / 32][slot].
static void scales_decode(kv_view *view, int32_t head_size, float *out)
{
    const uint16_t *d = (const uint16_t *)(const void *)((const int8_t *)view->data + head_size * SLOTS);
    for (int32_t i = 0; i < head_size / 32 * SLOTS; i += LANES) {
        vf_store(out + i, vf_from_half(d + i));
    }
    view->scales = out;
}

// Makes floats of what many queries read.
static void keys_decode(kv_view *keys, int32_t head_size, float *out)
{
    if (keys->type == RT_KV_F32) {
        return;
    }
    if (keys->type == RT_KV_F16) {
        for (int32_t i = 0; i < head_size * SLOTS; i += 32) {
            fetch(keys->next, 2 * i, 64);
UNROLL(4)
            for (int p = 0; p < SLOT_PARTS; p++) {
                vf_store(out + i + p * LANES, vf_from_half((const uint16_t *)keys->data + i + p * LANES));
            }
        }
    } else {
        const int8_t *q = keys->data; // then halves [head_size / 32][slot]
        const uint16_t *d = (const uint16_t *)(const void *)(q + head_size * SLOTS);
        for (int32_t i = 0; i < head_size; i++) {
            for (int s = 0; s < SLOTS; s += LANES) {
                vf_store(out + i * SLOTS + s, vf_mul(vf_from_half(d + i / 32 * SLOTS + s), vf_from_s8(q + i * SLOTS + s)));
            }
        }
    }
    *keys = (kv_view){RT_KV_F32, out, NULL, NULL};
}

static void values_decode(kv_view *values, int32_t head_size, int32_t begin, int32_t end, float *out)
{
    if (values->type == RT_KV_F32) {
        return;
    }
    if (values->type == RT_KV_F16) {
        for (int32_t i = begin * head_size; i < end * head_size; i += 16) {
            fetch(values->next, 2 * i, 32);
UNROLL(2)
            for (int p = 0; p < PARTS; p++) {
                vf_store(out + i + p * LANES, vf_from_half((const uint16_t *)values->data + i + p * LANES));
            }
        }
    } else {
        const int8_t *q = values->data;
        const uint16_t *d = (const uint16_t *)(const void *)(q + head_size * SLOTS);
        for (int32_t s = begin; s < end; s++) {
            for (int32_t i = 0; i < head_size; i += LANES) {
                vf scale = vf_set(rti_half_to_float(d[i / 32 * SLOTS + s]));
                vf_store(out + s * head_size + i, vf_mul(scale, vf_from_s8(q + s * head_size + i)));
            }
        }
    }
    *values = (kv_view){RT_KV_F32, out, NULL, NULL};
}

// A vector of keys (or values), as it lies in the cache or, decoded, in scratch. `scales` are Q8_0's, as floats; the products
// are exact.
ALWAYS_INLINE vf key_load(const rt_kv_type type, const void *keys, const float *scales, int32_t dimension, int32_t slot)
{
    const int32_t at = dimension * SLOTS + slot;
    if (type == RT_KV_F16) {
        return vf_from_half((const uint16_t *)keys + at);
    }
    if (type == RT_KV_Q8_0) {
        return vf_mul(vf_load(scales + dimension / 32 * SLOTS + slot), vf_from_s8((const int8_t *)keys + at));
    }
    return vf_load((const float *)keys + at);
}

ALWAYS_INLINE vf value_load(const rt_kv_type type, const void *values, const float *scales, int32_t head_size, int32_t slot,
                            int32_t dimension)
{
    const int32_t at = slot * head_size + dimension;
    if (type == RT_KV_F16) {
        return vf_from_half((const uint16_t *)values + at);
    }
    if (type == RT_KV_Q8_0) {
        return vf_mul(vf_set(scales[dimension / 32 * SLOTS + slot]), vf_from_s8((const int8_t *)values + at));
    }
    return vf_load((const float *)values + at);
}

#define QUERIES 4 // taken together
#if defined(__AVX512F__)
#define MOST_SUMS 16 // vectors that are summed in registers
#else
#define MOST_SUMS 12
#endif

// scores[query][slot] = scale * sum over dimensions, for `count` queries and `width` vectors of slots from `slot` on.
ALWAYS_INLINE void scores_of(const int count, const int width, const rt_kv_type type, const float *const *queries, const kv_view *keys,
                             int32_t head_size, int32_t slot, float scale, float *scores)
{
    vf s[QUERIES][SLOT_PARTS];
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < width; p++) {
            s[n][p] = vf_set(0.0f);
        }
    }
    for (int32_t i = 0; i < head_size; i++) {
        vf k[SLOT_PARTS];
        fetch(keys->next, (i * SLOTS + slot) * kv_bytes(type), width * LANES * kv_bytes(type));
UNROLL(4)
        for (int p = 0; p < width; p++) {
            k[p] = key_load(type, keys->data, keys->scales, i, slot + p * LANES);
        }
UNROLL(4)
        for (int n = 0; n < count; n++) {
            vf x = vf_set(queries[n][i]);
UNROLL(4)
            for (int p = 0; p < width; p++) {
                s[n][p] = vf_fma(k[p], x, s[n][p]);
            }
        }
    }
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < width; p++) {
            vf_store(scores + n * SLOTS + slot + p * LANES, vf_mul(s[n][p], vf_set(scale)));
        }
    }
}

// out = out * correction + sum over slots of weight * value, for `width` vectors of dimensions of `count` queries that see
// the same slots.
ALWAYS_INLINE void weigh_values(const int count, const int width, const rt_kv_type type, const float *weights, const kv_view *values,
                                int32_t head_size, int32_t begin, int32_t end, const float *corrections, float *const *out, int32_t at)
{
    vf acc[QUERIES][4];
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < width; p++) {
            acc[n][p] = vf_mul(vf_load(out[n] + at + p * LANES), vf_set(corrections[n]));
        }
    }
    for (int32_t s = begin; s < end; s++) {
        vf v[4];
        fetch(values->next, (s * head_size + at) * kv_bytes(type), width * LANES * kv_bytes(type));
UNROLL(4)
        for (int p = 0; p < width; p++) {
            v[p] = value_load(type, values->data, values->scales, head_size, s, at + p * LANES);
        }
UNROLL(4)
        for (int n = 0; n < count; n++) {
            vf w = vf_set(weights[n * SLOTS + s]);
UNROLL(4)
            for (int p = 0; p < width; p++) {
                acc[n][p] = vf_fma(w, v[p], acc[n][p]);
            }
        }
    }
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < width; p++) {
            vf_store(out[n] + at + p * LANES, acc[n][p]);
        }
    }
}

// All slots, or all dimensions, of `count` queries: as many vectors at a time as there are registers for.
ALWAYS_INLINE void score_all(const int count, const rt_kv_type type, const float *const *queries, const kv_view *keys, int32_t head_size,
                             float scale, float *scores)
{
    const int width = count * SLOT_PARTS <= MOST_SUMS ? SLOT_PARTS : SLOT_PARTS / 2;
    for (int32_t slot = 0; slot < SLOTS; slot += width * LANES) {
        scores_of(count, width, type, queries, keys, head_size, slot, scale, scores);
    }
}

ALWAYS_INLINE void weigh_all(const int count, const rt_kv_type type, const float *weights, const kv_view *values, int32_t head_size,
                             int32_t begin, int32_t end, const float *corrections, float *const *out)
{
    const int width = count * 4 <= MOST_SUMS ? 4 : 2;
    int32_t at = 0;
    for (; at + width * LANES <= head_size; at += width * LANES) {
        weigh_values(count, width, type, weights, values, head_size, begin, end, corrections, out, at);
    }
    for (; at < head_size; at += LANES) {
        weigh_values(count, 1, type, weights, values, head_size, begin, end, corrections, out, at);
    }
}

// The same for a type and a count known only now.
#define FOR_EACH_COUNT(type, call) \
    switch (count) {               \
    case 1: call(1, type); break;  \
    case 2: call(2, type); break;  \
    case 3: call(3, type); break;  \
    default: call(4, type); break; \
    }
#define FOR_EACH_TYPE(call)                                  \
    switch (view->type) {                                    \
    case RT_KV_F16: FOR_EACH_COUNT(RT_KV_F16, call) break;   \
    case RT_KV_Q8_0: FOR_EACH_COUNT(RT_KV_Q8_0, call) break; \
    default: FOR_EACH_COUNT(RT_KV_F32, call) break;          \
    }

static void score_some(int count, const float *const *queries, const kv_view *view, int32_t head_size, float scale, float *scores)
{
#define SCORE(n, type) score_all(n, type, queries, view, head_size, scale, scores)
    FOR_EACH_TYPE(SCORE)
#undef SCORE
}

static void weigh_some(int count, const float *weights, const kv_view *view, int32_t head_size, int32_t begin, int32_t end,
                       const float *corrections, float *const *out)
{
#define WEIGH(n, type) weigh_all(n, type, weights, view, head_size, begin, end, corrections, out)
    FOR_EACH_TYPE(WEIGH)
#undef WEIGH
}

// Scores of one query to what is raised to e, in place: outside [begin, end) nothing. Returns the largest.
static float scores_limit(float *scores, int32_t begin, int32_t end, float cap)
{
    vf top[PARTS];
    for (int p = 0; p < PARTS; p++) {
        top[p] = vf_set(-INFINITY);
    }
    for (int p = 0; p < SLOT_PARTS; p++) {
        vf v = vf_load(scores + p * LANES);
        if (cap != 0.0f) {
            v = vf_softcap(v, cap);
        }
        v = vf_keep(v, begin - p * LANES, end - p * LANES, -INFINITY);
        vf_store(scores + p * LANES, v);
        top[p % PARTS] = vf_max(top[p % PARTS], v);
    }
    return lanes_max(top);
}

// Scores to weights, in place. Returns their sum.
static float scores_exp(float *scores, int32_t begin, int32_t end, float most)
{
    vf sum[PARTS];
    for (int p = 0; p < PARTS; p++) {
        sum[p] = vf_set(0.0f);
    }
    for (int p = 0; p < SLOT_PARTS; p++) {
        vf v = vf_exp(vf_sub(vf_load(scores + p * LANES), vf_set(most)));
        v = vf_keep(v, begin - p * LANES, end - p * LANES, 0.0f);
        vf_store(scores + p * LANES, v);
        sum[p % PARTS] = vf_add(sum[p % PARTS], v);
    }
    return lanes_sum(sum);
}

// Scores of a few queries to weights, in place; corrections: what each query's sums so far must be multiplied by.
static void scores_softmax(const rti_attention_job *job, int32_t first, int32_t count, float *scores, float *corrections)
{
    const int32_t *begin = job->begin + first, *end = job->end + first;
    float most[QUERIES] = {0}, change[16] = {0};
    for (int32_t i = 0; i < count; i++) {
        const float peak = job->peak[first + i];
        if (begin[i] < end[i]) {
            most[i] = scores_limit(scores + i * SLOTS, begin[i], end[i], job->softcap);
            most[i] = most[i] > peak ? most[i] : peak;
            change[i] = most[i] == peak ? 0.0f : peak - most[i];
        }
    }
    vf_store(change, vf_exp(vf_load(change))); // e^0 is 1 exactly
    for (int32_t i = 0; i < count; i++) {
        if (begin[i] >= end[i]) {
            continue;
        }
        const bool fresh = job->peak[first + i] == -INFINITY;
        float sum = scores_exp(scores + i * SLOTS, begin[i], end[i], most[i]);
        corrections[i] = fresh ? 0.0f : change[i];
        job->total[first + i] = fmaf(fresh ? 0.0f : job->total[first + i], corrections[i], sum);
        job->peak[first + i] = most[i];
        if (fresh) {
            memset(job->out[first + i], 0, (size_t)job->head_size * sizeof(float));
        }
    }
}

// A few queries from scores to sums. They may see different slots: those that all see are weighed together, then each goes
// on to its own end, so that every query's slots are added in ascending order.
static void attend_some(const rti_attention_job *job, int32_t first, int32_t count, float *scores, const kv_view *values)
{
    static const float one[1] = {1.0f};
    const int32_t *begin = job->begin + first, *end = job->end + first;
    float corrections[QUERIES];
    bool together = true;
    int32_t least = SLOTS;
    for (int32_t i = 0; i < count; i++) {
        together &= begin[i] == begin[0] && begin[i] < end[i];
        least = RTI_MIN(least, end[i]);
    }
    scores_softmax(job, first, count, scores, corrections);
    if (together) {
        weigh_some(count, scores, values, job->head_size, begin[0], least, corrections, job->out + first);
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t from = together ? least : begin[i];
        if (from < end[i]) {
            weigh_some(1, scores + i * SLOTS, values, job->head_size, from, end[i], together ? one : corrections + i,
                       job->out + first + i);
        }
    }
}

static void attention(const rti_attention_job *job)
{
    const int32_t head_size = job->head_size;
    float *scratch_values = job->scratch + (size_t)head_size * SLOTS;
    float *scores = scratch_values + (size_t)head_size * SLOTS;
    int32_t low = SLOTS, high = 0;
    for (int32_t n = 0; n < job->query_count; n++) {
        if (job->begin[n] < job->end[n]) {
            low = RTI_MIN(low, job->begin[n]);
            high = RTI_MAX(high, job->end[n]);
        }
    }
    if (low >= high) {
        return;
    }
    kv_view keys = {job->kv_type, job->keys, NULL, job->next_keys}, values = {job->kv_type, job->values, NULL, job->next_values};
    if (job->query_count > QUERIES) { // else each is read once: no need to keep it as floats
        keys_decode(&keys, head_size, job->scratch);
        values_decode(&values, head_size, low, high, scratch_values);
    } else if (job->kv_type == RT_KV_Q8_0) {
        scales_decode(&keys, head_size, job->scratch);
        scales_decode(&values, head_size, scratch_values);
    }
    for (int32_t n = 0; n < job->query_count; n += QUERIES) {
        int32_t count = RTI_MIN(job->query_count - n, QUERIES);
        score_some(count, job->queries + n, &keys, head_size, job->scale, scores);
        attend_some(job, n, count, scores, &values);
    }
}

static void attention_merge(float *peak, float *total, float *out, float peak2, float total2, const float *out2, int32_t n)
{
    float most = *peak > peak2 ? *peak : peak2;
    float factors[16] = {*peak - most, peak2 - most};
    vf_store(factors, vf_exp(vf_load(factors)));
    const vf a = vf_set(factors[0]), b = vf_set(factors[1]);
    *total = fmaf(*total, factors[0], total2 * factors[1]);
    *peak = most;
    for (int32_t i = 0; i < n; i += LANES) {
        vf_store(out + i, vf_fma(vf_load(out + i), a, vf_mul(vf_load(out2 + i), b)));
    }
}

#endif
