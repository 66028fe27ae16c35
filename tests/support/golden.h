// support/golden.h - {"text", "ids"} lines of reference data, and memory that is counted and can be refused.
// SPDX-License-Identifier: MIT
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "rt/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

typedef struct test_golden {
    char *text;
    size_t size;
    rt_token *ids;
    size_t count;
} test_golden;

static inline void test_golden_release(test_golden *g)
{
    free(g->text);
    free(g->ids);
    *g = (test_golden){0};
}

// The next line; false at the end of the file (or at a line that is no golden).
static inline bool test_golden_next(FILE *file, test_golden *g)
{
    json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    const json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, "ids");
    if (!json_is_string(text) || !json_is_array(ids)) {
        json_decref(line);
        return false;
    }
    g->size = json_string_length(text);
    g->text = malloc(g->size + 1);
    memcpy(g->text, json_string_value(text), g->size + 1);
    g->count = json_array_size(ids);
    g->ids = malloc((g->count + 1) * sizeof(*g->ids));
    for (size_t i = 0; i < g->count; i++)
        g->ids[i] = (rt_token)json_integer_value(json_array_get(ids, i));
    json_decref(line);
    return true;
}

// A host that counts what it lends, and refuses after a number of requests.
typedef struct test_meter {
    size_t bytes, blocks, requests;
    size_t refuse_after;
} test_meter;

static inline void *test_meter_allocate(void *user, void *pointer, size_t old_size, size_t new_size, size_t alignment)
{
    test_meter *m = user;
    void *block = NULL;
    if (new_size > 0) {
        m->requests += 1;
        if (m->requests > m->refuse_after || posix_memalign(&block, alignment, new_size) != 0)
            return NULL;
        memset(block, 0xA5, new_size);
        m->bytes += new_size;
        m->blocks += 1;
    }
    if (pointer) {
        if (block)
            memcpy(block, pointer, old_size < new_size ? old_size : new_size);
        free(pointer);
        m->bytes -= old_size;
        m->blocks -= 1;
    }
    return block;
}

static inline rt_host test_meter_host(test_meter *m)
{
    return (rt_host){.allocate = test_meter_allocate, .user = m};
}

#endif
