// world/update.c - one frame of a world: bookkeeping, then work until the budget is gone.
// SPDX-License-Identifier: MIT
#include "budget/pacer.h"
#include "call/call.h"
#include "core/core.h"
#include "schedule/schedule.h"
#include "world/world.h"

rt_result rp_world_update(rp_world *world, uint32_t budget_us)
{
    if (world == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_update: no world");
    rt_result idle = rpi_world_check_idle(world, "rp_world_update");
    if (idle != RT_OK)
        return idle;
    rpi_world_lock(world);
    uint64_t begin_ns = rpi_world_now(world);
    uint64_t allocations = atomic_load(&world->meter.allocations);
    if (budget_us == RP_BUDGET_PACED)
        budget_us = rpi_pacer_budget(world->pacer, &world->def.pacer);
    rpi_events_pack(world);
    rpi_calls_expire(world, begin_ns);
    rpi_queue_update(world, begin_ns);
    bool in_background = world->def.mode == RP_MODE_BACKGROUND;
    uint64_t budget_ns = (uint64_t)budget_us * 1000, deadline_ns = UINT64_MAX;
    if (budget_us != RP_BUDGET_UNLIMITED)
        deadline_ns = begin_ns + budget_ns - rpi_reserve_of(&world->scheduler->reserve, budget_ns);
    bool worked = budget_us > 0 && !in_background && rpi_scheduler_has_work(world);
    if (worked)
        rpi_scheduler_run(world, deadline_ns, true);
    if (in_background && budget_us > 0) {
        rpi_scheduler_run_callbacks(world);
        rpi_background_grant(world, budget_us, deadline_ns);
    }
    rpi_world_account(world, begin_ns, budget_us, allocations, worked);
    rpi_world_unlock(world);
    return RT_OK;
}

uint32_t rp_world_frame(rp_world *world, uint32_t frame_us)
{
    if (world == NULL)
        return 0;
    rpi_world_lock(world);
    uint32_t budget_us = rpi_pacer_frame(world->pacer, &world->def.pacer, frame_us);
    rpi_world_unlock(world);
    return budget_us;
}

void rp_world_set_unpaced(rp_world *world, bool unpaced)
{
    if (world == NULL)
        return;
    rpi_world_lock(world);
    world->pacer->unpaced = unpaced;
    rpi_world_unlock(world);
}

bool rp_world_next_event(rp_world *world, rp_event *event)
{
    if (world == NULL || event == NULL)
        return false;
    rpi_world_lock(world);
    bool found = rpi_events_take(world, event);
    rpi_turn *turn = found && rpi_event_ends_turn(event->kind) ? rpi_turn_get(world, event->turn) : NULL;
    if (turn != NULL)
        rpi_turn_recycle(world, turn);
    rpi_world_unlock(world);
    return found;
}
