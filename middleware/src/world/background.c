// world/background.c - RP_MODE_BACKGROUND: a thread of the world's own that works while the game renders.
//
// One lock guards the world. The thread gives it up after every piece of work, first to whoever waits, so a call of the
// game waits for one slice at most. Callbacks stay on the game's thread: what needs them is left for the next update.
// SPDX-License-Identifier: MIT
#include <sched.h>

#include "core/core.h"

void rpi_world_lock(const rp_world *world)
{
    rp_world *w = (rp_world *)world;
    if (!w->background.has_mutex)
        return;
    atomic_fetch_add(&w->background.waiting, 1);
    pthread_mutex_lock(&w->background.mutex);
    atomic_fetch_sub(&w->background.waiting, 1);
}

void rpi_world_unlock(const rp_world *world)
{
    rp_world *w = (rp_world *)world;
    if (w->background.has_mutex)
        pthread_mutex_unlock(&w->background.mutex);
}

void rpi_background_yield(rp_world *world)
{
    rpi_background *background = &world->background;
    if (atomic_load(&background->waiting) == 0)
        return;
    pthread_mutex_unlock(&background->mutex);
    while (atomic_load(&background->waiting) > 0)
        sched_yield();
    pthread_mutex_lock(&background->mutex);
}

static void *work(void *argument)
{
    rp_world *world = argument;
    rpi_background *background = &world->background;
    pthread_mutex_lock(&background->mutex);
    while (!background->quit) {
        if (!background->granted) {
            pthread_cond_wait(&background->wake, &background->mutex);
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
    pthread_mutex_unlock(&background->mutex);
    return NULL;
}

rt_result rpi_background_create(rp_world *world)
{
    rpi_background *background = &world->background;
    pthread_mutexattr_t attributes;
    atomic_init(&background->waiting, 0);
    if (pthread_mutexattr_init(&attributes) != 0)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: no mutex");
    // Callbacks run under the lock and may call back in.
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    background->has_mutex = pthread_mutex_init(&background->mutex, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    background->has_wake = background->has_mutex && pthread_cond_init(&background->wake, NULL) == 0;
    background->has_thread = background->has_wake && pthread_create(&background->thread, NULL, work, world) == 0;
    return background->has_thread ? RT_OK : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: no thread");
}

void rpi_background_destroy(rp_world *world)
{
    rpi_background *background = &world->background;
    if (background->has_thread) {
        rpi_world_lock(world);
        background->quit = true;
        background->stop = true;
        pthread_cond_signal(&background->wake);
        rpi_world_unlock(world);
        pthread_join(background->thread, NULL);
    }
    if (background->has_wake)
        pthread_cond_destroy(&background->wake);
    if (background->has_mutex)
        pthread_mutex_destroy(&background->mutex);
    background->has_thread = background->has_wake = background->has_mutex = false;
}

// Under the lock.
void rpi_background_grant(rp_world *world, uint32_t budget_us, uint64_t deadline_ns)
{
    rpi_background *background = &world->background;
    background->budget_us = budget_us;
    background->deadline_ns = deadline_ns;
    background->granted = true;
    pthread_cond_signal(&background->wake);
}
