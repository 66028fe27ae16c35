// sampler/uniform.h - the number behind a seeded draw, for every backend that draws tokens.
// SPDX-License-Identifier: MIT
#ifndef RTI_UNIFORM_H
#define RTI_UNIFORM_H

#include <stdint.h>

// A number in [0, 1) from (seed, step) alone: splitmix64's finaliser (Steele, Lea and Flood 2014), twice.
static inline double rti_uniform(uint64_t seed, uint64_t step)
{
    uint64_t x = seed;
    for (int round = 0; round < 2; round++) {
        x += 0x9e3779b97f4a7c15ULL * (step + 1);
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        x ^= x >> 31;
    }
    return (double)(x >> 11) / 9007199254740992.0; // 2^53
}

#endif
