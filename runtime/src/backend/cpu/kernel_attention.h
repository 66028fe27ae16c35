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

// Keys and values of a block as floats; returns where they are.
static const float *keys_decode(rt_kv_type type, const void *keys, int32_t head_size, float *out, const void *next)
{
    if (type == RT_KV_F32) {
        return keys;
    }
    if (type == RT_KV_F16) {
        for (int32_t i = 0; i < head_size * SLOTS; i += 32) {
            __builtin_prefetch((const uint16_t *)next + i);
UNROLL(4)
            for (int p = 0; p < SLOT_PARTS; p++) {
                vf_store(out + i + p * LANES, vf_from_half((const uint16_t *)keys + i + p * LANES));
            }
        }
        return out;
    }
    const int8_t *q = keys; // then halves [head_size / 32][slot]
    const uint16_t *d = (const uint16_t *)(const void *)(q + head_size * SLOTS);
    for (int32_t i = 0; i < head_size; i++) {
        for (int s = 0; s < SLOTS; s += LANES) {
            vf_store(out + i * SLOTS + s, vf_mul(vf_from_half(d + i / 32 * SLOTS + s), vf_from_s8(q + i * SLOTS + s)));
        }
    }
    return out;
}

static const float *values_decode(rt_kv_type type, const void *values, int32_t head_size, int32_t begin, int32_t end, float *out,
                                  const void *next)
{
    if (type == RT_KV_F32) {
        return values;
    }
    if (type == RT_KV_F16) {
        for (int32_t i = begin * head_size; i < end * head_size; i += 16) {
            __builtin_prefetch((const uint16_t *)next + i);
UNROLL(2)
            for (int p = 0; p < PARTS; p++) {
                vf_store(out + i + p * LANES, vf_from_half((const uint16_t *)values + i + p * LANES));
            }
        }
        return out;
    }
    const int8_t *q = values;
    const uint16_t *d = (const uint16_t *)(const void *)(q + head_size * SLOTS);
    for (int32_t s = begin; s < end; s++) {
        for (int32_t i = 0; i < head_size; i += LANES) {
            vf scale = vf_set(rti_half_to_float(d[i / 32 * SLOTS + s]));
            vf_store(out + s * head_size + i, vf_mul(scale, vf_from_s8(q + s * head_size + i)));
        }
    }
    return out;
}

// scores[query][slot] = scale * sum over dimensions, for `count` queries.
ALWAYS_INLINE void scores_of(const int count, const float *const *queries, const float *keys, int32_t head_size,
                             float scale, float *scores)
{
    vf s[4][SLOT_PARTS];
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < SLOT_PARTS; p++) {
            s[n][p] = vf_set(0.0f);
        }
    }
    for (int32_t i = 0; i < head_size; i++) {
        vf k[SLOT_PARTS];
UNROLL(4)
        for (int p = 0; p < SLOT_PARTS; p++) {
            k[p] = vf_load(keys + i * SLOTS + p * LANES);
        }
UNROLL(4)
        for (int n = 0; n < count; n++) {
            vf x = vf_set(queries[n][i]);
UNROLL(4)
            for (int p = 0; p < SLOT_PARTS; p++) {
                s[n][p] = vf_fma(k[p], x, s[n][p]);
            }
        }
    }
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < SLOT_PARTS; p++) {
            vf_store(scores + n * SLOTS + p * LANES, vf_mul(s[n][p], vf_set(scale)));
        }
    }
}

// The same bits as a lane of vf_exp; exp(0) is 1 exactly.
static float scalar_exp(float x)
{
    float lanes[16] = {x};
    vf_store(lanes, vf_exp(vf_load(lanes)));
    return lanes[0];
}

// Scores of one query to weights, in place. Returns what the sums so far must be multiplied by.
static float scores_softmax(float *scores, int32_t begin, int32_t end, float cap, bool first, float *peak, float *total)
{
    vf top[PARTS], sum[PARTS];
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
    float most = lanes_max(top), correction = 0.0f;
    if (!first) {
        most = most > *peak ? most : *peak;
        correction = most == *peak ? 1.0f : scalar_exp(*peak - most);
    }
    for (int p = 0; p < PARTS; p++) {
        sum[p] = vf_set(0.0f);
    }
    for (int p = 0; p < SLOT_PARTS; p++) {
        vf v = vf_exp(vf_sub(vf_load(scores + p * LANES), vf_set(most)));
        v = vf_keep(v, begin - p * LANES, end - p * LANES, 0.0f);
        vf_store(scores + p * LANES, v);
        sum[p % PARTS] = vf_add(sum[p % PARTS], v);
    }
    *total = fmaf(first ? 0.0f : *total, correction, lanes_sum(sum));
    *peak = most;
    return correction;
}

// out = out * correction + sum over slots of weight * value, for `width` vectors of dimensions of `count` queries that see
// the same slots.
ALWAYS_INLINE void weigh_values(const int count, const int width, const float *weights, const float *values, int32_t head_size,
                                int32_t begin, int32_t end, const float *corrections, float *const *out, int32_t at)
{
    vf acc[4][4];
UNROLL(4)
    for (int n = 0; n < count; n++) {
UNROLL(4)
        for (int p = 0; p < width; p++) {
            acc[n][p] = vf_mul(vf_load(out[n] + at + p * LANES), vf_set(corrections[n]));
        }
    }
    for (int32_t s = begin; s < end; s++) {
        vf v[4];
UNROLL(4)
        for (int p = 0; p < width; p++) {
            v[p] = vf_load(values + s * head_size + at + p * LANES);
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

#if defined(__AVX512F__)
#define QUERIES 4 // taken together: 16 sums in registers
#else
#define QUERIES 2
#endif

// All dimensions of `count` queries that see the same slots.
ALWAYS_INLINE void weigh_all(const int count, const float *weights, const float *values, int32_t head_size, int32_t begin,
                             int32_t end, const float *corrections, float *const *out)
{
    int32_t at = 0;
    for (; at + 4 * LANES <= head_size; at += 4 * LANES) {
        weigh_values(count, 4, weights, values, head_size, begin, end, corrections, out, at);
    }
    for (; at < head_size; at += LANES) {
        weigh_values(count, 1, weights, values, head_size, begin, end, corrections, out, at);
    }
}

// The same for a count known only now.
static void weigh_some(int count, const float *weights, const float *values, int32_t head_size, int32_t begin, int32_t end,
                       const float *corrections, float *const *out)
{
    switch (count) {
    case 1: weigh_all(1, weights, values, head_size, begin, end, corrections, out); break;
    case 2: weigh_all(2, weights, values, head_size, begin, end, corrections, out); break;
#if QUERIES == 4
    case 3: weigh_all(3, weights, values, head_size, begin, end, corrections, out); break;
    case 4: weigh_all(4, weights, values, head_size, begin, end, corrections, out); break;
#endif
    default: break;
    }
}

// A few queries from scores to sums. They may see different slots: those that all see are weighed together, then each goes
// on to its own end, so that every query's slots are added in ascending order.
static void attend_some(const rti_attention_job *job, int32_t first, int32_t count, float *scores, const float *values)
{
    static const float one[1] = {1.0f};
    const int32_t *begin = job->begin + first, *end = job->end + first;
    float corrections[QUERIES];
    bool together = true;
    int32_t least = SLOTS;
    for (int32_t i = 0; i < count; i++) {
        together &= begin[i] == begin[0] && begin[i] < end[i];
        least = RTI_MIN(least, end[i]);
        if (begin[i] >= end[i]) {
            continue;
        }
        bool fresh = job->peak[first + i] == -INFINITY;
        corrections[i] = scores_softmax(scores + i * SLOTS, begin[i], end[i], job->softcap, fresh, &job->peak[first + i],
                                        &job->total[first + i]);
        if (fresh) {
            memset(job->out[first + i], 0, (size_t)job->head_size * sizeof(float));
        }
    }
    if (together) {
        weigh_some(count, scores, values, job->head_size, begin[0], least, corrections, job->out + first);
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t from = together ? least : begin[i];
        if (from < end[i]) {
            weigh_all(1, scores + i * SLOTS, values, job->head_size, from, end[i], together ? one : corrections + i, job->out + first + i);
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
    const float *keys = keys_decode(job->kv_type, job->keys, head_size, job->scratch, job->next_keys);
    const float *values = values_decode(job->kv_type, job->values, head_size, low, high, scratch_values, job->next_values);
    for (int32_t n = 0; n < job->query_count;) {
        int32_t count = RTI_MIN(job->query_count - n, QUERIES);
        if (count == QUERIES) {
            scores_of(QUERIES, job->queries + n, keys, head_size, job->scale, scores);
        } else if (count == 3) {
            scores_of(3, job->queries + n, keys, head_size, job->scale, scores);
        } else if (count == 2) {
            scores_of(2, job->queries + n, keys, head_size, job->scale, scores);
        } else {
            scores_of(1, job->queries + n, keys, head_size, job->scale, scores);
        }
        attend_some(job, n, count, scores, values);
        n += count;
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
