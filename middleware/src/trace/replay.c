// trace/replay.c - recorded turns played again, each by itself.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "character/character.h"
#include "core/core.h"
#include "prompt/text.h"
#include "repartee/record.h"
#include "turn/turn.h"

enum { MOST_LINE_BYTES = 1 << 26, MOST_FRAMES = 1 << 24 };

typedef struct player {
    rt_host host;
    const char *path;
    int32_t line;
    rp_world *world;
    rp_replay *replay;
    uint32_t budget_us;
    rp_text record;      // of the turn that is being played
    rpi_json_walk steps; // its calls
    bool differs;
    rpi_text texts[12];  // decoded strings, alive while the turn is played
    int32_t text_count;
    rp_character_id character;
    rp_tool_id tools[RPI_MAX_TOOLS];
    int32_t tool_count;
} player;

static rt_result bad(const player *p, const char *what)
{
    return rpi_fail(&p->host, RT_ERROR_BAD_FILE, "%s:%d: %s: not a recording of this version", p->path, (int)p->line, what);
}

static rpi_text decode(const player *p, rp_text raw)
{
    rpi_text text = { .host = p->host };
    if (rpi_json_kind(raw) == '"')
        rpi_json_decode_string(&text, raw);
    rpi_text_add(&text, "", 0);
    return text;
}

// A member's string, NULL where there is none. It lives until the turn is over.
static const char *member_text(player *p, rp_text object, const char *key)
{
    rp_text raw = rpi_json_member(object, key);
    if (rpi_json_kind(raw) != '"' || p->text_count == (int32_t)RPI_COUNT(p->texts))
        return NULL;
    rpi_text *text = &p->texts[p->text_count++];
    *text = decode(p, raw);
    return text->data;
}

static double number_of(rp_text raw)
{
    char copy[64];
    size_t size = RPI_MIN(raw.size, sizeof copy - 1);
    memcpy(copy, raw.data, size);
    copy[size] = '\0';
    return strtod(copy, NULL);
}

static int64_t member_number(rp_text object, const char *key)
{
    rp_text raw = rpi_json_member(object, key);
    double value = rpi_json_kind(raw) == '0' ? number_of(raw) : 0;
    return value >= 0 && value <= 1e9 ? (int64_t)value : 0;
}

static int32_t integer_of(rp_text raw)
{
    double value = number_of(raw);
    return value >= INT32_MIN && value <= INT32_MAX ? (int32_t)value : -1; // what is out of range is refused where it is used
}

static uint64_t hexadecimal(rp_text raw)
{
    char copy[32] = "";
    if (raw.size > 2 && raw.size < sizeof copy)
        memcpy(copy, raw.data + 1, raw.size - 2);
    return strtoull(copy, NULL, 16);
}

// What a recorded call of this turn answered: the next step, which must be this call.
static rp_call_status on_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    player *p = user;
    if (!rpi_json_next(&p->steps)) {
        p->differs = true;
        return RP_CALL_FAILED;
    }
    rpi_text tool = decode(p, rpi_json_member(p->steps.value, "tool"));
    rpi_text arguments = decode(p, rpi_json_member(p->steps.value, "arguments"));
    rpi_text text = decode(p, rpi_json_member(p->steps.value, "answer"));
    rpi_text state = decode(p, rpi_json_member(p->steps.value, "state"));
    if (tool.data != NULL && strcmp(tool.data, call->name) != 0)
        p->differs = true;
    if (arguments.size != call->arguments.size || memcmp(arguments.data, call->arguments.data, arguments.size) != 0)
        p->differs = true;
    rp_writer_add(answer, text.data, text.size);
    rpi_character *character = rpi_character_get(world, p->character);
    char *copy = state.size > 0 ? rpi_copy_text(&world->host, state.data, state.size) : NULL;
    rpi_release_text(&world->host, character->state);
    character->state = copy;
    int64_t status = member_number(p->steps.value, "status");
    rpi_text_free(&tool);
    rpi_text_free(&arguments);
    rpi_text_free(&text);
    rpi_text_free(&state);
    return status == RP_CALL_VETOED || status == RP_CALL_FAILED ? (rp_call_status)status : RP_CALL_ANSWERED;
}

static rt_result create_tools(player *p)
{
    rpi_json_walk walk = rpi_json_begin(rpi_json_member(p->record, "offers"));
    while (p->tool_count < RPI_MAX_TOOLS && rpi_json_next(&walk)) {
        rpi_text name = decode(p, rpi_json_member(walk.value, "name"));
        rpi_text description = decode(p, rpi_json_member(walk.value, "description"));
        rpi_text schema = decode(p, rpi_json_member(walk.value, "schema"));
        rp_tool_def def = rp_default_tool_def();
        def.name = name.data;
        def.description = description.size > 0 ? description.data : NULL;
        def.parameters = schema.data;
        def.once_per_turn = member_number(walk.value, "once") != 0;
        def.call = on_call;
        def.user = p;
        rt_result result = rp_tool_create(p->world, &def, &p->tools[p->tool_count]);
        rpi_text_free(&name);
        rpi_text_free(&description);
        rpi_text_free(&schema);
        if (result != RT_OK)
            return result;
        p->tool_count++;
    }
    return RT_OK;
}

static rt_result read_sampler(const player *p, rt_sampler_def *sampler)
{
    rpi_json_walk walk = rpi_json_begin(rpi_json_member(p->record, "sampler"));
    rp_text values[7];
    for (int i = 0; i < 7; i++) {
        if (!rpi_json_next(&walk))
            return bad(p, "sampler");
        values[i] = walk.value;
    }
    *sampler = (rt_sampler_def){
        .temperature = (float)number_of(values[0]), .top_k = integer_of(values[1]), .top_p = (float)number_of(values[2]),
        .min_p = (float)number_of(values[3]), .repetition_penalty = (float)number_of(values[4]),
        .repetition_window = integer_of(values[5]), .seed = hexadecimal(values[6]),
    };
    return RT_OK;
}

static bool add_bytes(const player *p, rpi_buffer *bytes, rp_text hex)
{
    for (size_t i = 1; i + 2 < hex.size; i += 2) {
        char digits[3] = { hex.data[i], hex.data[i + 1], '\0' };
        char byte = (char)strtoul(digits, NULL, 16);
        if (!rpi_buffer_add(&p->host, bytes, &byte, 1))
            return false;
    }
    return true;
}

static rt_result restore_history(player *p, rpi_character *character)
{
    rpi_json_walk walk = rpi_json_begin(rpi_json_member(p->record, "history"));
    while (rpi_json_next(&walk)) {
        rpi_json_walk parts = rpi_json_begin(walk.value);
        rp_text raw[3];
        for (int i = 0; i < 3; i++) {
            if (!rpi_json_next(&parts))
                return bad(p, "history");
            raw[i] = parts.value;
        }
        rpi_text line = decode(p, raw[0]), reply = decode(p, raw[2]);
        rpi_buffer actions = { 0 };
        bool fits = add_bytes(p, &actions, raw[1]);
        rp_text bytes = { actions.data, actions.size };
        bool valid = fits && rpi_actions_are_valid(bytes, reply.size);
        rpi_exchange_text exchange = { { line.data, line.size }, bytes, { reply.data, reply.size } };
        bool added = valid && rpi_history_add(&p->world->host, &character->history, &exchange);
        rpi_text_free(&line);
        rpi_text_free(&reply);
        rpi_buffer_free(&p->host, &actions);
        if (fits && !valid)
            return bad(p, "history");
        if (!added)
            return rpi_fail(&p->host, RT_ERROR_OUT_OF_MEMORY, "rp_recording_play: out of memory");
    }
    return RT_OK;
}

static rt_result create_character(player *p)
{
    rp_character_def def = rp_default_character_def();
    def.name = member_text(p, p->record, "name");
    def.persona = member_text(p, p->record, "persona");
    def.knowledge = member_text(p, p->record, "knowledge");
    def.max_history_turns = (int32_t)member_number(p->record, "max_history_turns");
    def.max_reply_tokens = (int32_t)member_number(p->record, "max_reply_tokens");
    def.tools = p->tools;
    def.tool_count = p->tool_count;
    rt_result result = read_sampler(p, &def.sampler);
    if (result == RT_OK)
        result = rp_character_create(p->world, &def, &p->character);
    if (result != RT_OK)
        return result;
    rpi_character *character = rpi_character_get(p->world, p->character);
    character->turn_number = (uint64_t)member_number(p->record, "turn_number");
    const char *state = member_text(p, p->record, "state");
    if (state != NULL && state[0] != '\0')
        result = rp_character_set_state(p->world, p->character, state);
    return result == RT_OK ? restore_history(p, character) : result;
}

// The line as it stands in the record has the speaker's name in front already.
static rt_result say(player *p, rp_turn_id *id)
{
    const char *line = member_text(p, p->record, "line"), *speaker = member_text(p, p->record, "speaker");
    rt_result result = rp_character_say(p->world, p->character, &(rp_say){ .text = line != NULL ? line : "" }, id);
    rpi_turn *turn = result == RT_OK ? rpi_turn_get(p->world, *id) : NULL;
    if (turn != NULL && speaker != NULL)
        turn->speaker = rpi_copy_text(&p->world->host, speaker, strlen(speaker));
    return result;
}

static void note_difference(player *p, rpi_text recorded, rp_text played)
{
    rp_replay *replay = p->replay;
    if (replay->different++ > 0)
        return;
    replay->first_line = p->line;
    snprintf(replay->recorded, sizeof replay->recorded, "%s", recorded.data != NULL ? recorded.data : "");
    snprintf(replay->played, sizeof replay->played, "%.*s", (int)RPI_MIN(played.size, sizeof replay->played), played.size > 0 ? played.data : "");
}

// What was cut short must be how the whole begins.
static bool is_same(rp_text end, rpi_text recorded, const rp_event *last)
{
    bool whole = end.size == 6 && memcmp(end.data, "\"done\"", 6) == 0;
    if (whole != (last->kind == RP_EVENT_TURN_DONE) && whole)
        return false;
    return recorded.size <= last->text.size && memcmp(recorded.data, last->text.data, recorded.size) == 0 &&
           (!whole || recorded.size == last->text.size);
}

// Compares the turn with its record. `last`: the event that ended it; NULL: it never did.
static void judge_turn(player *p, const rp_event *last)
{
    rp_text end = rpi_json_member(p->record, "end");
    rpi_text recorded = decode(p, rpi_json_member(p->record, "reply"));
    bool whole = end.size == 6 && memcmp(end.data, "\"done\"", 6) == 0;
    bool calls_missing = whole && rpi_json_next(&p->steps);
    p->replay->turns++;
    if (last == NULL || p->differs || calls_missing || !is_same(end, recorded, last))
        note_difference(p, recorded, last != NULL ? last->text : (rp_text){ 0 });
    rpi_text_free(&recorded);
}

static rt_result run_turn(player *p)
{
    rp_turn_id turn;
    rt_result result = say(p, &turn);
    p->steps = rpi_json_begin(rpi_json_member(p->record, "steps"));
    p->differs = false;
    bool ended = false;
    for (int32_t frame = 0; result == RT_OK && !ended && frame < MOST_FRAMES; frame++) {
        result = rp_world_update(p->world, p->budget_us);
        rp_event event;
        while (!ended && rp_world_next_event(p->world, &event)) {
            ended = RP_ID_EQUAL(event.turn, turn) && event.kind >= RP_EVENT_TURN_DONE && event.kind <= RP_EVENT_TURN_FAILED;
            if (ended)
                judge_turn(p, &event);
        }
    }
    if (result == RT_OK && !ended)
        judge_turn(p, NULL);
    return result;
}

static rt_result play_turn(player *p, rp_text record)
{
    p->record = record;
    p->tool_count = 0;
    p->text_count = 0;
    rt_result result = create_tools(p);
    if (result == RT_OK)
        result = create_character(p);
    if (result == RT_OK) {
        result = run_turn(p);
        rp_character_destroy(p->world, p->character);
    }
    for (int32_t i = 0; i < p->tool_count; i++)
        rp_tool_destroy(p->world, p->tools[i]);
    for (int32_t i = 0; i < p->text_count; i++)
        rpi_text_free(&p->texts[i]);
    rp_event event;
    while (rp_world_next_event(p->world, &event)) {
    }
    return result;
}

static rt_result create_world(player *p, const rp_world_def *def, rp_text record)
{
    if (member_number(record, "repartee_recording") != 1)
        return bad(p, "no recording");
    rp_world_def fresh = *def;
    fresh.seed = hexadecimal(rpi_json_member(record, "seed"));
    fresh.lore = member_text(p, record, "lore");
    fresh.player_name = member_text(p, record, "player_name");
    const char *format = member_text(p, record, "format");
    if (fresh.format == NULL && format != NULL)
        fresh.format = rp_format_find(format);
    fresh.max_call_rounds = (int32_t)member_number(record, "max_call_rounds");
    fresh.calibrate_choices = member_number(record, "raw_choices") == 0;
    fresh.max_characters = 1;
    fresh.detail = rp_default_world_def().detail;
    rt_result result = rp_world_create(&fresh, &p->world);
    for (int32_t i = 0; i < p->text_count; i++)
        rpi_text_free(&p->texts[i]);
    if (result == RT_OK && p->world->context_size != member_number(record, "context"))
        result = rpi_fail(&p->host, RT_ERROR_BAD_FILE, "%s: recorded with %d positions of context, here are %d: set kv_tokens", p->path,
                          (int)member_number(record, "context"), (int)p->world->context_size);
    return result;
}

// Reads a line without its end. A file that is no recording may be one endless line, so no more is read than a record may have.
static rt_result read_line(const player *p, FILE *file, rpi_buffer *line, bool *found)
{
    int c = 0;
    rpi_buffer_clear(line);
    while ((c = getc(file)) != EOF && c != '\n') {
        char byte = (char)c;
        if (line->size == MOST_LINE_BYTES)
            return bad(p, "a line of more than 64 MiB");
        if (!rpi_buffer_add(&p->host, line, &byte, 1))
            return rpi_fail(&p->host, RT_ERROR_OUT_OF_MEMORY, "rp_recording_play: out of memory");
    }
    *found = c != EOF || line->size > 0;
    return ferror(file) ? rpi_fail(&p->host, RT_ERROR_IO, "%s: cannot be read", p->path) : RT_OK;
}

static rt_result play_file(player *p, FILE *file, const rp_world_def *def)
{
    rpi_buffer line = { 0 };
    bool found = true;
    rt_result result = RT_OK;
    while (result == RT_OK) {
        p->line++;
        result = read_line(p, file, &line, &found);
        if (result != RT_OK || !found)
            break;
        rp_text record = { line.data, line.size };
        if (rpi_json_kind(record) != '{' || !rpi_json_is_value(line.data, line.size))
            result = bad(p, "not a JSON object");
        else
            result = p->line == 1 ? create_world(p, def, record) : play_turn(p, record);
    }
    rpi_buffer_free(&p->host, &line);
    return result == RT_OK && p->line == 1 ? bad(p, "it is empty") : result;
}

rt_result rp_recording_play(const char *path, const rp_world_def *def, uint32_t budget_us, rp_replay *replay)
{
    if (path == NULL || def == NULL || replay == NULL || budget_us == 0)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_recording_play: a null pointer, or no budget");
    memset(replay, 0, sizeof *replay);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return rpi_fail(&def->host, RT_ERROR_IO, "%s: cannot be read: %s", path, strerror(errno));
    player p = { .host = def->host, .path = path, .replay = replay, .budget_us = budget_us };
    rt_result result = play_file(&p, file, def);
    fclose(file);
    rp_world_destroy(p.world);
    return result;
}
