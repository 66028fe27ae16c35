// turn/table.c - the turns of a world, found by their ids.
// SPDX-License-Identifier: MIT
#include "core/core.h"
#include "turn/turn.h"

rpi_turn *rpi_turn_get(const rp_world *world, rp_turn_id id)
{
    if (world == NULL || id.index == 0 || id.index > (uint32_t)world->turn_capacity)
        return NULL;
    rpi_turn *turn = &world->turns[id.index - 1];
    return turn->alive && turn->generation == id.generation ? turn : NULL;
}

rp_turn_id rpi_turn_id(const rpi_turn *turn)
{
    return (rp_turn_id){ turn->index, turn->generation };
}

rpi_turn *rpi_turn_take_free(rp_world *world)
{
    for (int32_t i = 0; i < world->turn_capacity; i++) {
        uint32_t at = (world->free_turn + (uint32_t)i) % (uint32_t)world->turn_capacity;
        if (world->turns[at].alive)
            continue;
        world->free_turn = at + 1;
        rpi_turn *turn = &world->turns[at];
        *turn = (rpi_turn){ .index = at + 1, .generation = turn->generation + 1, .alive = true };
        world->turns_alive++;
        return turn;
    }
    return NULL;
}

void rpi_turn_recycle(rp_world *world, rpi_turn *turn)
{
    rpi_release_text(&world->host, turn->line);
    rpi_release_text(&world->host, turn->speaker);
    turn->line = turn->speaker = NULL;
    turn->alive = false;
    world->turns_alive--;
}
