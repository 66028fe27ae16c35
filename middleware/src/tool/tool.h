// tool/tool.h - tools as the world keeps them; what a turn is offered; calls.
// SPDX-License-Identifier: MIT
#ifndef RPI_TOOL_H
#define RPI_TOOL_H

#include "common/common.h"
#include "repartee/tool.h"
#include "rt/grammar.h"

struct rpi_slot;
struct rpi_character;

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

// A tool that this turn may use, with the schema of its parameters at this moment.
typedef struct rpi_offer {
    rp_tool_id tool;
    rt_grammar *grammar; // retained; NULL until it is compiled
    uint32_t schema_at, schema_size; // in the slot's `schemas`
    bool used;           // in this turn
} rpi_offer;

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

// Asks the game what this turn may use now (callbacks): fills the slot's offers.
rt_result rpi_offers_collect(rp_world *world, struct rpi_slot *slot);
void rpi_offers_clear(rp_world *world, struct rpi_slot *slot);
// Compiles what is not compiled yet, for about `budget_us`.
rt_result rpi_offers_compile(rp_world *world, struct rpi_slot *slot, uint32_t budget_us, bool *done);

// What a slot writes under a mask: tokens behind those of its call, text encoded (`continues`: right behind other text), and
// a matcher at the start of a grammar; the slot's own is used again where it is for the same one.
rt_result rpi_emit_token(rp_world *world, struct rpi_slot *slot, rt_token token);
rt_result rpi_emit_text(rp_world *world, struct rpi_slot *slot, const char *text, size_t size, bool continues);
rt_result rpi_emit_begin(rp_world *world, struct rpi_slot *slot, rt_grammar *grammar);

// The token that was sampled for a slot, taken by its matcher: its bytes (the tokenizer's), and whether it ends a reply.
typedef struct rpi_emitted {
    const char *bytes;
    size_t size;
    bool ends;
} rpi_emitted;
rt_result rpi_emit_commit(rp_world *world, struct rpi_slot *slot, rpi_emitted *emitted);

// Runs the slot's call (a callback). The slot then has an answer, or waits for one.
void rpi_call_run(rp_world *world, struct rpi_slot *slot);
// Takes the answer of the slot's call: event, counters, text for the model.
void rpi_call_finish(rp_world *world, struct rpi_slot *slot, rp_call_status status, const char *answer, size_t size);


// e^x for x <= 0, to six digits, alike on every machine.
float rpi_quick_exp(float x);

#endif
