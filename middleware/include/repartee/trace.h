// repartee/trace.h - what a world did with each frame, for Perfetto (https://ui.perfetto.dev) or chrome://tracing.
//
// A trace keeps the last so many entries: updates with their budgets, slices with what was predicted and what they took,
// chores, passes, the stages of each turn, calls, levels of detail. While it is off it costs one comparison an entry.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_TRACE_H
#define REPARTEE_TRACE_H

#include "repartee/ids.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RP_TRACE_ENTRIES 65536 // what `entries` 0 stands for; an entry takes 40 bytes

// Begins a trace that keeps the last `entries` entries, or ends it (`on` false; its memory is given back). Beginning again
// empties it. OUT_OF_MEMORY. On the world's thread, not from inside a callback.
RT_API rt_result rp_world_set_trace(rp_world *world, bool on, uint32_t entries);

// Writes the trace as Chrome trace events (JSON): tracks for frames, slices, chores and each character's turns. The trace
// goes on. NOT_FOUND: there is none. IO: the file cannot be written; it is written beside and renamed, so that a trace is
// whole or not there.
RT_API rt_result rp_world_write_trace(const rp_world *world, const char *path);

#ifdef __cplusplus
}
#endif
#endif
