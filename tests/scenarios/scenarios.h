// scenarios/scenarios.h - scripted conversations that tests share: characters, lines, frames, and what was said as one hash.
// SPDX-License-Identifier: MIT
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "repartee/repartee.h"

enum { SCENARIO_CHARACTERS = 4, SCENARIO_ROUNDS = 2, SCENARIO_TOOLS = 2 };

// Where models lie: the tiny one that comes with the tests, and the default one (NULL where it was not fetched).
const char *scenario_tiny_model(void);
const char *scenario_default_model(void);

typedef struct scenario_def {
    rt_host host;
    rt_model *model;
    uint32_t budget_us;   // of each frame
    int32_t worker_count;
    rp_world_mode mode;
    int32_t first, count; // which of the four characters talk; the others are not even there
    int32_t rounds;       // lines to each
    int32_t others;       // further characters that talk about something else all the while
    int32_t reply_tokens;
    bool tools;
    bool emotions;
    uint32_t seed;
    int32_t max_active_turns; // 0: the world's default
    bool speculate;
    const char *recording; // path, or NULL
} scenario_def;

scenario_def scenario_default(rt_model *model);

// What the four characters said and did, in order, each by itself; texts joined. The same whatever the frames were like.
typedef struct scenario_result {
    uint64_t hash[SCENARIO_CHARACTERS];
    char text[SCENARIO_CHARACTERS][4096];
    int32_t turns_done, turns_failed, calls;
    rp_stats stats;
} scenario_result;

// Plays it. RT_OK unless something failed that should not have.
rt_result scenario_play(const scenario_def *scenario, scenario_result *result);

// The pieces, for tests with frames of their own.
rt_result scenario_open_model(const char *path, rt_isa isa, rt_model **model);
rt_result scenario_create_world(const scenario_def *scenario, rp_world **world);
rt_result scenario_create_tools(rp_world *world, rp_tool_id tools[SCENARIO_TOOLS]);
rt_result scenario_create_character(rp_world *world, const scenario_def *scenario, int32_t index, const rp_tool_id *tools,
                                    rp_character_id *character);
const char *scenario_line(int32_t character, int32_t round);

// A host that counts what is allocated and can refuse: the allocation number `fail_at` (from 1; 0: none) gives NULL.
typedef struct scenario_memory {
    uint64_t allocations, fail_at;
    int64_t blocks, bytes; // held now
} scenario_memory;
rt_host scenario_host(scenario_memory *memory);

#endif
