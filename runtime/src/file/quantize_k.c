// file/quantize_k.c - Q4_K and Q6_K by a weighted search.
//
// A group of values shares a scale (and in Q4_K a minimum). Which scale is best depends on how the values round, so a few
// are tried: round with each, fit scale and minimum to the rounded values by weighted least squares, keep the pair with the
// smallest weighted error. The groups' scales are then rounded themselves to the block's; with these fixed, the values are
// rounded once more and the block's own scale is fitted to them.
// SPDX-License-Identifier: MIT
#include "file/quantize_k.h"

#include <math.h>
#include <string.h>

// To the nearest, ties to even. Adding 1.5 * 2^23 leaves the whole number in the low bits: much faster than rintf() where the
// processor's own instruction may not be used.
static int round_into(float value, int lowest, int highest)
{
    if (!(value > (float)lowest))
        return lowest;
    if (value >= (float)highest)
        return highest;
    float shifted = value + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (bits & 0x7fffff) - 0x400000;
}

// Large values matter more than small ones: they carry more of a product.
static void fill_weights(const float *values, const float *given, int count, float *weights)
{
    float squares = 0;
    for (int i = 0; i < count; i++)
        squares += values[i] * values[i];
    float middle = sqrtf(squares / (float)count);
    for (int i = 0; i < count; i++)
        weights[i] = given ? given[i] * sqrtf(squares / (float)count + values[i] * values[i]) : middle + fabsf(values[i]);
}

// ---------------------------------------------------------------------------------------------------------------------
// Q4_K: values are scale * q - minimum, q in 0 .. 15, minimum >= 0
// ---------------------------------------------------------------------------------------------------------------------

typedef struct pair {
    float scale, minimum;
} pair;

// The best pair for the values as `inverse` and `lowest` round them, and its weighted error.
static float fit_pair(const float *values, const float *weights, float inverse, float lowest, pair *best)
{
    double w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0, wxx = 0;
    for (int i = 0; i < 32; i++) {
        double q = round_into((values[i] - lowest) * inverse, 0, 15), x = values[i], weight = weights[i];
        w += weight;
        wq += weight * q;
        wqq += weight * q * q;
        wx += weight * x;
        wqx += weight * q * x;
        wxx += weight * x * x;
    }
    double determinant = w * wqq - wq * wq, scale, offset;
    if (determinant > 0) {
        scale = (w * wqx - wq * wx) / determinant;
        offset = (wqq * wx - wq * wqx) / determinant;
    } else {
        scale = 0, offset = wx / w;
    }
    if (offset > 0) {
        offset = 0;
        scale = wqq > 0 ? wqx / wqq : 0;
    }
    if (!(scale >= 0)) // cannot be stored
        return INFINITY;
    best->scale = (float)scale;
    best->minimum = (float)-offset;
    double error = wxx + scale * scale * wqq + offset * offset * w + 2 * (scale * offset * wq - scale * wqx - offset * wx);
    return (float)error;
}

static pair search_pair(const float *values, const float *weights)
{
    float lowest = 0, highest = values[0];
    for (int i = 0; i < 32; i++) {
        lowest = fminf(lowest, values[i]);
        highest = fmaxf(highest, values[i]);
    }
    pair best = {0, -lowest};
    float range = highest - lowest, smallest = INFINITY;
    if (!(range > 0) || !isfinite(range))
        return isfinite(lowest) ? best : (pair){0, 0};
    for (int step = 0; step <= 20; step++) {
        pair tried = {0, 0};
        float inverse = (15.0f - 1.0f + 0.1f * (float)step) / range;
        float error = isfinite(inverse) ? fit_pair(values, weights, inverse, lowest, &tried) : INFINITY;
        if (error < smallest) {
            smallest = error;
            best = tried;
        }
    }
    return best;
}

static void round_q4(const float *values, float scale, float minimum, uint8_t *q)
{
    float inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < 32; i++)
        q[i] = (uint8_t)(isfinite(inverse) ? round_into((values[i] + minimum) * inverse, 0, 15) : 0);
}

static double group_error(const float *values, const float *weights, float scale, float minimum)
{
    uint8_t q[32];
    double error = 0;
    round_q4(values, scale, minimum, q);
    for (int i = 0; i < 32; i++) {
        double off = (double)(scale * q[i]) - minimum - values[i];
        error += weights[i] * off * off;
    }
    return error;
}

// Rounded on its own, a group's scale may be a step away from the one that goes best with its rounded minimum.
static void search_neighbours(const float *values, const float *weights, float scale, float minimum, uint8_t *group_scale,
                              uint8_t *group_minimum)
{
    int first_scale = *group_scale, first_minimum = *group_minimum;
    double smallest = INFINITY;
    for (int s = RTI_MAX(first_scale - 1, 0); s <= RTI_MIN(first_scale + 1, 63); s++)
        for (int m = RTI_MAX(first_minimum - 1, 0); m <= RTI_MIN(first_minimum + 1, 63); m++) {
            double error = group_error(values, weights, scale * (float)s, minimum * (float)m);
            if (error < smallest) {
                smallest = error;
                *group_scale = (uint8_t)s;
                *group_minimum = (uint8_t)m;
            }
        }
}

// Fits the block's two scales to what the groups rounded to: normal equations of two unknowns.
static void refit_block(const float *values, const float *weights, const uint8_t *q, const uint8_t *scales,
                        const uint8_t *minima, float *scale, float *minimum)
{
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (int i = 0; i < 256; i++) {
        double a = (double)scales[i / 32] * q[i], b = -(double)minima[i / 32], w = weights[i];
        aa += w * a * a;
        ab += w * a * b;
        bb += w * b * b;
        ax += w * a * values[i];
        bx += w * b * values[i];
    }
    double determinant = aa * bb - ab * ab;
    if (determinant > 1e-9 * aa * bb && bb > 0) {
        double first = (ax * bb - bx * ab) / determinant, second = (bx * aa - ax * ab) / determinant;
        if (first > 0 && second >= 0) {
            *scale = (float)first;
            *minimum = (float)second;
        }
    } else if (bb == 0 && aa > 0 && ax > 0) {
        *scale = (float)(ax / aa);
    }
}

static double block_error(const float *values, const float *weights, const uint8_t *q, const uint8_t *scales,
                          const uint8_t *minima, float scale, float minimum)
{
    double error = 0;
    for (int i = 0; i < 256; i++) {
        double off = (double)(scale * scales[i / 32]) * q[i] - minimum * minima[i / 32] - values[i];
        error += weights[i] * off * off;
    }
    return error;
}

static void pack_q4_k(float scale, float minimum, const uint8_t *scales, const uint8_t *minima, const uint8_t *q,
                      uint8_t *block)
{
    rti_put_half(block, scale);
    rti_put_half(block + 2, minimum);
    uint8_t *packed = block + 4;
    memset(packed, 0, 12);
    for (int g = 0; g < 8; g++) {
        if (g < 4) {
            packed[g] |= scales[g];
            packed[g + 4] |= minima[g];
        } else {
            packed[g + 4] = (uint8_t)((scales[g] & 15) | (minima[g] & 15) << 4);
            packed[g - 4] |= (uint8_t)((scales[g] >> 4) << 6);
            packed[g] |= (uint8_t)((minima[g] >> 4) << 6);
        }
    }
    for (int g = 0; g < 8; g += 2)
        for (int i = 0; i < 32; i++)
            block[16 + g * 16 + i] = (uint8_t)(q[g * 32 + i] | q[g * 32 + 32 + i] << 4);
}

void rti_write_q4_k(const float *values, const float *given, uint8_t *block)
{
    float weights[256], largest_scale = 0, largest_minimum = 0;
    pair pairs[8];
    uint8_t scales[8], minima[8], q[256];
    for (int g = 0; g < 8; g++) {
        fill_weights(values + 32 * g, given ? given + 32 * g : NULL, 32, weights + 32 * g);
        pairs[g] = search_pair(values + 32 * g, weights + 32 * g);
        largest_scale = fmaxf(largest_scale, pairs[g].scale);
        largest_minimum = fmaxf(largest_minimum, pairs[g].minimum);
    }
    float scale = largest_scale / 63, minimum = largest_minimum / 63;
    for (int g = 0; g < 8; g++) {
        scales[g] = (uint8_t)(scale > 0 ? round_into(pairs[g].scale / scale, 0, 63) : 0);
        minima[g] = (uint8_t)(minimum > 0 ? round_into(pairs[g].minimum / minimum, 0, 63) : 0);
    }
    float best_scale = scale, best_minimum = minimum;
    double smallest = INFINITY;
    uint8_t best_q[256] = {0}, best_scales[8] = {0}, best_minima[8] = {0};
    for (int turn = 0; turn < 4; turn++) {
        float stored_scale = rti_half_to_float(rti_float_to_half(scale));
        float stored_minimum = rti_half_to_float(rti_float_to_half(minimum));
        for (int g = 0; g < 8; g++) {
            search_neighbours(values + 32 * g, weights + 32 * g, stored_scale, stored_minimum, &scales[g], &minima[g]);
            round_q4(values + 32 * g, stored_scale * scales[g], stored_minimum * minima[g], q + 32 * g);
        }
        double error = block_error(values, weights, q, scales, minima, stored_scale, stored_minimum);
        if (!(error < smallest))
            break;
        smallest = error;
        best_scale = scale;
        best_minimum = minimum;
        memcpy(best_q, q, sizeof q);
        memcpy(best_scales, scales, sizeof scales);
        memcpy(best_minima, minima, sizeof minima);
        refit_block(values, weights, q, scales, minima, &scale, &minimum);
    }
    pack_q4_k(best_scale, best_minimum, best_scales, best_minima, best_q, block);
}

// ---------------------------------------------------------------------------------------------------------------------
// Q6_K: values are scale * q, q in -32 .. 31, scale of either sign
// ---------------------------------------------------------------------------------------------------------------------

static float search_scale(const float *values, const float *weights)
{
    float largest = 0, extreme = 0, best = 0;
    for (int i = 0; i < 16; i++)
        if (fabsf(values[i]) > largest) {
            largest = fabsf(values[i]);
            extreme = values[i];
        }
    if (!(largest > 1e-30f) || !isfinite(largest))
        return 0;
    double most = 0; // what the fit explains: wqx^2 / wqq
    for (int step = -9; step <= 9; step++) {
        float inverse = -(32.0f + 0.1f * (float)step) / extreme; // the extreme value lands at -32, where there is most room
        double wqx = 0, wqq = 0;
        for (int i = 0; i < 16; i++) {
            double q = round_into(values[i] * inverse, -32, 31);
            wqx += weights[i] * q * values[i];
            wqq += weights[i] * q * q;
        }
        if (wqq > 0 && wqx * wqx > most * wqq) {
            most = wqx * wqx / wqq;
            best = (float)(wqx / wqq);
        }
    }
    return best;
}

static void pack_q6_k(float scale, const int8_t *scales, const int8_t *q, uint8_t *block)
{
    uint8_t *low = block, *high = block + 128;
    memset(block, 0, 192);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, quarter = (i / 32) & 3, stored = q[i] + 32;
        low[half * 64 + (quarter & 1) * 32 + (i & 31)] |= (uint8_t)((stored & 15) << (4 * (quarter >> 1)));
        high[half * 32 + (i & 31)] |= (uint8_t)((stored >> 4) << (2 * quarter));
    }
    memcpy(block + 192, scales, 16);
    rti_put_half(block + 208, scale);
}

void rti_write_q6_k(const float *values, const float *given, uint8_t *block)
{
    float weights[256], group_scales[16], extreme = 0;
    int8_t scales[16], q[256];
    for (int g = 0; g < 16; g++) {
        for (int i = 0; i < 16; i++) {
            float value = values[16 * g + i];
            weights[16 * g + i] = given ? given[16 * g + i] : value * value;
        }
        group_scales[g] = search_scale(values + 16 * g, weights + 16 * g);
        if (fabsf(group_scales[g]) > fabsf(extreme))
            extreme = group_scales[g];
    }
    float scale = extreme / -128, stored = rti_half_to_float(rti_float_to_half(scale));
    double wax = 0, waa = 0;
    for (int g = 0; g < 16; g++) {
        scales[g] = (int8_t)(stored != 0 ? round_into(group_scales[g] / stored, -128, 127) : 0);
        float inverse = stored * scales[g] != 0 ? 1 / (stored * scales[g]) : 0;
        for (int i = 16 * g; i < 16 * g + 16; i++) {
            q[i] = (int8_t)(isfinite(inverse) ? round_into(values[i] * inverse, -32, 31) : 0);
            double a = (double)scales[g] * q[i];
            wax += weights[i] * a * values[i];
            waa += weights[i] * a * a;
        }
    }
    // Only the block's scale moves now; all roundings stay, so that the error can only fall.
    float fitted = waa > 0 ? (float)(wax / waa) : 0;
    if (isfinite(fitted) && fitted != 0)
        stored = rti_half_to_float(rti_float_to_half(fitted));
    pack_q6_k(stored, scales, q, block);
}
