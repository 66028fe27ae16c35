// tokenizer/merges.h - which two tokens become one, and in which order.
// SPDX-License-Identifier: MIT
#ifndef RTI_MERGES_H
#define RTI_MERGES_H

#include "base/base.h"

// Lower priorities merge first; among equals the leftmost.
#define RTI_NO_MERGE UINT32_MAX

typedef struct rti_merge {
    int32_t left; // -1: free slot
    int32_t right;
    int32_t result;
    uint32_t priority;
} rti_merge;

// (left, right) -> merge: open addressing with linear probing, at most three quarters full.
typedef struct rti_merge_map {
    rti_merge *slots;
    uint64_t mask;
    size_t count;
} rti_merge_map;

bool rti_merge_map_create(const rt_host *host, rti_merge_map *map, size_t expected);
void rti_merge_map_release(const rt_host *host, rti_merge_map *map);
// Adds a merge; of two for the same pair the one with the lower priority stays. False: out of memory.
bool rti_merge_map_add(const rt_host *host, rti_merge_map *map, rti_merge merge);

static inline uint64_t rti_merge_hash(int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u;
    return key ^ key >> 29;
}

static inline const rti_merge *rti_merge_find(const rti_merge_map *map, int32_t left, int32_t right)
{
    for (uint64_t i = rti_merge_hash(left, right) & map->mask;; i = (i + 1) & map->mask) {
        const rti_merge *slot = &map->slots[i];
        if (slot->left == left && slot->right == right)
            return slot;
        if (slot->left < 0)
            return NULL;
    }
}

#endif
