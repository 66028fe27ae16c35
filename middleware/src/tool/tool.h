// tool/tool.h - tools as the world keeps them, and the grammars of their parameters.
// SPDX-License-Identifier: MIT
#ifndef RPI_TOOL_H
#define RPI_TOOL_H

#include "common/common.h"
#include "repartee/tool.h"
#include "rt/grammar.h"

struct rp_writer {
    const rt_host *host;
    rpi_buffer *buffer;
    size_t limit;
    rt_result result; // of the first addition that failed
};

typedef struct rpi_tool {
    uint32_t index, generation;
    bool alive;
    char *name, *description, *parameters; // parameters NULL: live or none
    rt_grammar *grammar;                   // of `parameters`; NULL where they are live
    rt_grammar *result_grammar;            // what answers are checked against, or NULL
    rp_tool_def def; // callbacks, user, times; its texts are not ours
} rpi_tool;

// Compiled live schemas, found again by content. Least recently used ones leave.
enum { RPI_GRAMMAR_CACHE = 64 };
typedef struct rpi_grammar_entry {
    uint64_t hash;
    char *text;
    size_t size;
    rt_grammar *grammar;
    uint64_t used; // the cache's clock when it was last asked for
} rpi_grammar_entry;

typedef struct rpi_grammar_cache {
    rpi_grammar_entry entries[RPI_GRAMMAR_CACHE];
    uint64_t clock;
} rpi_grammar_cache;

rpi_tool *rpi_tool_get(const rp_world *world, rp_tool_id id);
void rpi_tool_free(rp_world *world, rpi_tool *tool);
rp_tool_id rpi_tool_id(const rpi_tool *tool);

// The schema that a tool without parameters has.
extern const char rpi_no_parameters[];

// The grammar of a schema from the cache (retained for the caller), or NULL.
rt_grammar *rpi_grammar_cache_find(rp_world *world, const char *text, size_t size);
void rpi_grammar_cache_add(rp_world *world, const char *text, size_t size, rt_grammar *grammar);
void rpi_grammar_cache_free(rp_world *world);

#endif
