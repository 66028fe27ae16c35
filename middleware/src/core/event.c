// core/event.c - the queue of what happened.
// SPDX-License-Identifier: MIT
#include "core/core.h"

#include <string.h>

// Past this many untaken events (or bytes) the world stops serving until the game takes some.
enum { PILE_EVENTS = 4096, PILE_BYTES = 1 << 20 };

bool rpi_event_ends_turn(rp_event_kind kind)
{
    return kind == RP_EVENT_TURN_DONE || kind == RP_EVENT_TURN_CANCELLED || kind == RP_EVENT_TURN_DROPPED ||
           kind == RP_EVENT_TURN_FAILED;
}

// Where events are added. While a thread works beside the game, the texts that the game holds must not move: what comes
// up goes into a backlog until the next update.
static rpi_events *target(rp_world *world)
{
    return world->def.mode == RP_MODE_BACKGROUND ? &world->backlog : &world->events;
}

static bool reserve(rp_world *world, rpi_events *events, size_t count, size_t text_bytes)
{
    size_t needed = events->count + count + (size_t)world->turns_alive + 1;
    if (needed > events->capacity) {
        // A ring cannot be grown in place: unroll it.
        size_t capacity = RPI_MAX(needed, events->capacity * 2);
        rpi_queued_event *items = rpi_allocate(&world->host, capacity * sizeof *items);
        if (items == NULL)
            return false;
        for (size_t i = 0; i < events->count; i++)
            items[i] = events->items[(events->head + i) % events->capacity];
        rpi_release(&world->host, events->items, events->capacity * sizeof *items);
        events->items = items;
        events->capacity = capacity;
        events->head = 0;
    }
    // Texts that the game holds stay where they are unless there really is something to add.
    return text_bytes == 0 || rpi_buffer_reserve(&world->host, &events->text, events->text.size + text_bytes + 1);
}

bool rpi_events_reserve(rp_world *world, size_t count, size_t text_bytes)
{
    return reserve(world, target(world), count, text_bytes);
}

bool rpi_events_add(rp_world *world, const rp_event *event, const char *text, size_t size)
{
    rpi_events *events = target(world);
    bool fits = reserve(world, events, 1, size > 0 ? size + 1 : 0);
    if (!fits && (!rpi_event_ends_turn(event->kind) || events->count >= events->capacity))
        return false;
    rpi_queued_event *queued = &events->items[(events->head + events->count++) % events->capacity];
    queued->event = *event;
    queued->text_at = SIZE_MAX;
    if (fits && size > 0) {
        queued->text_at = events->text.size;
        memcpy(events->text.data + events->text.size, text, size);
        events->text.data[events->text.size + size] = '\0';
        events->text.size += size + 1;
    }
    queued->event.text = (rp_text){ "", fits ? size : 0 };
    return true;
}

static void take_backlog(rp_world *world)
{
    rpi_events *events = &world->events, *backlog = &world->backlog;
    if (backlog->count == 0 || !reserve(world, events, backlog->count, backlog->text.size))
        return; // without memory it stays for the next time
    size_t base = events->text.size;
    rpi_buffer_add(&world->host, &events->text, backlog->text.data, backlog->text.size); // reserved
    for (size_t i = 0; i < backlog->count; i++) {
        rpi_queued_event *queued = &events->items[(events->head + events->count++) % events->capacity];
        *queued = backlog->items[(backlog->head + i) % backlog->capacity];
        if (queued->text_at != SIZE_MAX)
            queued->text_at += base;
    }
    backlog->count = backlog->head = 0;
    backlog->text.size = 0;
}

static void pack(rpi_events *events)
{
    size_t keep = events->text.size;
    for (size_t i = 0; i < events->count; i++) {
        const rpi_queued_event *queued = &events->items[(events->head + i) % events->capacity];
        if (queued->text_at != SIZE_MAX) {
            keep = queued->text_at;
            break;
        }
    }
    if (keep == 0)
        return;
    memmove(events->text.data, events->text.data + keep, events->text.size - keep);
    events->text.size -= keep;
    for (size_t i = 0; i < events->count; i++) {
        rpi_queued_event *queued = &events->items[(events->head + i) % events->capacity];
        if (queued->text_at != SIZE_MAX)
            queued->text_at -= keep;
    }
}

// Drops the texts of events that were taken.
void rpi_events_pack(rp_world *world)
{
    pack(&world->events);
    take_backlog(world);
}

bool rpi_events_are_piling_up(const rp_world *world)
{
    return world->events.count + world->backlog.count > PILE_EVENTS || world->events.text.size + world->backlog.text.size > PILE_BYTES;
}

bool rpi_events_take(rp_world *world, rp_event *event)
{
    rpi_events *events = &world->events;
    if (events->count == 0)
        return false;
    rpi_queued_event *queued = &events->items[events->head];
    events->head = (events->head + 1) % events->capacity;
    events->count--;
    *event = queued->event;
    if (queued->text_at != SIZE_MAX)
        event->text.data = events->text.data + queued->text_at;
    return true;
}

static void free_events(rp_world *world, rpi_events *events)
{
    rpi_release(&world->host, events->items, events->capacity * sizeof *events->items);
    rpi_buffer_free(&world->host, &events->text);
    *events = (rpi_events){ 0 };
}

void rpi_events_free(rp_world *world)
{
    free_events(world, &world->events);
    free_events(world, &world->backlog);
}
