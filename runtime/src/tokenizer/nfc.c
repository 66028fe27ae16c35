// tokenizer/nfc.c - Unicode normal form C, for the families whose tokenizer asks for it (Qwen).
//
// utf8proc has the data; its own normalization sorts combining marks with a method that is quadratic in the length of a
// run of them, which a hostile text can make as long as it likes. Here runs are sorted by counting.
// SPDX-License-Identifier: MIT
#include "tokenizer/encode.h"

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
        utf8proc_ssize_t wrote = utf8proc_decompose_char((utf8proc_int32_t)code_point, to->items + to->count, 8,
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
    return (uint8_t)utf8proc_get_property(code_point)->combining_class;
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

bool rti_normalize_nfc(const rt_host *host, const char *text, size_t size, char **out, size_t *capacity, size_t *out_size)
{
    code_points points = {.host = host};
    bool ok = decompose(&points, text, size) && sort_marks(&points);
    if (ok && points.count > 0) {
        utf8proc_ssize_t composed = utf8proc_normalize_utf32(points.items, (utf8proc_ssize_t)points.count,
                                                             UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        points.count = composed > 0 ? (size_t)composed : 0;
    }
    ok = ok && rti_array_reserve(host, (void **)out, capacity, points.count * 4 + 1, 1);
    *out_size = 0;
    for (size_t i = 0; ok && i < points.count; i++)
        *out_size += (size_t)rti_utf8_encode((uint32_t)points.items[i], *out + *out_size);
    rti_release(host, points.items, points.capacity * sizeof(*points.items));
    return ok;
}
