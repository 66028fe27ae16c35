// tokenizer/pieces.h - the strings of a vocabulary: stored once, found by content.
// SPDX-License-Identifier: MIT
#ifndef RTI_PIECES_H
#define RTI_PIECES_H

#include "base/base.h"

#include <string.h>

// Strings one after another, each with a terminating zero that does not count. Built by appending, in order of id.
typedef struct rti_pieces {
    char *text;
    size_t text_capacity;
    uint32_t *offsets; // count + 1 of them
    size_t offsets_capacity;
    int32_t count;
} rti_pieces;

// Makes room for `count` strings of `bytes` bytes in all. Total text is limited to 2 GiB. False: out of memory.
bool rti_pieces_reserve(const rt_host *host, rti_pieces *pieces, size_t count, size_t bytes);
bool rti_pieces_append(const rt_host *host, rti_pieces *pieces, const char *text, size_t size);
void rti_pieces_release(const rt_host *host, rti_pieces *pieces);

static inline const char *rti_piece_text(const rti_pieces *pieces, int32_t id)
{
    return pieces->text + pieces->offsets[id];
}

static inline size_t rti_piece_size(const rti_pieces *pieces, int32_t id)
{
    return pieces->offsets[id + 1] - pieces->offsets[id] - 1;
}

// Content -> id: open addressing, at most half full. Slots hold the upper half of the hash and the id; 0 is free.
typedef struct rti_piece_map {
    uint64_t *slots;
    uint64_t mask;
    const rti_pieces *pieces;
} rti_piece_map;

bool rti_piece_map_create(const rt_host *host, rti_piece_map *map, const rti_pieces *pieces, size_t count);
void rti_piece_map_release(const rt_host *host, rti_piece_map *map);
// Adds pieces->[id]. When an equal string is there already, gives its id and changes nothing; -1 otherwise.
int32_t rti_piece_map_add(rti_piece_map *map, int32_t id);

static inline uint64_t rti_load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t rti_load32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t rti_fold_multiply(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Reads whole words that may overlap, never past the end (after wyhash).
static inline uint64_t rti_piece_hash(const char *p, size_t size)
{
    uint64_t a, b, seed = 0x9E3779B97F4A7C15u ^ size;
    if (size >= 8) {
        const char *last = p + size - 8;
        for (; p + 16 <= last + 8; p += 16)
            seed = rti_fold_multiply(rti_load64(p) ^ 0xA0761D6478BD642Fu ^ seed, rti_load64(p + 8) ^ 0xE7037ED1A0B428DBu);
        a = p < last ? rti_load64(p) : 0;
        b = rti_load64(last);
    } else if (size >= 4) {
        a = rti_load32(p);
        b = rti_load32(p + size - 4);
    } else if (size > 0) {
        a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[size >> 1] << 8 | (uint8_t)p[size - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return rti_fold_multiply(a ^ 0x8EBC6AF09C88C6E3u ^ seed, b ^ 0x589965CC75374CC3u);
}

// Short strings are compared without a call.
static inline bool rti_bytes_equal(const char *a, const char *b, size_t size)
{
    if (size >= 8) {
        if (size > 16)
            return memcmp(a, b, size) == 0;
        return rti_load64(a) == rti_load64(b) && rti_load64(a + size - 8) == rti_load64(b + size - 8);
    }
    if (size >= 4)
        return rti_load32(a) == rti_load32(b) && rti_load32(a + size - 4) == rti_load32(b + size - 4);
    return size == 0 || (a[0] == b[0] && a[size >> 1] == b[size >> 1] && a[size - 1] == b[size - 1]);
}

// The id of a string whose hash is known, or -1.
static inline int32_t rti_piece_map_find_hashed(const rti_piece_map *map, const char *text, size_t size, uint64_t hash)
{
    for (uint64_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        uint64_t slot = map->slots[i];
        if (slot == 0)
            return -1;
        if (slot >> 32 == (hash >> 32 | 1)) {
            int32_t id = (int32_t)(uint32_t)slot;
            if (rti_piece_size(map->pieces, id) == size && rti_bytes_equal(rti_piece_text(map->pieces, id), text, size))
                return id;
        }
    }
}

// The id of a string, or -1.
static inline int32_t rti_piece_map_find(const rti_piece_map *map, const char *text, size_t size)
{
    return rti_piece_map_find_hashed(map, text, size, rti_piece_hash(text, size));
}

#endif
