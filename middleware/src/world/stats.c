// world/stats.c - what a world has counted.
// SPDX-License-Identifier: MIT
#include "budget/pacer.h"
#include "core/core.h"
#include "schedule/schedule.h"
#include "turn/turn.h"
#include "world/world.h"

#include <string.h>

void rp_world_get_stats(const rp_world *world, rp_stats *stats)
{
    if (stats == NULL)
        return;
    memset(stats, 0, sizeof *stats);
    if (world == NULL)
        return;
    rpi_world_lock(world);
    *stats = world->stats;
    stats->allocations = atomic_load(&world->meter.allocations) - world->allocations_before;
    stats->memory_bytes = atomic_load(&world->meter.bytes);
    stats->detail_level = world->detail_level;
    stats->pacer_budget_us = rpi_pacer_budget(world->pacer, &world->def.pacer);
    rt_context_cache_stats(world->context, &stats->cache);
    for (int32_t i = 0; i < world->turn_capacity; i++) {
        const rpi_turn *turn = &world->turns[i];
        if (turn->alive && !turn->ended && !turn->is_warm)
            *(turn->slot != NULL ? &stats->turns_active : &stats->turns_queued) += 1;
    }
    rpi_world_unlock(world);
}

void rp_world_reset_stats(rp_world *world)
{
    if (world == NULL)
        return;
    rpi_world_lock(world);
    memset(&world->stats, 0, sizeof world->stats);
    world->allocations_before = atomic_load(&world->meter.allocations);
    rpi_world_unlock(world);
}

void rpi_world_account(rp_world *world, uint64_t begin_ns, uint32_t budget_us, uint64_t allocations, bool worked)
{
    uint64_t used_ns = rpi_world_now(world) - begin_ns;
    world->stats.updates++;
    if (worked)
        rpi_trace_add(world, RPI_TRACE_UPDATE, begin_ns, begin_ns + used_ns, (int32_t)budget_us, 0, 0);
    world->stats.allocations_in_update += atomic_load(&world->meter.allocations) - allocations;
    if (!worked)
        return;
    world->stats.used_us += used_ns / 1000;
    world->pacer->used_us += (uint32_t)RPI_MIN(used_ns / 1000, (uint64_t)1000000000);
    if (budget_us == RP_BUDGET_UNLIMITED)
        return;
    world->stats.budget_us += budget_us;
    if (world->scheduler->refused) // else it ended because there was nothing left to do
        rpi_reserve_learn(&world->scheduler->reserve, used_ns, (uint64_t)budget_us * 1000);
    double over_us = (double)used_ns / 1000.0 - budget_us;
    rpi_histogram_add(&world->stats.overshoot, RPI_MAX(over_us, 0.0));
}
