// file/sha256.c - SHA-256 (FIPS 180-4) of files: models are pinned by it.
// SPDX-License-Identifier: MIT
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

typedef struct sha256_state {
    uint32_t hash[8];
    uint64_t bytes;
    uint8_t block[64];
} sha256_state;

static uint32_t rotate(uint32_t x, int n)
{
    return (x >> n) | (x << (32 - n));
}

static void compress(uint32_t hash[8], const uint8_t *block)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, hash, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + s1 + choice + round_constants[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

static void sha256_begin(sha256_state *state)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(state->hash, initial, sizeof initial);
    state->bytes = 0;
}

static void sha256_add(sha256_state *state, const uint8_t *data, size_t size)
{
    size_t filled = (size_t)(state->bytes % 64);
    state->bytes += size;
    if (filled > 0) {
        size_t take = RTI_MIN(size, 64 - filled);
        memcpy(state->block + filled, data, take);
        data += take;
        size -= take;
        if (filled + take < 64)
            return;
        compress(state->hash, state->block);
    }
    for (; size >= 64; data += 64, size -= 64)
        compress(state->hash, data);
    memcpy(state->block, data, size);
}

static void sha256_end(sha256_state *state, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = state->bytes * 8;
    size_t filled = (size_t)(state->bytes % 64);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(state, padding, filled < 56 ? 56 - filled : 120 - filled);
    sha256_add(state, length, sizeof length);
    for (int i = 0; i < 64; i++)
        hex[i] = digits[(state->hash[i / 8] >> (28 - 4 * (i % 8))) & 15];
    hex[64] = 0;
}

rt_result rti_sha256_file(const rt_host *host, const char *path, char hex[65])
{
    enum { CHUNK = 1 << 20 };
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return rti_fail(host, errno == ENOENT ? RT_ERROR_NOT_FOUND : RT_ERROR_IO, "%s: cannot open: %s", path,
                        strerror(errno));
    uint8_t *buffer = rti_allocate(host, CHUNK);
    if (!buffer) {
        close(descriptor);
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to compute its SHA-256", path);
    }
    sha256_state state;
    sha256_begin(&state);
    ssize_t got;
    for (;;) {
        got = read(descriptor, buffer, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        sha256_add(&state, buffer, (size_t)got);
    }
    int code = errno;
    rti_release(host, buffer, CHUNK);
    close(descriptor);
    if (got < 0)
        return rti_fail(host, RT_ERROR_IO, "%s: cannot read: %s", path, strerror(code));
    sha256_end(&state, hex);
    return RT_OK;
}
