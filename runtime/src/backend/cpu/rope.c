// backend/cpu/rope.c - rotary positions (Su et al. 2021, arXiv:2104.09864) with angles in double.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

// The C library's sine differs between versions in the last bit; this one is the same everywhere. x minus the nearest
// multiple of pi/2 in three parts of 33 bits (Cody and Waite 1980): exact products up to 2^20, so the error is below
// 1e-15 for |x| < 2^20. Then the series.
void rti_sin_cos(double x, double *sine, double *cosine)
{
    const double shift = 6755399441055744.0; // 1.5 * 2^52: adding and taking away rounds to nearest
    double n = (x * 0.63661977236758134308 + shift) - shift;
    double r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
    double z = r * r;
    double s = 1.0 / 355687428096000.0;
    s = s * z - 1.0 / 1307674368000.0;
    s = s * z + 1.0 / 6227020800.0;
    s = s * z - 1.0 / 39916800.0;
    s = s * z + 1.0 / 362880.0;
    s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0;
    s = s * z - 1.0 / 6.0;
    s = r + r * z * s;
    double c = 1.0 / 20922789888000.0;
    c = c * z - 1.0 / 87178291200.0;
    c = c * z + 1.0 / 479001600.0;
    c = c * z - 1.0 / 3628800.0;
    c = c * z + 1.0 / 40320.0;
    c = c * z - 1.0 / 720.0;
    c = c * z + 1.0 / 24.0;
    c = c * z - 0.5;
    c = 1.0 + z * c;
    switch ((long long)n & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
    }
}

void rti_rope_table(const rti_rope *rope, int32_t position, float *table)
{
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        double sine, cosine;
        rti_sin_cos((double)position * rope->frequency[i], &sine, &cosine);
        table[2 * i] = (float)(cosine * rope->magnitude);
        table[2 * i + 1] = (float)(sine * rope->magnitude);
    }
}

void rti_rope_turn(const rti_rope *rope, const float *table, float *head)
{
    const int32_t half = rope->rotated / 2;
    const int32_t step = rope->order == RTI_ROPE_NEIGHBOURS ? 2 : 1, apart = rope->order == RTI_ROPE_NEIGHBOURS ? 1 : half;
    for (int32_t i = 0; i < half; i++) {
        float *a = head + i * step, *b = a + apart;
        float cosine = table[2 * i], sine = table[2 * i + 1], x = *a, y = *b;
        *a = x * cosine - y * sine;
        *b = x * sine + y * cosine;
    }
}
