// world/world.h - a world from one update to the next: what its updates count, the thread that may work beside them.
// SPDX-License-Identifier: MIT
#ifndef RPI_WORLD_H
#define RPI_WORLD_H

#include <pthread.h>

#include "repartee/world.h"

// RP_MODE_BACKGROUND only.
typedef struct rpi_background {
    pthread_cond_t wake;
    pthread_t thread;
    bool has_wake, has_thread;
    bool granted, quit;
    uint32_t budget_us;   // of the last grant
    uint64_t deadline_ns;
} rpi_background;

// Counts what one update, or one grant to the background thread, has taken.
void rpi_world_account(rp_world *world, uint64_t begin_ns, uint32_t budget_us, uint64_t allocations, bool worked);

rt_result rpi_background_create(rp_world *world);
void rpi_background_destroy(rp_world *world);
void rpi_background_grant(rp_world *world, uint32_t budget_us, uint64_t deadline_ns);

#endif
