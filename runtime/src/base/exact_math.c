// SPDX-License-Identifier: MIT
#include "base/exact_math.h"
#include "rt/base.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline __attribute__((always_inline)) double exp_inline(double x)
{
    if (!(x > -700.0)) return 0.0;
    if (x > 700.0) return INFINITY;
    // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts so that r keeps its low bits (Cody and Waite 1980).
    const double shift = 0x1.8p52;
    double n = fma(x, 0x1.71547652b82fep0, shift) - shift;
    double r = fma(n, -0x1.62e42fefa39efp-1, x);
    r = fma(n, -0x1.abc9e3b39803fp-56, r);
    // Taylor to degree 13: the remainder is below 2e-17 at |r| = 0.35.
    static const double coefficients[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                                          1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
                                          1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5,
                                          1.0,                1.0};
    double sum = coefficients[0];
    for (int i = 1; i < 14; i++) sum = fma(sum, r, coefficients[i]);
    return sum * from_bits((uint64_t)((int64_t)n + 1023) << 52);
}

// The library's baseline has no fused instruction, and its fma() is a call: fifteen of them an exponential, 50 thousand
// exponentials a distribution. The same bits either way.
#if defined(__x86_64__)
__attribute__((target("fma"))) static double exp_fused(double x)
{
    return exp_inline(x);
}
#endif

double rti_exact_exp(double x)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("fma")) return exp_fused(x);
#endif
    return exp_inline(x);
}

double rti_exact_log(double x)
{
    if (!(x > 0.0)) return -INFINITY;
    if (x > 0x1.fffffffffffffp1023) return INFINITY;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    double mantissa = from_bits((bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL);
    if (mantissa > 0x1.6a09e667f3bcdp0) { // sqrt 2: keeps the series short on both sides
        mantissa *= 0.5;
        exponent++;
    }
    // ln m = 2 atanh((m - 1) / (m + 1))
    double s = (mantissa - 1.0) / (mantissa + 1.0);
    double square = s * s;
    double sum = 1.0 / 23.0;
    for (int k = 21; k >= 1; k -= 2) sum = fma(sum, square, 1.0 / (double)k);
    double fraction = 2.0 * s * sum;
    return fma((double)exponent, 0x1.62e42fefa39efp-1, fma((double)exponent, 0x1.abc9e3b39803fp-56, fraction));
}

double rt_exp(double x)
{
    return rti_exact_exp(x);
}

double rt_log(double x)
{
    return rti_exact_log(x);
}
