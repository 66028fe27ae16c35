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
static const float *keys_decode(rt_kv_type type, const void *keys, int32_t head_size, float *out)
{
    if (type == RT_KV_F32) {
        return keys;
    }
    if (type == RT_KV_F16) {
        for (int32_t i = 0; i < head_size * SLOTS; i += LANES) {
            vf_store(out + i, vf_from_half((const uint16_t *)keys + i));
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

static const float *values_decode(rt_kv_type type, const void *values, int32_t head_size, int32_t begin, int32_t end, float *out)
{
    if (type == RT_KV_F32) {
        return values;
    }
    if (type == RT_KV_F16) {
        for (int32_t i = begin * head_size; i < end * head_size; i += LANES) {
            vf_store(out + i, vf_from_half((const uint16_t *)values + i));
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
        float difference[16] = {*peak - most};
        vf_store(difference, vf_exp(vf_load(difference)));
        correction = difference[0];
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

// out = out * correction + sum over slots of weight * value, for 64 (or fewer) dimensions at a time.
ALWAYS_INLINE void weigh_values(const int width, const float *weights, const float *values, int32_t head_size, int32_t begin,
                                int32_t end, float correction, float *out)
{
    vf acc[8];
UNROLL(8)
    for (int p = 0; p < width; p++) {
        acc[p] = vf_mul(vf_load(out + p * LANES), vf_set(correction));
    }
    for (int32_t s = begin; s < end; s++) {
        vf w = vf_set(weights[s]);
UNROLL(8)
        for (int p = 0; p < width; p++) {
            acc[p] = vf_fma(w, vf_load(values + s * head_size + p * LANES), acc[p]);
        }
    }
UNROLL(8)
    for (int p = 0; p < width; p++) {
        vf_store(out + p * LANES, acc[p]);
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
    const float *keys = keys_decode(job->kv_type, job->keys, head_size, job->scratch);
    const float *values = values_decode(job->kv_type, job->values, head_size, low, high, scratch_values);
    for (int32_t n = 0; n < job->query_count;) {
        const float *const *query = job->queries + n;
        int32_t count = RTI_MIN(job->query_count - n, LANES == 16 ? 4 : 2);
        if (count == 4) {
            scores_of(4, query, keys, head_size, job->scale, scores);
        } else if (count >= 2) {
            count = 2;
            scores_of(2, query, keys, head_size, job->scale, scores);
        } else {
            scores_of(1, query, keys, head_size, job->scale, scores);
        }
        for (int32_t i = 0; i < count; i++, n++) {
            int32_t begin = job->begin[n], end = job->end[n];
            if (begin >= end) {
                continue;
            }
            float *weights = scores + i * SLOTS, *out = job->out[n];
            bool first = job->peak[n] == -INFINITY;
            float correction = scores_softmax(weights, begin, end, job->softcap, first, &job->peak[n], &job->total[n]);
            if (first) {
                memset(out, 0, (size_t)head_size * sizeof(float));
            }
            int32_t d = 0;
            for (; d + 4 * LANES <= head_size; d += 4 * LANES) {
                weigh_values(4, weights, values + d, head_size, begin, end, correction, out + d);
            }
            for (; d < head_size; d += LANES) {
                weigh_values(1, weights, values + d, head_size, begin, end, correction, out + d);
            }
        }
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
