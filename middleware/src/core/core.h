// core/core.h - what stands behind rp_world: what every room may touch - what it was made of, clock, lock, events, counters -
// and, by name only, what single rooms keep in it.
// SPDX-License-Identifier: MIT
#ifndef RPI_CORE_H
#define RPI_CORE_H

#include <pthread.h>
#include <stdio.h>

#include "common/common.h"
#include "core/ring.h"
#include "repartee/world.h"
#include "rt/grammar.h"

typedef struct rpi_queued_event {
    rp_event event;
    size_t text_at; // in the arena; SIZE_MAX: the text is static
} rpi_queued_event;

// Events wait in a ring, their texts in an arena behind it that is packed at the start of an update. Room for the last
// event of every turn is always kept, so that no turn can end unheard.
typedef struct rpi_events {
    rpi_queued_event *items;
    size_t capacity, head, count;
    rpi_buffer text;
} rpi_events;

// RP_MODE_BACKGROUND only: the game's thread and the world's own take turns.
typedef struct rpi_lock {
    pthread_mutex_t mutex;
    atomic_int waiting; // calls that wait for it
    bool has_mutex;
} rpi_lock;

enum { RPI_MAX_STOPS = 8, RPI_MAX_NAME = 128 };

struct rp_world {
    rp_world_def def; // its texts are copies
    char *lore, *player_name;
    rpi_meter meter;
    rt_host host; // counts
    rt_model *model;
    rt_tokenizer *tokenizer;
    const rp_format *format;
    rt_context *context;
    rt_vocabulary *vocabulary; // made with the first tool
    rt_model_info info;
    int32_t context_size; // positions that one turn may take
    int32_t most_context_size; // the same, whatever the cache grows to
    int32_t max_rows, max_logits_rows; // of one pass
    rt_token stops[RPI_MAX_STOPS];
    int32_t stop_count;

    rpi_events events;  // what the game takes
    rpi_events backlog; // RP_MODE_BACKGROUND: what came up since the last update
    rpi_trace trace;
    FILE *recording; // NULL: off
    rp_stats stats;
    uint64_t allocations_before; // in the meter when the stats were reset
    int32_t callback_depth;
    int32_t detail_level;
    bool device_lost; // the model cannot serve any more: authored lines from here on
    bool stop;        // whatever runs ends after its piece
    rpi_lock lock;

    // What the rooms above keep in a world. Whoever looks inside includes their headers; world/create.c makes it all.
    struct rpi_tool *tools; // tool/
    size_t tool_count, tool_capacity;
    struct rpi_grammar_cache *grammars;
    struct rpi_character *characters; // character/; def.max_characters of them
    struct rpi_turn *turns; // turn/
    int32_t turn_capacity, turns_alive; // alive: not recycled
    uint32_t free_turn;                 // where the search for a free one starts
    struct rpi_slot *slots;
    int32_t slot_count;
    struct rpi_call_style *call_style;
    uint32_t call_counter;           // call/
    struct rpi_scheduler *scheduler; // schedule/
    struct rpi_pacer *pacer;         // world/
    struct rpi_background *background;
};

// Refuses calls from inside a callback: BUSY.
rt_result rpi_world_check_idle(const rp_world *world, const char *function);

uint64_t rpi_world_now(const rp_world *world);
// Whether a token ends a reply.
bool rpi_is_stop(const rp_world *world, rt_token token);

// Without one, as in all modes but RP_MODE_BACKGROUND, locking does nothing. Recursive.
rt_result rpi_world_lock_create(rp_world *world);
void rpi_world_lock_destroy(rp_world *world);
void rpi_world_lock(const rp_world *world);
void rpi_world_unlock(const rp_world *world);
void rpi_world_yield(rp_world *world); // lets waiting calls in, between two pieces of work

// ---------------------------------------------------------------------------------------------------------------------
// Events
// ---------------------------------------------------------------------------------------------------------------------

// Makes room for `count` more events beside the last ones of all turns.
bool rpi_events_reserve(rp_world *world, size_t count, size_t text_bytes);
// Adds an event of a turn; text is copied (an event that ends a turn always fits, if need be without its text).
bool rpi_events_add(rp_world *world, const rp_event *event, const char *text, size_t size);
// The oldest one that the game may have; its text stays until the next update. False: none waits.
bool rpi_events_take(rp_world *world, rp_event *event);
bool rpi_event_ends_turn(rp_event_kind kind);
void rpi_events_pack(rp_world *world);
bool rpi_events_are_piling_up(const rp_world *world);
void rpi_events_free(rp_world *world);

void rpi_histogram_add(rp_histogram *histogram, double value);

#endif
