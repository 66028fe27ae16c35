// world/stats.c - counters and histograms.
// SPDX-License-Identifier: MIT
#include "core/core.h"

#include <math.h>
#include <string.h>

void rpi_histogram_add(rp_histogram *histogram, double value)
{
    int bucket = 0;
    if (value >= 1.0)
        bucket = (int)(log2(value) * 4.0);
    bucket = RPI_MIN(RPI_MAX(bucket, 0), RP_HISTOGRAM_BUCKETS - 1);
    histogram->buckets[bucket]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value < 4e9 ? (uint32_t)ceil(value) : UINT32_MAX;
}

double rp_histogram_quantile(const rp_histogram *histogram, double share)
{
    if (histogram == NULL || histogram->count == 0)
        return 0;
    double wanted = RPI_MIN(RPI_MAX(share, 0.0), 1.0) * (double)histogram->count, seen = 0;
    for (int i = 0; i < RP_HISTOGRAM_BUCKETS; i++) {
        double inside = (double)histogram->buckets[i];
        if (inside > 0 && seen + inside >= wanted) {
            double low = i == 0 ? 0 : exp2(i / 4.0), high = exp2((i + 1) / 4.0);
            double value = low + (high - low) * (wanted - seen) / inside;
            return RPI_MIN(value, (double)histogram->max);
        }
        seen += inside;
    }
    return histogram->max;
}

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
    stats->pacer_budget_us = rpi_pacer_budget(&world->pacer, &world->def.pacer);
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
