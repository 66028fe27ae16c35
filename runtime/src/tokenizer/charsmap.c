// tokenizer/charsmap.c - SentencePiece's precompiled_charsmap: rules "these characters become those", as a double array
// (the layout of the Darts-clone library by Susumu Yata) followed by the strings.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include <string.h>

static bool is_utf8(const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        uint32_t code_point;
        bool valid;
        text += rti_utf8_decode(text, end, &code_point, &valid);
        if (!valid)
            return false;
    }
    return true;
}

// The longest real rule makes 33 bytes of a character; no file may make a text thousands of times longer.
#define LONGEST_RESULT 256

static bool has_long_result(const char *strings, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        length = strings[i] ? length + 1 : 0;
        if (length > LONGEST_RESULT)
            return true;
    }
    return false;
}

bool rti_charsmap_create(const rt_host *host, rti_charsmap *map, const char *blob, size_t size, bool *valid)
{
    *map = (rti_charsmap){0};
    *valid = false;
    uint32_t trie_size;
    if (size <= 4)
        return true;
    memcpy(&trie_size, blob, 4);
    if (trie_size < 4 || trie_size % 4 != 0 || trie_size > size - 4 ||
        !is_utf8(blob + 4 + trie_size, size - 4 - trie_size) || has_long_result(blob + 4 + trie_size, size - 4 - trie_size))
        return true;
    map->unit_count = trie_size / 4;
    map->string_size = size - 4 - trie_size;
    map->units = rti_allocate(host, trie_size);
    map->strings = map->units ? rti_copy_text(host, blob + 4 + trie_size, map->string_size) : NULL;
    if (!map->strings) {
        rti_charsmap_release(host, map);
        return false;
    }
    memcpy(map->units, blob + 4, trie_size);
    *valid = true;
    return true;
}

void rti_charsmap_release(const rt_host *host, rti_charsmap *map)
{
    rti_release(host, map->units, map->unit_count * 4);
    if (map->strings)
        rti_release(host, map->strings, map->string_size + 1);
    *map = (rti_charsmap){0};
}

static inline uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

size_t rti_charsmap_match(const rti_charsmap *map, const char *text, size_t size, const char **becomes, size_t *becomes_size)
{
    size_t longest = 0;
    uint32_t value = 0;
    uint32_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (at >= map->unit_count)
            break;
        uint32_t unit = map->units[at];
        if ((unit & (1u << 31 | 0xFFu)) != byte)
            break;
        at ^= unit_offset(unit);
        if (unit >> 8 & 1) {
            if (at >= map->unit_count)
                break;
            // A damaged map may match half a character: the text must stay UTF-8.
            if (i + 1 == size || ((uint8_t)text[i + 1] & 0xC0) != 0x80) {
                longest = i + 1;
                value = map->units[at] & 0x7FFFFFFFu;
            }
        }
    }
    if (longest == 0 || value >= map->string_size || ((uint8_t)map->strings[value] & 0xC0) == 0x80)
        return 0;
    *becomes = map->strings + value;
    *becomes_size = strlen(*becomes);
    return longest;
}
