// base/utility.c - hashing and the clock.
// SPDX-License-Identifier: MIT
#include "base/base.h"

#include <string.h>
#include <time.h>

#define FNV_PRIME UINT64_C(0x00000100000001B3)
#define FNV_BASIS UINT64_C(0xCBF29CE484222325)

// The finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches every output bit.
static uint64_t finish(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= UINT64_C(0xFF51AFD7ED558CCD);
    hash ^= hash >> 33;
    hash *= UINT64_C(0xC4CEB9FE1A85EC53);
    hash ^= hash >> 33;
    return hash;
}

// Little-endian whatever the machine, so that a stored hash holds everywhere.
static uint64_t read_word(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

uint64_t rti_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    uint64_t hash = (FNV_BASIS ^ finish(seed)) + (uint64_t)size * FNV_PRIME;
    size_t done = 0;
    // A multiplication only carries upwards: the shift brings the high bits back down between words.
    for (; size - done >= 8; done += 8) {
        hash = (hash ^ read_word(bytes + done, 8)) * FNV_PRIME;
        hash ^= hash >> 29;
    }
    if (done < size) {
        hash = (hash ^ read_word(bytes + done, size - done)) * FNV_PRIME;
    }
    return finish(hash);
}

uint64_t rti_hash_mix(uint64_t a, uint64_t b)
{
    return finish(a * FNV_PRIME + finish(b + FNV_BASIS));
}

uint64_t rti_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
