// core/core.c - a world's clock and lock, and what its rooms ask it.
// SPDX-License-Identifier: MIT
#include "core/core.h"

#include <sched.h>
#include <time.h>

static uint64_t system_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t rpi_world_now(const rp_world *world)
{
    return world->def.clock_ns != NULL ? world->def.clock_ns(world->def.clock_user) : system_clock();
}

rt_result rpi_world_check_idle(const rp_world *world, const char *function)
{
    if (world->callback_depth == 0)
        return RT_OK;
    return rpi_fail(&world->host, RT_ERROR_BUSY, "%s: called from inside a callback: call it after rp_world_update",
                    function);
}

bool rpi_is_stop(const rp_world *world, rt_token token)
{
    for (int32_t i = 0; i < world->stop_count; i++)
        if (world->stops[i] == token)
            return true;
    return false;
}

// ---------------------------------------------------------------------------------------------------------------------
// The lock
// ---------------------------------------------------------------------------------------------------------------------

rt_result rpi_world_lock_create(rp_world *world)
{
    rpi_lock *lock = &world->lock;
    pthread_mutexattr_t attributes;
    atomic_init(&lock->waiting, 0);
    if (pthread_mutexattr_init(&attributes) == 0) {
        // Callbacks run under the lock and may call back in.
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        lock->has_mutex = pthread_mutex_init(&lock->mutex, &attributes) == 0;
        pthread_mutexattr_destroy(&attributes);
    }
    return lock->has_mutex ? RT_OK : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: no mutex");
}

void rpi_world_lock_destroy(rp_world *world)
{
    if (world->lock.has_mutex)
        pthread_mutex_destroy(&world->lock.mutex);
    world->lock.has_mutex = false;
}

void rpi_world_lock(const rp_world *world)
{
    rp_world *w = (rp_world *)world;
    if (!w->lock.has_mutex)
        return;
    atomic_fetch_add(&w->lock.waiting, 1);
    pthread_mutex_lock(&w->lock.mutex);
    atomic_fetch_sub(&w->lock.waiting, 1);
}

void rpi_world_unlock(const rp_world *world)
{
    rp_world *w = (rp_world *)world;
    if (w->lock.has_mutex)
        pthread_mutex_unlock(&w->lock.mutex);
}

void rpi_world_yield(rp_world *world)
{
    rpi_lock *lock = &world->lock;
    if (atomic_load(&lock->waiting) == 0)
        return;
    pthread_mutex_unlock(&lock->mutex);
    while (atomic_load(&lock->waiting) > 0)
        sched_yield();
    pthread_mutex_lock(&lock->mutex);
}
