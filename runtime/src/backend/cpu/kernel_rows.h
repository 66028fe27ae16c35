// backend/cpu/kernel_rows.h - norms, rounding of activations, activation functions: whatever works on rows.
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_KERNEL_ROWS_H
#define RTI_CPU_KERNEL_ROWS_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/lanes.h"

static void norm(rti_norm_kind kind, const float *x, const float *weight, const float *bias, int32_t count, int32_t n,
                 float epsilon, float *out)
{
    vf sum[PARTS];
    float mean = 0.0f;
    if (kind == RTI_NORM_LAYER) {
        for (int p = 0; p < PARTS; p++) {
            sum[p] = vf_set(0.0f);
        }
        for (int32_t i = 0; i < n; i += 16) {
            for (int p = 0; p < PARTS; p++) {
                sum[p] = vf_add(sum[p], vf_load(x + i + p * LANES));
            }
        }
        mean = lanes_sum(sum) / (float)count;
    }
    for (int p = 0; p < PARTS; p++) {
        sum[p] = vf_set(0.0f);
    }
    for (int32_t i = 0; i < n; i += 16) {
        for (int p = 0; p < PARTS; p++) {
            int32_t at = i + p * LANES;
            vf v = vf_load(x + at);
            if (kind == RTI_NORM_LAYER) {
                v = vf_keep(vf_sub(v, vf_set(mean)), 0, count - at, 0.0f);
            }
            sum[p] = vf_fma(v, v, sum[p]);
        }
    }
    const float factor = 1.0f / sqrtf(lanes_sum(sum) / (float)count + epsilon);
    for (int32_t i = 0; i < n; i += LANES) {
        vf v = vf_load(x + i);
        if (kind == RTI_NORM_LAYER) {
            v = vf_sub(v, vf_set(mean));
        }
        v = vf_mul(v, vf_set(factor));
        if (weight) { // padded with zeros like x
            v = vf_mul(v, vf_load(weight + i));
        }
        if (bias) {
            v = vf_add(v, vf_load(bias + i));
        }
        vf_store(out + i, v);
    }
}

static void rounding_keep(const rti_act_rounding *rounding, size_t at, float d, const int32_t sums[2])
{
    rounding->scales[at] = (rti_act_scale){.d = d, .s = d * (float)(sums[0] + sums[1])};
    rounding->minus_sums[at] = -(sums[0] + sums[1]);
    rounding->halves[at] = (rti_act_halves){.s = {d * (float)sums[0], d * (float)sums[1]}, .minus_sum = {-sums[0], -sums[1]}};
}

static void quantize(const rti_act *act, int32_t row, int32_t begin, int32_t n, int32_t planes)
{
    const float most = planes == 2 ? 32512.0f : 127.0f; // 127 * 256: the upper byte alone is a rounding to 8 bits
    const size_t first = (size_t)row * act->stride;
    const float *x = act->values + first;
    int8_t *q = act->q + first, *low = planes == 2 ? act->low + first : NULL;
    for (int32_t i = begin; i < begin + n; i += RTI_BLOCK_COLUMNS) {
        vf peak[PARTS];
        for (int p = 0; p < PARTS; p++) {
            peak[p] = vf_max(vf_abs(vf_load(x + i + p * LANES)), vf_abs(vf_load(x + i + 16 + p * LANES)));
        }
        float top = lanes_max(peak);
        float inverse = top > 1e-30f ? most / top : 0.0f, d = top > 1e-30f ? top / most : 0.0f;
        int32_t sums[2], upper_sums[2];
        for (int h = 0; h < 2; h++) {
            vi sum[PARTS], upper_sum[PARTS];
            for (int p = 0; p < PARTS; p++) {
                int32_t at = i + 16 * h + p * LANES;
                vf v = vf_mul(vf_load(x + at), vf_set(inverse));
                vi a = vi_from_float(vf_max(vf_min(v, vf_set(most)), vf_set(-most)));
                sum[p] = upper_sum[p] = a;
                vi upper = a;
                if (planes == 2) {
                    upper = vi_right_signed(vi_add(a, vi_set(128)), 8);
                    vi_store_bytes(low + at, vi_sub(a, vi_left(upper, 8)));
                    upper_sum[p] = upper;
                }
                vi_store_bytes(q + at, upper);
                if (WORD_PRODUCTS) {
                    vi_store_words(act->words[planes - 1] + first + at, a);
                }
                if (WORD_PRODUCTS && planes == 2) {
                    vi_store_words(act->words[0] + first + at, upper);
                }
            }
            sums[h] = lanes_integer_sum(sum);
            upper_sums[h] = planes == 2 ? lanes_integer_sum(upper_sum) : sums[h];
        }
        size_t at = (size_t)row * act->scale_stride + (size_t)(i / RTI_BLOCK_COLUMNS);
        if (planes == 2) {
            rounding_keep(&act->rounding[1], at, d, sums);
            rounding_keep(&act->rounding[0], at, d * 256.0f, upper_sums);
        } else {
            rounding_keep(&act->rounding[0], at, d, sums);
        }
    }
}

static void activate(rti_activation kind, const float *gate, const float *up, int32_t n, float *out)
{
    const vf one = vf_set(1.0f), minus = vf_set(-1.0f);
    for (int32_t i = 0; i < n; i += LANES) {
        vf u = vf_load(up + i);
        if (kind == RTI_ACTIVATION_RELU_SQUARED) {
            u = vf_max(u, vf_set(0.0f));
            vf_store(out + i, vf_mul(u, u));
            continue;
        }
        vf g = vf_load(gate + i), t = g;
        if (kind == RTI_ACTIVATION_GELU_TANH) { // x * (1 + tanh(t)) / 2 = x / (1 + exp(-2 t))
            vf cube = vf_mul(vf_mul(g, g), g);
            t = vf_mul(vf_fma(cube, vf_set(0.044715f), g), vf_set(1.5957691216f));
        }
        vf_store(out + i, vf_mul(vf_div(g, vf_add(one, vf_exp(vf_mul(t, minus)))), u));
    }
}

static void add(float *x, const float *y, int32_t n)
{
    for (int32_t i = 0; i < n; i += LANES) {
        vf_store(x + i, vf_add(vf_load(x + i), vf_load(y + i)));
    }
}

static void softcap(float *x, int32_t n, float cap)
{
    for (int32_t i = 0; i < n; i += LANES) {
        vf_store(x + i, vf_softcap(vf_load(x + i), cap));
    }
}

static void to_half(const float *x, int32_t n, uint16_t *out)
{
    for (int32_t i = 0; i < n; i += LANES) {
        vf_to_half(out + i, vf_load(x + i));
    }
}

static void scale_row(float *x, int32_t n, float divisor)
{
    for (int32_t i = 0; i < n; i += LANES) {
        vf_store(x + i, vf_div(vf_load(x + i), vf_set(divisor)));
    }
}

#endif
