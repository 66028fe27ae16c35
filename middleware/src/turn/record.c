// turn/record.c - turns written down as they end.
// SPDX-License-Identifier: MIT
#include "turn/record.h"

#include <errno.h>
#include <string.h>

#include "core/core.h"
#include "tool/tool.h"
#include "turn/turn.h"

static bool add_key(const rt_host *host, rpi_buffer *record, const char *key)
{
    bool first = record->size > 0 && record->data[record->size - 1] == '{';
    return rpi_buffer_print(host, record, "%s\"%s\": ", first ? "" : ", ", key);
}

static bool add_text(const rt_host *host, rpi_buffer *record, const char *key, const char *text)
{
    return text == NULL || (add_key(host, record, key) && rpi_buffer_add_json(host, record, text, strlen(text)));
}

static bool add_number(const rt_host *host, rpi_buffer *record, const char *key, uint64_t number)
{
    return add_key(host, record, key) && rpi_buffer_print(host, record, "%llu", (unsigned long long)number);
}

static bool add_hex(const rt_host *host, rpi_buffer *record, rp_text bytes)
{
    bool fits = rpi_buffer_add_text(host, record, "\"");
    for (size_t i = 0; fits && i < bytes.size; i++)
        fits = rpi_buffer_print(host, record, "%02x", (unsigned char)bytes.data[i]);
    return fits && rpi_buffer_add_text(host, record, "\"");
}

static bool add_sampler(const rt_host *host, rpi_buffer *record, const rt_sampler_def *s)
{
    // 64-bit seeds as text: not every reader of JSON has such numbers.
    return add_key(host, record, "sampler") &&
           rpi_buffer_print(host, record, "[%.9g, %d, %.9g, %.9g, %.9g, %d, \"%llx\"]", (double)s->temperature, s->top_k,
                            (double)s->top_p, (double)s->min_p, (double)s->repetition_penalty, s->repetition_window,
                            (unsigned long long)s->seed);
}

static bool add_history(const rt_host *host, rpi_buffer *record, const rpi_history *history)
{
    size_t at = 0;
    bool fits = add_key(host, record, "history") && rpi_buffer_add_text(host, record, "[");
    for (size_t i = 0; fits && i < history->count; i++) {
        rpi_exchange_text e = rpi_history_read(history, i, &at);
        fits = rpi_buffer_add_text(host, record, i > 0 ? ", [" : "[") &&
               rpi_buffer_add_json(host, record, e.line.data, e.line.size) && rpi_buffer_add_text(host, record, ", ") &&
               add_hex(host, record, e.actions) && rpi_buffer_add_text(host, record, ", ") &&
               rpi_buffer_add_json(host, record, e.reply.data, e.reply.size) && rpi_buffer_add_text(host, record, "]");
    }
    return fits && rpi_buffer_add_text(host, record, "]");
}

static bool add_offers(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    rpi_buffer *record = &slot->record;
    bool fits = add_key(host, record, "offers") && rpi_buffer_add_text(host, record, "[");
    for (int32_t i = 0; fits && i < slot->offer_count; i++) {
        const rpi_offer *offer = &slot->offers[i];
        const rpi_tool *tool = rpi_tool_get(world, offer->tool);
        if (tool == NULL)
            continue;
        fits = rpi_buffer_add_text(host, record, i > 0 ? ", {" : "{") && add_text(host, record, "name", tool->name) &&
               add_text(host, record, "description", tool->description) && add_key(host, record, "schema") &&
               rpi_buffer_add_json(host, record, slot->schemas.data + offer->schema_at, offer->schema_size) &&
               add_number(host, record, "once", tool->def.once_per_turn || tool->def.cooldown_us > 0) && rpi_buffer_add_text(host, record, "}");
    }
    return fits && rpi_buffer_add_text(host, record, "]");
}

static bool begin_turn(rp_world *world, rpi_slot *slot)
{
    const rt_host *host = &world->host;
    const rpi_character *c = slot->character;
    rpi_buffer *record = &slot->record;
    rpi_buffer_clear(record);
    bool fits = rpi_buffer_add_text(host, record, "{") && add_text(host, record, "name", c->name) &&
                add_text(host, record, "persona", c->persona) && add_text(host, record, "knowledge", c->knowledge) &&
                add_sampler(host, record, &c->sampler) &&
                add_number(host, record, "max_reply_tokens", (uint64_t)slot->turn->max_reply_tokens) &&
                add_number(host, record, "max_history_turns", (uint64_t)c->max_history_turns) &&
                add_number(host, record, "turn_number", c->turn_number) && add_text(host, record, "line", slot->turn->line) &&
                add_text(host, record, "speaker", slot->turn->speaker) && add_offers(world, slot) &&
                add_history(host, record, &c->history);
    return fits && add_text(host, record, "state", c->state != NULL ? c->state : "") && add_key(host, record, "steps") &&
           rpi_buffer_add_text(host, record, "[");
}

void rpi_record_prompt(rp_world *world, rpi_slot *slot)
{
    if (world->recording == NULL || slot->turn->is_warm || slot->rounds > 0)
        return;
    slot->recorded = begin_turn(world, slot);
}

// A call and its answer, with the state in which the character goes on.
void rpi_record_answer(rp_world *world, rpi_slot *slot, const char *tool, rp_call_status status, rp_text answer)
{
    if (world->recording == NULL || !slot->recorded)
        return;
    const rt_host *host = &world->host;
    rpi_buffer *record = &slot->record;
    bool first = record->data[record->size - 1] == '[';
    slot->recorded = rpi_buffer_add_text(host, record, first ? "{" : ", {") && add_text(host, record, "tool", tool) &&
                     add_key(host, record, "arguments") &&
                     rpi_buffer_add_json(host, record, slot->arguments.data, slot->arguments.size) &&
                     add_number(host, record, "status", (uint64_t)status) && add_key(host, record, "answer") &&
                     rpi_buffer_add_json(host, record, answer.data, answer.size) &&
                     add_text(host, record, "state", slot->character->state != NULL ? slot->character->state : "") &&
                     rpi_buffer_add_text(host, record, "}");
}

void rpi_record_end(rp_world *world, rpi_slot *slot, const char *end, rp_text reply)
{
    if (world->recording == NULL || !slot->recorded)
        return;
    const rt_host *host = &world->host;
    rpi_buffer *record = &slot->record;
    slot->recorded = false;
    if (!rpi_buffer_add_text(host, record, "]") || !add_text(host, record, "end", end) || !add_key(host, record, "reply") ||
        !rpi_buffer_add_json(host, record, reply.data, reply.size) || !rpi_buffer_add_text(host, record, "}\n"))
        return;
    if (fwrite(record->data, 1, record->size, world->recording) != record->size || fflush(world->recording) != 0) {
        rpi_log(host, RT_LOG_ERROR, "recording: cannot be written, it ends here: %s", strerror(errno));
        rpi_record_stop(world);
    }
}

void rpi_record_stop(rp_world *world)
{
    if (world->recording != NULL)
        fclose(world->recording);
    world->recording = NULL;
}

static bool write_world(rp_world *world, rpi_buffer *record)
{
    const rt_host *host = &world->host;
    bool fits = rpi_buffer_add_text(host, record, "{") && add_number(host, record, "repartee_recording", 1) &&
                add_key(host, record, "seed") &&
                rpi_buffer_print(host, record, "\"%llx\"", (unsigned long long)world->def.seed) &&
                add_text(host, record, "lore", world->lore) && add_text(host, record, "player_name", world->player_name) &&
                add_text(host, record, "format", world->format->name) && add_text(host, record, "model", world->info.name) &&
                add_number(host, record, "max_call_rounds", (uint64_t)world->def.max_call_rounds) &&
                add_number(host, record, "raw_choices", !world->def.calibrate_choices) &&
                add_number(host, record, "context", (uint64_t)world->context_size) && rpi_buffer_add_text(host, record, "}\n");
    return fits && fwrite(record->data, 1, record->size, world->recording) == record->size && fflush(world->recording) == 0;
}

rt_result rp_world_set_recording(rp_world *world, const char *path)
{
    if (world == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_set_recording: no world");
    rt_result result = rpi_world_check_idle(world, "rp_world_set_recording");
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    rpi_record_stop(world);
    if (path != NULL) {
        rpi_buffer record = { 0 };
        world->recording = fopen(path, "w");
        if (world->recording == NULL || !write_world(world, &record)) {
            result = rpi_fail(&world->host, RT_ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
            rpi_record_stop(world);
        }
        rpi_buffer_free(&world->host, &record);
    }
    rpi_world_unlock(world);
    return result;
}
