// world/stats.c - what a world has counted.
// SPDX-License-Identifier: MIT
#include "budget/pacer.h"
#include "core/core.h"
#include "turn/turn.h"

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
