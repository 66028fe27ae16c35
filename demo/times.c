// times.c - frame times and their percentiles.
// SPDX-License-Identifier: MIT
#include "times.h"

#include <stdlib.h>
#include <string.h>

void times_add(frame_times *t, uint32_t minds_us, uint32_t rest_us)
{
    if (t->count == t->capacity) {
        int grown = t->capacity ? t->capacity * 2 : 16384;
        frame_time *moved = realloc(t->frames, (size_t)grown * sizeof(*moved));
        if (!moved) {
            return;
        }
        t->frames = moved;
        t->capacity = grown;
    }
    t->frames[t->count++] = (frame_time){minds_us, rest_us};
}

void times_end(frame_times *t)
{
    free(t->frames);
    memset(t, 0, sizeof(*t));
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

percentiles times_percentiles(const frame_times *t, int last, int which)
{
    percentiles result = {0, 0, 0, 0};
    int count = last > 0 && last < t->count ? last : t->count;
    uint32_t *values = count > 0 ? malloc((size_t)count * sizeof(*values)) : NULL;
    if (!values) {
        return result;
    }
    for (int i = 0; i < count; i++) {
        const frame_time *f = &t->frames[t->count - count + i];
        values[i] = which == 0 ? f->minds_us : which == 1 ? f->rest_us : f->minds_us + f->rest_us;
    }
    qsort(values, (size_t)count, sizeof(*values), by_value);
    result.p50 = values[(int)(0.5 * (count - 1))];
    result.p99 = values[(int)(0.99 * (count - 1))];
    result.p999 = values[(int)(0.999 * (count - 1))];
    result.max = values[count - 1];
    free(values);
    return result;
}
