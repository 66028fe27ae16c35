// world/background.c - RP_MODE_BACKGROUND: a thread of the world's own that works while the game renders.
//
// One lock guards the world. The thread gives it up after every piece of work, first to whoever waits, so a call of the
// game waits for one slice at most. Callbacks stay on the game's thread: what needs them is left for the next update.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "schedule/schedule.h"
#include "world/world.h"

static void *work(void *argument)
{
    rp_world *world = argument;
    rpi_background *background = world->background;
    pthread_mutex_lock(&world->lock.mutex);
    while (!background->quit) {
        if (!background->granted) {
            pthread_cond_wait(&background->wake, &world->lock.mutex);
            continue;
        }
        background->granted = false;
        uint32_t budget_us = background->budget_us;
        uint64_t begin_ns = rpi_world_now(world), deadline_ns = background->deadline_ns;
        uint64_t allocations = atomic_load(&world->meter.allocations);
        bool worked = rpi_scheduler_has_work(world);
        if (worked)
            rpi_scheduler_run(world, deadline_ns, false);
        rpi_world_account(world, begin_ns, budget_us, allocations, worked);
    }
    pthread_mutex_unlock(&world->lock.mutex);
    return NULL;
}

rt_result rpi_background_create(rp_world *world)
{
    rpi_background *background = world->background;
    rt_result result = rpi_world_lock_create(world);
    if (result != RT_OK)
        return result;
    background->has_wake = pthread_cond_init(&background->wake, NULL) == 0;
    background->has_thread = background->has_wake && pthread_create(&background->thread, NULL, work, world) == 0;
    return background->has_thread ? RT_OK : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: no thread");
}

void rpi_background_destroy(rp_world *world)
{
    rpi_background *background = world->background;
    if (background->has_thread) {
        rpi_world_lock(world);
        background->quit = true;
        world->stop = true;
        pthread_cond_signal(&background->wake);
        rpi_world_unlock(world);
        pthread_join(background->thread, NULL);
    }
    if (background->has_wake)
        pthread_cond_destroy(&background->wake);
    background->has_thread = background->has_wake = false;
    rpi_world_lock_destroy(world);
}

// Under the lock.
void rpi_background_grant(rp_world *world, uint32_t budget_us, uint64_t deadline_ns)
{
    rpi_background *background = world->background;
    background->budget_us = budget_us;
    background->deadline_ns = deadline_ns;
    background->granted = true;
    pthread_cond_signal(&background->wake);
}
