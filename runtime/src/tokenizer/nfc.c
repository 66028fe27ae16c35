// tokenizer/nfc.c - Unicode normal form C, for the families whose tokenizer asks for it (Qwen).
//
// The library that defines those tokenizers' ids (`tokenizers`) has the data of Unicode 9: what combines since then stands
// on its own there, and here.
//
// utf8proc has the data; its own normalization sorts combining marks with a method that is quadratic in the length of a
// run of them, which a hostile text can make as long as it likes. Here runs are sorted by counting.
// SPDX-License-Identifier: MIT
#include "tokenizer/encoder.h"

#include <string.h>
#include <utf8proc.h>

bool rti_needs_nfc(const char *text, size_t size)
{
    // Everything below U+0300 is in normal form C already; its first byte is 0xCC.
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)text[i] >= 0xCC)
            return true;
    return false;
}

typedef struct code_points {
    const rt_host *host;
    int32_t *items;
    size_t count, capacity;
} code_points;

// Code points whose normalization came after Unicode 9, in order.
static const struct { uint32_t first, last; } inert_ranges[] = {
    {0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C}, {0xEBA, 0xEBA},
    {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0xA82C, 0xA82C}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC},
    {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x11938, 0x11938}, {0x1193D, 0x1193E},
    {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1},
    {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
};

static bool is_inert(uint32_t code_point)
{
    size_t low = 0, high = RTI_COUNT(inert_ranges);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (inert_ranges[middle].last < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < RTI_COUNT(inert_ranges) && inert_ranges[low].first <= code_point;
}

static bool decompose(code_points *to, const char *text, size_t size)
{
    const char *end = text + size;
    while (text < end) {
        uint32_t code_point;
        bool valid;
        text += rti_utf8_decode(text, end, &code_point, &valid);
        // A canonical decomposition has at most four code points; the room is for Hangul and others alike.
        if (!rti_array_reserve(to->host, (void **)&to->items, &to->capacity, to->count + 8, sizeof(*to->items)))
            return false;
        int boundary = 0;
        utf8proc_ssize_t wrote = -1;
        if (!is_inert(code_point))
            wrote = utf8proc_decompose_char((utf8proc_int32_t)code_point, to->items + to->count, 8,
                                            UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        if (wrote < 0 || wrote > 8) {
            to->items[to->count] = (int32_t)code_point;
            wrote = 1;
        }
        to->count += (size_t)wrote;
    }
    return true;
}

static uint8_t combining_class(int32_t code_point)
{
    return is_inert((uint32_t)code_point) ? 0 : (uint8_t)utf8proc_get_property(code_point)->combining_class;
}

// Stable, by combining class: by insertion where the run is short, by counting where it is not.
static bool sort_run(const rt_host *host, int32_t *run, size_t count)
{
    if (count <= 16) {
        for (size_t i = 1; i < count; i++) {
            int32_t item = run[i];
            uint8_t class = combining_class(item);
            size_t k = i;
            for (; k > 0 && combining_class(run[k - 1]) > class; k--)
                run[k] = run[k - 1];
            run[k] = item;
        }
        return true;
    }
    int32_t *copy = rti_allocate(host, count * sizeof(*copy));
    if (!copy)
        return false;
    size_t begin[257] = {0};
    for (size_t i = 0; i < count; i++) {
        copy[i] = run[i];
        begin[combining_class(run[i]) + 1] += 1;
    }
    for (size_t c = 0; c < 256; c++)
        begin[c + 1] += begin[c];
    for (size_t i = 0; i < count; i++)
        run[begin[combining_class(copy[i])]++] = copy[i];
    rti_release(host, copy, count * sizeof(*copy));
    return true;
}

static bool sort_marks(code_points *to)
{
    for (size_t i = 0; i < to->count;) {
        if (combining_class(to->items[i]) == 0) {
            i++;
            continue;
        }
        size_t begin = i;
        while (i < to->count && combining_class(to->items[i]) != 0)
            i++;
        if (!sort_run(to->host, to->items + begin, i - begin))
            return false;
    }
    return true;
}

// Composes what lies between inert code points, in place.
static void compose(code_points *points)
{
    size_t wrote = 0;
    for (size_t i = 0; i < points->count;) {
        size_t begin = i;
        while (i < points->count && !is_inert((uint32_t)points->items[i]))
            i++;
        if (i > begin) {
            utf8proc_ssize_t left = utf8proc_normalize_utf32(points->items + begin, (utf8proc_ssize_t)(i - begin),
                                                             UTF8PROC_COMPOSE | UTF8PROC_STABLE);
            memmove(points->items + wrote, points->items + begin, (size_t)left * sizeof(*points->items));
            wrote += (size_t)left;
        }
        if (i < points->count)
            points->items[wrote++] = points->items[i++];
    }
    points->count = wrote;
}

bool rti_normalize_nfc(const rt_host *host, const char *text, size_t size, char **out, size_t *capacity, size_t *out_size)
{
    code_points points = {.host = host};
    bool ok = decompose(&points, text, size) && sort_marks(&points);
    if (ok)
        compose(&points);
    ok = ok && rti_array_reserve(host, (void **)out, capacity, points.count * 4 + 1, 1);
    *out_size = 0;
    for (size_t i = 0; ok && i < points.count; i++)
        *out_size += (size_t)rti_utf8_encode((uint32_t)points.items[i], *out + *out_size);
    rti_release(host, points.items, points.capacity * sizeof(*points.items));
    return ok;
}
