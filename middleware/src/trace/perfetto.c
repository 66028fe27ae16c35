// trace/perfetto.c - the ring of the trace written as Chrome trace events.
// SPDX-License-Identifier: MIT
#include "core/ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "budget/cost.h"
#include "character/character.h"
#include "core/core.h"
#include "turn/turn.h"

enum { TRACK_FRAMES = 1, TRACK_SLICES = 2, TRACK_CHORES = 8, TRACK_PASSES = 10, TRACK_CHARACTERS = 100 };

static const char *chore_name(int32_t chore)
{
    static const char *const names[RPI_CHORE_COUNT] = {
        [RPI_CHORE_NONE] = "none",     [RPI_CHORE_OFFER] = "ask for tools", [RPI_CHORE_COMPILE] = "compile schema",
        [RPI_CHORE_COMPOSE] = "compose prompt", [RPI_CHORE_ENCODE] = "encode prompt", [RPI_CHORE_PREPARE] = "prepare choice",
        [RPI_CHORE_ATTACH] = "attach cache", [RPI_CHORE_BEGIN] = "begin pass",
        [RPI_CHORE_SAMPLE] = "sample", [RPI_CHORE_SCORE] = "score",         [RPI_CHORE_COMMIT] = "commit pass",
        [RPI_CHORE_MASK] = "mask",     [RPI_CHORE_CALL] = "call",           [RPI_CHORE_STEP] = "step",
        [RPI_CHORE_SLICE] = "slice",
    };
    return chore >= 0 && chore < RPI_CHORE_COUNT ? names[chore] : "?";
}

static const char *stage_name(int32_t stage)
{
    static const char *const names[] = {
        [RPI_STAGE_FREE] = "free",       [RPI_STAGE_OFFER] = "offer",     [RPI_STAGE_COMPILE] = "compile",
        [RPI_STAGE_COMPOSE] = "compose", [RPI_STAGE_ENCODE] = "encode",   [RPI_STAGE_PREPARE] = "prepare",
        [RPI_STAGE_ATTACH] = "attach",   [RPI_STAGE_READ] = "read",
        [RPI_STAGE_CHOOSE] = "choose",   [RPI_STAGE_ARGUE] = "arguments", [RPI_STAGE_CALL] = "call",
        [RPI_STAGE_WRITE] = "write",     [RPI_STAGE_WAIT] = "wait",       [RPI_STAGE_ANOTHER] = "another call",
        [RPI_STAGE_SPEAK] = "speak",     [RPI_STAGE_ZOMBIE] = "ending",
    };
    return stage >= 0 && (size_t)stage < RPI_COUNT(names) && names[stage] != NULL ? names[stage] : "?";
}

// One complete event ("X"), its arguments still open.
static void begin_event(FILE *file, const rpi_trace_entry *entry, const char *name, int32_t track)
{
    fprintf(file, ",\n{\"name\": \"%s\", \"ph\": \"X\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"dur\": %.3f, \"args\": {", name,
            (int)track, (double)entry->begin_ns / 1000, (double)entry->duration_ns / 1000);
}

// A moment ("i"), likewise.
static void instant_event(FILE *file, const rpi_trace_entry *entry, const char *name, int32_t track)
{
    fprintf(file, ",\n{\"name\": \"%s\", \"ph\": \"i\", \"s\": \"t\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"args\": {", name,
            (int)track, (double)entry->begin_ns / 1000);
}

static void write_entry(FILE *file, const rpi_trace_entry *entry)
{
    switch ((rpi_trace_kind)entry->kind) {
    case RPI_TRACE_UPDATE:
        begin_event(file, entry, "update", TRACK_FRAMES);
        fprintf(file, "\"budget_us\": %u}}", (unsigned)entry->a);
        if ((uint32_t)entry->a < RP_BUDGET_PACED)
            fprintf(file, ",\n{\"name\": \"microseconds\", \"ph\": \"C\", \"pid\": 1, \"ts\": %.3f, \"args\": {\"budget\": %u, \"used\": %.1f}}",
                    (double)entry->begin_ns / 1000, (unsigned)entry->a, (double)entry->duration_ns / 1000);
        return;
    case RPI_TRACE_SLICE:
        begin_event(file, entry, "slice", TRACK_SLICES + entry->a);
        fprintf(file, "\"rows\": %d, \"first_layer\": %d, \"last_layer\": %d, \"predicted_us\": %.3f, \"left_us\": %.3f, \"rank\": %d}}",
                (int)entry->b, (int)entry->c, (int)entry->d, (double)entry->predicted_ns / 1000, (double)entry->left_ns / 1000,
                (int)entry->rank);
        return;
    case RPI_TRACE_CHORE:
        begin_event(file, entry, chore_name(entry->a), TRACK_CHORES);
        fprintf(file, "\"character\": %d, \"predicted_us\": %.3f}}", (int)entry->b, (double)entry->predicted_ns / 1000);
        return;
    case RPI_TRACE_SERVED:
        begin_event(file, entry, "queued", TRACK_CHARACTERS + entry->b);
        fprintf(file, "\"turn\": %d, \"rank\": %d}}", (int)entry->c, (int)entry->a);
        return;
    case RPI_TRACE_DISPLACED:
        instant_event(file, entry, "displaced", TRACK_CHARACTERS + entry->b);
        fprintf(file, "\"turn\": %d}}", (int)entry->c);
        return;
    case RPI_TRACE_REFUSED:
        instant_event(file, entry, "nothing fits", TRACK_FRAMES);
        fprintf(file, "\"left_us\": %.3f}}", (double)entry->left_ns / 1000);
        return;
    case RPI_TRACE_STAGE:
        begin_event(file, entry, stage_name(entry->a), TRACK_CHARACTERS + entry->b);
        fprintf(file, "\"turn\": %d}}", (int)entry->c);
        return;
    case RPI_TRACE_PASS:
        begin_event(file, entry, "pass", TRACK_PASSES + entry->a);
        fprintf(file, "\"rows\": %d, \"turns\": %d}}", (int)entry->b, (int)entry->c);
        return;
    case RPI_TRACE_DETAIL:
        fprintf(file, ",\n{\"name\": \"detail\", \"ph\": \"C\", \"pid\": 1, \"ts\": %.3f, \"args\": {\"level\": %d}}",
                (double)entry->begin_ns / 1000, (int)entry->a);
        return;
    }
}

static void write_track(FILE *file, int32_t track, const char *name, size_t size)
{
    fprintf(file, ",\n{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": %d, \"args\": {\"name\": \"", (int)track);
    for (size_t i = 0; i < size; i++) {
        if (name[i] == '"' || name[i] == '\\')
            fputc('\\', file);
        fputc(name[i], file);
    }
    fprintf(file, "\"}}");
}

static void write_tracks(FILE *file, const rp_world *world)
{
    static const struct { int32_t track; const char *name; } fixed[] = {
        { TRACK_FRAMES, "frames" },         { TRACK_SLICES, "slices" },         { TRACK_SLICES + 1, "slices, second pass" },
        { TRACK_SLICES + 2, "slices, third pass" },
        { TRACK_CHORES, "chores" },         { TRACK_PASSES, "passes" },         { TRACK_PASSES + 1, "passes, second" },
        { TRACK_PASSES + 2, "passes, third" },
    };
    for (size_t i = 0; i < RPI_COUNT(fixed); i++)
        write_track(file, fixed[i].track, fixed[i].name, strlen(fixed[i].name));
    for (int32_t i = 0; i < world->def.max_characters; i++)
        if (world->characters[i].alive)
            write_track(file, TRACK_CHARACTERS + i + 1, world->characters[i].name, strlen(world->characters[i].name));
}

// Stages that have not ended yet, as far as they have come.
static void write_open_stages(FILE *file, const rp_world *world)
{
    uint64_t now = rpi_world_now(world);
    for (int32_t i = 0; i < world->slot_count; i++) {
        const rpi_slot *slot = &world->slots[i];
        if (slot->turn == NULL || slot->traced_stage == RPI_STAGE_FREE || now < slot->stage_ns)
            continue;
        rpi_trace_entry entry = { .begin_ns = slot->stage_ns, .kind = RPI_TRACE_STAGE, .a = (int32_t)slot->traced_stage,
                                  .duration_ns = now - slot->stage_ns,
                                  .b = (int32_t)slot->character->index, .c = (int32_t)slot->turn->index };
        write_entry(file, &entry);
    }
}

static bool write_file(const rp_world *world, FILE *file)
{
    const rpi_trace *trace = &world->trace;
    fprintf(file, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
                  "{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {\"name\": \"Repartee\"}}");
    write_tracks(file, world);
    uint64_t first = trace->count > trace->capacity ? trace->count - trace->capacity : 0;
    for (uint64_t i = first; i < trace->count; i++)
        write_entry(file, &trace->entries[i % trace->capacity]);
    write_open_stages(file, world);
    fprintf(file, "\n]}\n");
    return ferror(file) == 0;
}

rt_result rp_world_write_trace(const rp_world *world, const char *path)
{
    if (world == NULL || path == NULL || path[0] == '\0')
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_write_trace: no world or no path");
    if (world->trace.entries == NULL)
        return rpi_fail(&world->host, RT_ERROR_NOT_FOUND, "rp_world_write_trace: no trace: begin one with rp_world_set_trace");
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) // a device must not be moved away
        return rpi_fail(&world->host, RT_ERROR_IO, "%s: not a file: give a path where a file can be written", path);
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", path) >= (int)sizeof beside)
        return rpi_fail(&world->host, RT_ERROR_TOO_LARGE, "rp_world_write_trace: %s: the path is too long", path);
    FILE *file = fopen(beside, "w");
    if (file == NULL)
        return rpi_fail(&world->host, RT_ERROR_IO, "%s: cannot be written: %s", beside, strerror(errno));
    rpi_world_lock(world);
    bool written = write_file(world, file);
    rpi_world_unlock(world);
    written = fclose(file) == 0 && written && rename(beside, path) == 0;
    if (written)
        return RT_OK;
    int error = errno;
    remove(beside);
    return rpi_fail(&world->host, RT_ERROR_IO, "%s: cannot be written: %s", path, strerror(error));
}
