// schedule/queue.c - turns that wait: who is served next, who has waited too long, how much the crowd may think.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "schedule/schedule.h"
#include "serve/serve.h"

#include <string.h>

// Waiting this long is worth a step of rank; a class is four steps.
static const uint64_t AGEING_NS = 2000000000u;
enum { STEPS_A_CLASS = 4 };

int32_t rpi_queue_rank(const rp_world *world, const rpi_turn *turn, uint64_t now_ns)
{
    (void)world;
    int32_t rank = (int32_t)turn->priority * STEPS_A_CLASS;
    uint64_t waited = now_ns > turn->said_ns ? now_ns - turn->said_ns : 0;
    uint64_t steps = waited / AGEING_NS;
    return steps >= (uint64_t)rank ? 0 : rank - (int32_t)steps;
}

int32_t rpi_queue_urgency(const rp_world *world, const rpi_turn *turn, uint64_t now_ns)
{
    return RPI_MAX(rpi_queue_rank(world, turn, now_ns), turn->priority == RP_PRIORITY_FOCUS ? 0 : 1);
}

static bool is_crowd(const rpi_turn *turn)
{
    return turn->priority >= RP_PRIORITY_AMBIENT;
}

// Turns whose line has gone stale before it was spoken.
static void drop_stale(rp_world *world, uint64_t now_ns)
{
    for (int32_t i = 0; i < world->turn_capacity; i++) {
        rpi_turn *turn = &world->turns[i];
        if (turn->alive && !turn->ended && turn->deadline_ns > 0 && now_ns >= turn->deadline_ns && turn->first_text_ns == 0)
            rpi_turn_end(world, turn, RPI_END_DROPPED, RT_OK, NULL, 0);
    }
}

static int32_t load_of(const rp_world *world)
{
    int32_t load = 0;
    for (int32_t i = 0; i < world->turn_capacity; i++)
        load += world->turns[i].alive && !world->turns[i].ended && !world->turns[i].is_warm;
    return load;
}

// The level that a load calls for. Going back to a better one takes a quarter less than what led away from it, so that the
// level does not flutter.
static int32_t detail_level(const rp_world *world, int32_t load)
{
    const int32_t above[] = { world->def.detail.slower_above, world->def.detail.shorter_above, world->def.detail.authored_above };
    int32_t level = 0;
    for (int32_t i = 0; i < (int32_t)RPI_COUNT(above); i++) {
        int32_t threshold = world->detail_level > i ? above[i] - above[i] / 4 : above[i];
        if (load > threshold)
            level = i + 1;
    }
    return level;
}

static void follow_detail(rp_world *world)
{
    int32_t level = detail_level(world, load_of(world));
    if (level == world->detail_level)
        return;
    world->detail_level = level;
    uint64_t now = rpi_world_now(world);
    rpi_trace_add(world, RPI_TRACE_DETAIL, now, now, level, 0, 0);
    rp_event event = { .kind = RP_EVENT_DEGRADED, .count = level };
    rpi_events_add(world, &event, NULL, 0);
}

static int32_t crowd_under_way(const rp_world *world)
{
    int32_t count = 0;
    for (int32_t i = 0; i < world->slot_count; i++)
        count += world->slots[i].turn != NULL && is_crowd(world->slots[i].turn);
    return count;
}

// The waiting turn to serve next: rank, then deadline, then age. A character speaks one turn at a time.
static rpi_turn *next_waiting(const rp_world *world, uint64_t now_ns, bool in_focus)
{
    bool crowd_is_full = world->detail_level >= 1 && crowd_under_way(world) >= 1;
    rpi_turn *best = NULL;
    int32_t best_rank = 0;
    for (int32_t i = 0; i < world->turn_capacity; i++) {
        rpi_turn *turn = &world->turns[i];
        if (!turn->alive || turn->ended || turn->slot != NULL || turn->character->first_turn != turn)
            continue;
        if (in_focus && turn->priority != RP_PRIORITY_FOCUS)
            continue;
        int32_t rank = rpi_queue_rank(world, turn, now_ns);
        if (crowd_is_full && is_crowd(turn) && rank > 0)
            continue;
        bool better = best == NULL || rank < best_rank;
        if (best != NULL && rank == best_rank) {
            uint64_t deadline = turn->deadline_ns > 0 ? turn->deadline_ns : UINT64_MAX;
            uint64_t best_deadline = best->deadline_ns > 0 ? best->deadline_ns : UINT64_MAX;
            better = deadline < best_deadline || (deadline == best_deadline && turn->said_ns < best->said_ns);
        }
        if (better) {
            best = turn;
            best_rank = rank;
        }
    }
    return best;
}

// A slot for a turn of this rank: a free one, or that of a turn of a lesser class that has given out nothing yet. The last
// one is kept for a turn in focus, which need not wait for anybody.
static rpi_slot *find_slot(rp_world *world, const rpi_turn *turn, int32_t rank, uint64_t now_ns)
{
    rpi_slot *worst = NULL;
    int32_t worst_rank = rank + STEPS_A_CLASS - 1;
    int32_t count = turn->priority == RP_PRIORITY_FOCUS ? world->slot_count : world->slot_count - 1;
    for (int32_t i = 0; i < count; i++) {
        rpi_slot *slot = &world->slots[i];
        if (slot->stage == RPI_STAGE_FREE)
            return slot;
        int32_t other = slot->turn != NULL ? rpi_queue_rank(world, slot->turn, now_ns) : 0;
        if (slot->turn != NULL && slot->passes == 0 && other > worst_rank) {
            worst = slot;
            worst_rank = other;
        }
    }
    return worst != NULL && rpi_turn_requeue(world, worst) ? worst : NULL;
}

static void serve(rp_world *world, rpi_turn *turn, rpi_slot *slot, uint64_t now_ns)
{
    rpi_trace_add(world, RPI_TRACE_SERVED, turn->said_ns, now_ns, rpi_queue_rank(world, turn, now_ns),
                  (int32_t)turn->character->index, (int32_t)turn->index);
    rpi_serve_start(world, turn, slot);
}

bool rpi_queue_start_waiting(rp_world *world, uint64_t now_ns)
{
    bool any = false;
    rpi_turn *turn;
    rpi_slot *kept = &world->slots[world->slot_count - 1];
    if (kept->stage == RPI_STAGE_FREE && !world->device_lost && (turn = next_waiting(world, now_ns, true)) != NULL) {
        serve(world, turn, kept, now_ns);
        any = true;
    }
    while ((turn = next_waiting(world, now_ns, false)) != NULL) {
        bool authored = world->device_lost || (world->detail_level >= 3 && is_crowd(turn));
        if (authored && !turn->is_warm && rpi_turn_answer_authored(world, turn)) {
            follow_detail(world);
            any = true;
            continue;
        }
        rpi_slot *slot = find_slot(world, turn, rpi_queue_rank(world, turn, now_ns), now_ns);
        if (slot == NULL)
            break;
        if (world->detail_level >= 2 && is_crowd(turn))
            turn->max_reply_tokens = RPI_MAX(turn->max_reply_tokens / 2, 8);
        serve(world, turn, slot, now_ns);
        any = true;
    }
    return any;
}

void rpi_queue_update(rp_world *world, uint64_t now_ns)
{
    drop_stale(world, now_ns);
    follow_detail(world);
    rpi_queue_start_waiting(world, now_ns);
}
