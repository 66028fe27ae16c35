// tokenizer/pieces.c - the strings of a vocabulary: stored once, found by content.
// SPDX-License-Identifier: MIT
#include "tokenizer/pieces.h"

bool rti_pieces_reserve(const rt_host *host, rti_pieces *pieces, size_t count, size_t bytes)
{
    if (count >= INT32_MAX || bytes >= INT32_MAX)
        return false;
    return rti_array_reserve(host, (void **)&pieces->offsets, &pieces->offsets_capacity, count + 1, sizeof(uint32_t)) &&
           rti_array_reserve(host, (void **)&pieces->text, &pieces->text_capacity, bytes + 1, 1);
}

bool rti_pieces_append(const rt_host *host, rti_pieces *pieces, const char *text, size_t size)
{
    size_t at = pieces->count > 0 ? pieces->offsets[pieces->count] : 0;
    if (size >= INT32_MAX || at + size + 1 >= INT32_MAX ||
        !rti_pieces_reserve(host, pieces, (size_t)pieces->count + 1, at + size + 1))
        return false;
    pieces->offsets[0] = 0;
    if (size > 0)
        memcpy(pieces->text + at, text, size);
    pieces->text[at + size] = 0;
    pieces->count += 1;
    pieces->offsets[pieces->count] = (uint32_t)(at + size + 1);
    return true;
}

void rti_pieces_release(const rt_host *host, rti_pieces *pieces)
{
    rti_release(host, pieces->text, pieces->text_capacity);
    rti_release(host, pieces->offsets, pieces->offsets_capacity * sizeof(uint32_t));
    *pieces = (rti_pieces){0};
}

bool rti_piece_map_create(const rt_host *host, rti_piece_map *map, const rti_pieces *pieces, size_t count)
{
    size_t capacity = 16;
    while (capacity < count * 2)
        capacity *= 2;
    map->slots = rti_allocate_zeroed(host, capacity * sizeof(uint64_t));
    map->mask = capacity - 1;
    map->pieces = pieces;
    return map->slots != NULL;
}

void rti_piece_map_release(const rt_host *host, rti_piece_map *map)
{
    if (map->slots)
        rti_release(host, map->slots, (map->mask + 1) * sizeof(uint64_t));
    *map = (rti_piece_map){0};
}

int32_t rti_piece_map_add(rti_piece_map *map, int32_t id)
{
    const char *text = rti_piece_text(map->pieces, id);
    size_t size = rti_piece_size(map->pieces, id);
    int32_t known = rti_piece_map_find(map, text, size);
    if (known >= 0)
        return known;
    uint64_t hash = rti_piece_hash(text, size);
    uint64_t i = hash & map->mask;
    while (map->slots[i] != 0)
        i = (i + 1) & map->mask;
    // The lowest bit of the tag is always set, so that no slot in use is 0.
    map->slots[i] = (hash >> 32 | 1) << 32 | (uint32_t)id;
    return -1;
}
