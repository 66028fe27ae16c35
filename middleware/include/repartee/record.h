// repartee/record.h - what went into a world's turns, written down; and played again, anywhere, to the same words.
//
// A recording is a file of JSON lines: first the world (seed, lore, model), then each turn that ended, with all that its words
// depend on: who spoke and what it was, what it remembered, what it was told, which functions it was offered with which
// parameters, what the game answered. Words depend on nothing else - not on frames, threads, machines or company - so each
// turn is played by itself and must give what was recorded.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_RECORD_H
#define REPARTEE_RECORD_H

#include "repartee/world.h"

#ifdef __cplusplus
extern "C" {
#endif

// Begins to record turns that start from now on; path NULL ends it. Writing happens inside updates: a tool for finding bugs,
// not for shipping. IO: the file cannot be written. On the world's thread, not from inside a callback.
RT_API rt_result rp_world_set_recording(rp_world *world, const char *path);

typedef struct rp_replay {
    int32_t turns;      // played
    int32_t different;  // of these, whose words or calls were not the recorded ones
    int32_t first_line; // of the file, where the first difference is; 0: none
    char recorded[256], played[256]; // the beginning of both, at the first difference
} rp_replay;

// Plays a recording. Of `def` count what may differ from machine to machine: host, model, threads, mode, memory; seed, lore
// and the like come from the recording. `budget_us` of each update, as for rp_world_update. A difference is no error: see
// `replay`. Errors: IO, BAD_FILE (with the line), those of rp_world_create.
RT_API rt_result rp_recording_play(const char *path, const rp_world_def *def, uint32_t budget_us, rp_replay *replay);

#ifdef __cplusplus
}
#endif
#endif
