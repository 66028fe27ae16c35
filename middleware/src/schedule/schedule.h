// schedule/schedule.h - who runs next, and for how long.
// SPDX-License-Identifier: MIT
#ifndef RPI_SCHEDULE_H
#define RPI_SCHEDULE_H

#include "budget/cost.h"
#include "budget/reserve.h"
#include "turn/turn.h"

enum { RPI_PASSES = 3 }; // the last one is for turns in focus only

// The rows that one segment has in a pass.
typedef struct rpi_share {
    rpi_slot *slot;
    int32_t segment, first, rows, row_begin;
} rpi_share;

// A pass of the runtime with whose rows they are.
typedef struct rpi_pass {
    rt_pass *pass; // NULL: none under way
    rpi_share *shares;
    int32_t share_count, row_count, logits_count;
    rt_slice slice; // queued on a GPU and not yet finished where `queued`
    bool queued;
    uint64_t begin_ns; // for the trace
    int32_t next_share, next_row; // whose logits are taken next, once it is done
} rpi_pass;

typedef struct rpi_scheduler {
    rpi_cost_table cost;
    rpi_pass passes[RPI_PASSES];
    rt_row *rows;   // for building a pass
    void *candidates; // scratch of pass.c, see rpi_pass_candidate_bytes
    bool refused;     // in this update something did not fit
    bool worked;      // in this update something was done
    bool queues;      // slices run on a device beside this thread: one at a time, as large as the budget
    double credit_ns; // budget that was left because the next piece did not fit
    double expected_ns, measured_ns; // of this update's slices
    double debt_ns;   // what turns in focus owe to all others, see relief.c
    rpi_reserve reserve;
} rpi_scheduler;

rt_result rpi_scheduler_create(rp_world *world);
void rpi_scheduler_destroy(rp_world *world);

// Works until `deadline_ns` on the world's clock (UINT64_MAX: until nothing is left to do). `callbacks`: whether work that
// calls into the game may be done here.
void rpi_scheduler_run(rp_world *world, uint64_t deadline_ns, bool callbacks);

// Only what calls into the game, where slices run on another thread.
void rpi_scheduler_run_callbacks(rp_world *world);

// Whether there is anything that rpi_scheduler_run could do.
bool rpi_scheduler_has_work(const rp_world *world);

// A turn's rank in the queue at a moment: class and ageing; the lower, the sooner.
int32_t rpi_queue_rank(const rp_world *world, const rpi_turn *turn, uint64_t now_ns);
// And once it is served: no age makes others as urgent as a turn in focus, whose rank is 0.
int32_t rpi_queue_urgency(const rp_world *world, const rpi_turn *turn, uint64_t now_ns);

// Whether it is the others' turn for a moment although somebody is in focus.
bool rpi_relief_is_due(const rp_world *world);
// A slice of a pass of this rank has taken so long.
void rpi_relief_settle(rpi_scheduler *scheduler, int32_t pass_rank, uint64_t elapsed_ns);

// Moves waiting turns into free slots, drops the stale ones, follows the level of detail.
void rpi_queue_update(rp_world *world, uint64_t now_ns);

// Serves waiting turns where there are slots; whether it found any.
bool rpi_queue_start_waiting(rp_world *world, uint64_t now_ns);

#endif
