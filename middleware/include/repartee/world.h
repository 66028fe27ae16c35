// repartee/world.h - the one object a game owns: characters, their turns, and the microseconds they may take.
//
//     rp_world_def def = rp_default_world_def();
//     def.model = model;
//     rp_world_create(&def, &world);
//     for (;;) {                                  // the game's own loop
//         render();
//         rp_world_update(world, 2000);           // at most 2 ms of this frame
//         rp_event event;
//         while (rp_world_next_event(world, &event)) ...
//     }
//
// A world belongs to one thread at a time; every call on it and every callback from it is on that thread. Many worlds may
// share a model. No thread is started unless worker_count or `mode` ask for it.
//
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_WORLD_H
#define REPARTEE_WORLD_H

#include "repartee/event.h"
#include "repartee/format.h"
#include "repartee/ids.h"
#include "repartee/turn.h"
#include "rt/context.h"
#include "rt/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_world_mode {
    RP_MODE_INLINE = 0,     // slices run inside rp_world_update, on its thread and the workers
    // Slices run on a thread of the world's own, under the same budget a frame; rp_world_update grants it and returns.
    // Callbacks and events stay in rp_world_update. Calls on the world wait for one slice (1 ms) at most.
    RP_MODE_BACKGROUND = 1,
    RP_MODE_HEADLESS = 2,   // a server without frames: rp_world_update works until its budget is gone, large slices
} rp_world_mode;

// Level of detail for minds: at these loads (turns waiting or under way) ambient and background turns are served less.
typedef struct rp_detail_def {
    int32_t slower_above;   // ambient turns are served one at a time; default 24
    int32_t shorter_above;  // and their replies halved; default 48
    int32_t authored_above; // and answered with fallback lines where the character has some; default 96
} rp_detail_def;

typedef struct rp_pacer_def {
    uint32_t target_frame_us; // 16667
    uint32_t least_us;        // budget floor while there is work; default 100
    uint32_t most_us;         // default 8000
} rp_pacer_def;

typedef struct rp_world_def {
    uint32_t cookie; // set by rp_default_world_def
    rt_host host;
    rt_model *model;          // retained; required
    const rp_format *format;  // NULL: found from the model (rp_format_detect)
    const char *lore;         // what everybody in this world knows; computed once for all characters; UTF-8
    const char *player_name;  // default "player"
    uint64_t seed;
    rp_world_mode mode;
    int32_t max_characters;   // default 256
    int32_t max_active_turns; // served at the same time, default 8, and one more in focus; also the rows of a decode batch
    int32_t max_queued_turns; // default 1024
    uint64_t kv_tokens;       // size of the key-value cache in positions; default: enough for max_active_turns, at least 8192
    rt_kv_type kv_type;
    int32_t worker_count;     // threads beside the calling one
    const int32_t *worker_cpus;
    uint32_t worker_spin_us;
    int32_t max_call_rounds;  // calls one turn may make, whoever decides on them; default 4, 0 to 64
    // How a model without a call format of its own decides what to call. true (default): by how much better the player's
    // line follows from a wish for a tool than from small talk; an argument by how much likelier the conversation has made
    // it than it is without. false: by whichever name is likeliest behind the conversation ("none" among them), and
    // arguments likewise: what common words are worth is then taken for what was said (docs/calls.md has both measured).
    bool calibrate_choices;
    int32_t max_prefill_rows; // prompt tokens in one pass, default 128
    float margin;             // standard deviations of the cost prediction kept free, default 3
    rp_detail_def detail;
    rp_pacer_def pacer;
    bool speculate;           // prompt-lookup speculation (unchanged output); default true
    uint64_t (*clock_ns)(void *user); // NULL: the system's monotonic clock; tests bring their own
    void *clock_user;
} rp_world_def;

RT_API rp_world_def rp_default_world_def(void);

// Allocates everything that steady frames need. Errors: INVALID_ARGUMENT, NOT_FOUND (chat format), OUT_OF_MEMORY, DEVICE.
RT_API rt_result rp_world_create(const rp_world_def *def, rp_world **world);
// Safe while busy: turns under way are dropped without events. NULL is fine. Not from inside a callback (that is refused: BUSY is
// raised and the world lives on).
RT_API void rp_world_destroy(rp_world *world);

#define RP_BUDGET_UNLIMITED UINT32_MAX // until there is nothing left to do (or only the game can go on)
#define RP_BUDGET_PACED (UINT32_MAX - 1) // what the pacer grants, see rp_world_frame

// Serves turns for at most `budget_us` microseconds and returns; runs callbacks; makes events. 0: bookkeeping only.
// BUSY when called from inside a callback.
RT_API rt_result rp_world_update(rp_world *world, uint32_t budget_us);

// Whether any turn is queued or under way.
RT_API bool rp_world_is_busy(const rp_world *world);

// Tells the pacer the total time of the last frame, present included. In RP_BUDGET_PACED updates it finds the largest budget
// that costs no frame: backs off at once, recovers slowly. Returns the budget it would grant now, in microseconds.
RT_API uint32_t rp_world_frame(rp_world *world, uint32_t frame_us);
// Loading screens, menus, a debugger: frame times mean nothing for now; budget is `most_us` while paused rendering is true.
RT_API void rp_world_set_unpaced(rp_world *world, bool unpaced);

// Shrinks or grows the key-value cache while the game runs (see rt_context_set_kv_tokens). What is being computed is begun anew, what
// was said stands. From then on a turn may take kv_tokens positions at most, or what it could take when the world was created; a
// recording that such a call falls into need not replay. BUSY inside a callback; TOO_LARGE while turns hold more than is to be left.
RT_API rt_result rp_world_set_kv_tokens(rp_world *world, uint64_t kv_tokens);

#define RP_HISTOGRAM_BUCKETS 64

// Counts in buckets of a quarter octave: bucket i holds values from 2^(i/4) on (microseconds, the first from 0).
typedef struct rp_histogram {
    uint64_t count;
    uint64_t buckets[RP_HISTOGRAM_BUCKETS];
    uint32_t max;
} rp_histogram;

// The value below which `share` (0 to 1) of the counts lie, interpolated in its bucket.
RT_API double rp_histogram_quantile(const rp_histogram *histogram, double share);

// Slices of one length: of what they were expected to take. Below 50 us, 150, 500, and from there on.
#define RP_SLICE_LENGTHS 4
typedef struct rp_slice_stats {
    uint64_t expected_ns, measured_ns; // of all of them
    rp_histogram error;   // as rp_stats.prediction_error
} rp_slice_stats;

typedef struct rp_stats {
    uint64_t updates, slices, passes;
    uint64_t prefill_tokens, decode_tokens, reused_tokens, speculated_tokens, accepted_tokens;
    uint64_t turns_done, turns_cancelled, turns_dropped, turns_failed;
    uint64_t calls_made, calls_vetoed, calls_failed, choices_none;
    uint64_t allocations;          // through the world's host since it was created
    uint64_t allocations_in_update; // of these, inside rp_world_update
    uint64_t memory_bytes;         // held now
    uint64_t budget_us, used_us;   // sums over updates that had work
    rp_histogram overshoot;        // of each update past its budget, microseconds
    rp_histogram slice_time;       // microseconds
    rp_histogram prediction_error; // |measured - predicted| as per mille of predicted (of 100 us for shorter slices)
    rp_slice_stats slices_by_length[RP_SLICE_LENGTHS];
    rp_slice_stats slices_by_update; // all slices of an update as one: what a budget was expected to buy, against what it took
    rp_histogram first_text;       // rp_character_say to the first word, microseconds
    rt_cache_stats cache;
    int32_t turns_queued, turns_active;
    int32_t detail_level;
    uint32_t pacer_budget_us;
} rp_stats;

RT_API void rp_world_get_stats(const rp_world *world, rp_stats *stats);
RT_API void rp_world_reset_stats(rp_world *world); // counters and histograms to 0

RT_API rt_model *rp_world_model(const rp_world *world);
RT_API const rp_format *rp_world_format(const rp_world *world);

#ifdef __cplusplus
}
#endif
#endif
