// tokenizer/merges.c - which two tokens become one, and in which order.
// SPDX-License-Identifier: MIT
#include "tokenizer/merges.h"

static bool allocate_slots(const rt_host *host, rti_merge_map *map, size_t capacity)
{
    size_t bytes;
    if (!rti_size_multiply(capacity, sizeof(rti_merge), &bytes))
        return false;
    map->slots = rti_allocate(host, bytes);
    if (!map->slots)
        return false;
    map->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++)
        map->slots[i].left = -1;
    return true;
}

bool rti_merge_map_create(const rt_host *host, rti_merge_map *map, size_t expected)
{
    size_t capacity = 16;
    while (capacity / 4 * 3 < expected)
        capacity *= 2;
    map->count = 0;
    return allocate_slots(host, map, capacity);
}

void rti_merge_map_release(const rt_host *host, rti_merge_map *map)
{
    if (map->slots)
        rti_release(host, map->slots, (map->mask + 1) * sizeof(rti_merge));
    *map = (rti_merge_map){0};
}

static rti_merge *find_slot(rti_merge_map *map, int32_t left, int32_t right)
{
    uint64_t i = rti_merge_hash(left, right) & map->mask;
    while (map->slots[i].left >= 0 && (map->slots[i].left != left || map->slots[i].right != right))
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static bool grow(const rt_host *host, rti_merge_map *map)
{
    rti_merge_map old = *map;
    if (!allocate_slots(host, map, (old.mask + 1) * 2)) {
        *map = old;
        return false;
    }
    for (size_t i = 0; i <= old.mask; i++)
        if (old.slots[i].left >= 0)
            *find_slot(map, old.slots[i].left, old.slots[i].right) = old.slots[i];
    rti_release(host, old.slots, (old.mask + 1) * sizeof(rti_merge));
    return true;
}

bool rti_merge_map_add(const rt_host *host, rti_merge_map *map, rti_merge merge)
{
    if ((map->count + 1) > (map->mask + 1) / 4 * 3 && !grow(host, map))
        return false;
    rti_merge *slot = find_slot(map, merge.left, merge.right);
    if (slot->left >= 0) {
        if (merge.priority < slot->priority)
            *slot = merge;
        return true;
    }
    *slot = merge;
    map->count += 1;
    return true;
}
