// minds.c - the game's side of Repartee, all through public headers.
// SPDX-License-Identifier: MIT
#include "minds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_line(void *user, rt_log_level level, rt_result code, const char *message)
{
    const minds *m = user;
    (void)code;
    if (level >= RT_LOG_WARNING || m->verbose) {
        fprintf(stderr, "griffin: %s\n", message);
    }
}

// --- what scripts may ask the game for ----------------------------------------------------------------------------------------

static void return_text(minds *m, rp_lua_value *result, const char *text)
{
    snprintf(m->reply, sizeof(m->reply), "%s", text);
    result->kind = RP_LUA_TEXT;
    result->text = (rp_text){m->reply, strlen(m->reply)};
}

static rt_result refuse(minds *m, rp_lua_value *result, const char *why)
{
    return_text(m, result, why);
    return RT_ERROR_REJECTED;
}

static rt_result game_cellar(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    size_t left = 0;
    (void)arguments, (void)count;
    for (int i = 0; i < 3; i++) {
        if (m->game->stock[i] > 0) {
            m->cellar[left++] = (rp_text){game_drinks[i], strlen(game_drinks[i])};
        }
    }
    result->kind = RP_LUA_LIST;
    result->list = m->cellar;
    result->list_count = left;
    return RT_OK;
}

static rt_result game_pour(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    game *g = m->game;
    if (count != 2 || arguments[0].kind != RP_LUA_TEXT || arguments[1].kind != RP_LUA_INTEGER) {
        return refuse(m, result, "pour takes a drink and a number of cups");
    }
    int cups = (int)arguments[1].integer, drink = 0;
    while (drink < 3 && strncmp(game_drinks[drink], arguments[0].text.data, arguments[0].text.size) != 0) {
        drink++;
    }
    if (drink == 3 || cups < 1 || cups > g->stock[drink]) {
        return refuse(m, result, "There is not that much left in the cellar.");
    }
    if (g->gold < 2 * cups) {
        return refuse(m, result, "The guest cannot pay for that.");
    }
    g->gold -= 2 * cups;
    g->stock[drink] -= cups;
    for (int i = 0; i < cups; i++) {
        if (g->cup_count == MAX_CUPS) { // the oldest is cleared away
            memmove(&g->cups[0], &g->cups[1], (MAX_CUPS - 1) * sizeof(g->cups[0]));
            g->cup_count--;
        }
        cup *c = &g->cups[g->cup_count];
        memset(c, 0, sizeof(*c));
        snprintf(c->drink, sizeof(c->drink), "%s", game_drinks[drink]);
        static const float places[MAX_CUPS] = {1036, 1082, 802, 768, 1128, 1174}; // on the counter, beside Marta first
        c->x = places[g->cup_count];
        c->age = -0.3f * (float)i;
        g->cup_count++;
    }
    char text[120];
    if (cups == 1) {
        snprintf(text, sizeof(text), "Here is your cup of %s for %d gold.", game_drinks[drink], 2 * cups);
    } else {
        snprintf(text, sizeof(text), "Here are your %d cups of %s for %d gold.", cups, game_drinks[drink], 2 * cups);
    }
    return_text(m, result, text);
    return RT_OK;
}

static rt_result game_give_key(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    (void)arguments, (void)count;
    if (m->game->has_key || m->game->gold < 5) {
        return refuse(m, result, m->game->has_key ? "The guest has a key already." : "The guest cannot pay for a room.");
    }
    m->game->gold -= 5;
    m->game->has_key = true;
    return_text(m, result, "Here is the key to room three for 5 gold.");
    return RT_OK;
}

static rt_result game_give_map(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    (void)arguments, (void)count;
    m->game->has_map = true;
    return_text(m, result, "Here is the map of the rocks.");
    return RT_OK;
}

static rt_result game_serve_soup(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    (void)arguments, (void)count;
    m->game->has_soup = true;
    return_text(m, result, "Here is your bowl of hot soup.");
    return RT_OK;
}

static rt_result game_play(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    minds *m = user;
    char text[120];
    if (count != 1 || arguments[0].kind != RP_LUA_TEXT) {
        return refuse(m, result, "play takes a song");
    }
    m->game->people[LYSA].music = 12;
    snprintf(text, sizeof(text), "Listen, here is %.*s!", (int)(arguments[0].text.size < 60 ? arguments[0].text.size : 60),
             arguments[0].text.data);
    return_text(m, result, text);
    return RT_OK;
}

// ctx.speaker.FIELD
static rt_result game_speaker(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    const minds *m = user;
    if (count != 2 || arguments[1].kind != RP_LUA_TEXT || strcmp(arguments[0].text.data, "player") != 0) {
        return RT_OK; // the others own nothing that scripts ask for
    }
    const char *field = arguments[1].text.data;
    result->kind = RP_LUA_BOOLEAN;
    if (strcmp(field, "gold") == 0) {
        result->kind = RP_LUA_INTEGER;
        result->integer = m->game->gold;
    } else if (strcmp(field, "has_key") == 0) {
        result->boolean = m->game->has_key;
    } else if (strcmp(field, "has_map") == 0) {
        result->boolean = m->game->has_map;
    } else if (strcmp(field, "has_soup") == 0) {
        result->boolean = m->game->has_soup;
    } else {
        result->kind = RP_LUA_NIL;
    }
    return RT_OK;
}

// --- opening ------------------------------------------------------------------------------------------------------------------

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    char *text = calloc(1, 16385);
    if (text) {
        size_t size = fread(text, 1, 16384, file);
        text[size] = 0;
    }
    fclose(file);
    return text;
}

static bool open_world(minds *m, const minds_def *def, const rt_host *host)
{
    rt_model_def md = rt_default_model_def();
    md.host = *host;
    md.path = def->model;
    md.backend = def->backend;
    md.load_threads = def->threads > 0 ? def->threads : 1;
    if (rt_model_open(&md, &m->model) != RT_OK) {
        fputs("griffin: scripts/setup.sh fetches the model that belongs to the demo; --model names another\n", stderr);
        return false;
    }
    rp_world_def wd = rp_default_world_def();
    wd.host = *host;
    wd.model = m->model;
    wd.lore = m->lore;
    wd.seed = def->seed;
    wd.max_characters = 16;
    wd.pacer.target_frame_us = def->frame_us;
    wd.pacer.least_us = 1500; // where drawing alone is too slow for the display, people speak all the same
    wd.worker_count = def->threads > 1 ? def->threads - 1 : 0;
    if (rp_world_create(&wd, &m->world) != RT_OK) {
        fprintf(stderr, "griffin: the world cannot be made: %s\n", rt_error_message());
        return false;
    }
    return true;
}

static bool open_scripts(minds *m, const minds_def *def, const rt_host *host)
{
    static const struct {
        const char *name;
        rp_lua_function *function;
    } functions[] = {{"cellar", game_cellar},         {"pour", game_pour}, {"give_key", game_give_key}, {"give_map", game_give_map},
                     {"serve_soup", game_serve_soup}, {"play", game_play}, {"speaker", game_speaker}};
    rp_lua_def ld = rp_default_lua_def();
    ld.host = *host;
    ld.world = m->world;
    if (rp_lua_create(&ld, &m->lua) != RT_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (rp_lua_set_function(m->lua, functions[i].name, functions[i].function, m) != RT_OK) {
            return false;
        }
    }
    if (rp_lua_load(m->lua, def->script) != RT_OK) {
        return false;
    }
    for (int i = 0; i < PEOPLE; i++) {
        if (rp_lua_find_character(m->lua, m->game->people[i].key, &m->ids[i]) != RT_OK) {
            return false;
        }
        snprintf(m->game->people[i].name, sizeof(m->game->people[i].name), "%s", rp_character_name(m->world, m->ids[i]));
    }
    return true;
}

bool minds_open(minds *m, const minds_def *def, game *g)
{
    bool verbose = m->verbose;
    memset(m, 0, sizeof(*m));
    m->verbose = verbose;
    m->game = g;
    rt_host host = {.log = log_line, .user = m};
    m->lore = read_text(def->lore);
    if (!m->lore) {
        fprintf(stderr, "griffin: %s cannot be read: start the demo in the folder of the repository\n", def->lore);
        return false;
    }
    if (!open_world(m, def, &host) || !open_scripts(m, def, &host)) {
        minds_close(m);
        return false;
    }
    for (int i = 0; i < PEOPLE; i++) {
        rp_character_warm(m->world, m->ids[i]);
    }
    return true;
}

void minds_close(minds *m)
{
    rp_lua_destroy(m->lua);
    rp_world_destroy(m->world);
    rt_model_close(m->model);
    free(m->lore);
    memset(m, 0, sizeof(*m));
}

// --- lines in -----------------------------------------------------------------------------------------------------------------

static bool say(minds *m, who to, const rp_say *line)
{
    person *p = &m->game->people[to];
    if (p->mood != MOOD_IDLE && !RP_ID_IS_NULL(m->turns[to])) {
        rp_turn_interrupt(m->world, m->turns[to], (size_t)p->shown);
    }
    rp_turn_id turn;
    if (rp_character_say(m->world, m->ids[to], line, &turn) != RT_OK) {
        return false;
    }
    m->turns[to] = turn;
    m->speaking_line[to] = -1;
    p->mood = MOOD_THINKING;
    p->focus = line->priority == RP_PRIORITY_FOCUS;
    p->said_size = 0;
    p->said[0] = 0;
    p->shown = 0;
    p->ends = false;
    p->quiet = 0;
    return true;
}

bool minds_say(minds *m, who to, const char *text)
{
    if (to == NOBODY || !text[0]) {
        return false;
    }
    int line = game_add_line(m->game, NOBODY, "You", false);
    game_append(m->game, line, text, strlen(text));
    rp_say what = {.text = text, .priority = RP_PRIORITY_FOCUS};
    return say(m, to, &what);
}

bool minds_chat(minds *m, who to, const char *from, const char *text)
{
    if (to == NOBODY || m->game->people[to].mood != MOOD_IDLE) {
        return false;
    }
    rp_say what = {.text = text, .speaker = from, .priority = RP_PRIORITY_AMBIENT, .no_tools = true, .max_reply_tokens = 32};
    return say(m, to, &what);
}

bool minds_chatter(minds *m)
{
    rp_lua_value next;
    if (rp_lua_call(m->lua, "next_chatter", NULL, 0, &next) != RT_OK || next.kind != RP_LUA_LIST || next.list_count != 3) {
        return false;
    }
    char key[64], from[64], text[256];
    snprintf(key, sizeof(key), "%.*s", (int)next.list[0].size, next.list[0].data);
    snprintf(from, sizeof(from), "%.*s", (int)next.list[1].size, next.list[1].data);
    snprintf(text, sizeof(text), "%.*s", (int)next.list[2].size, next.list[2].data);
    return minds_chat(m, game_find(m->game, key), from, text);
}

void minds_approach(minds *m, who to)
{
    if (to != NOBODY) {
        rp_character_warm(m->world, m->ids[to]);
    }
}

bool minds_answering(const minds *m)
{
    for (int i = 0; i < PEOPLE; i++) {
        if (m->game->people[i].focus && m->game->people[i].mood != MOOD_IDLE) {
            return true;
        }
    }
    return false;
}

// --- words and calls out --------------------------------------------------------------------------------------------------------

static int person_of(const minds *m, rp_character_id id)
{
    for (int i = 0; i < PEOPLE; i++) {
        if (RP_ID_EQUAL(m->ids[i], id)) {
            return i;
        }
    }
    return NOBODY;
}

// Where a second paragraph begins, or `size`: people here say one thing at a time.
static size_t paragraph_end(const person *p, const char *text, size_t size)
{
    bool spoken = p->said_size > 0;
    for (size_t k = 0; k < size; k++) {
        if (spoken && text[k] == '\n') {
            return k;
        }
        spoken = spoken || (text[k] != ' ' && text[k] != '\n');
    }
    return size;
}

static void add_words(minds *m, int i, const rp_event *event)
{
    person *p = &m->game->people[i];
    const char *text = event->text.data;
    size_t size = paragraph_end(p, text, event->text.size);
    if (m->speaking_line[i] < 0) {
        m->speaking_line[i] = game_add_line(m->game, i, p->name, !p->focus);
        m->heard[i] = 0;
    }
    m->heard[i] += size;
    if (size < event->text.size) {
        rp_turn_interrupt(m->world, event->turn, m->heard[i]);
    }
    game_append(m->game, m->speaking_line[i], text, size);
    while (p->said_size == 0 && size > 0 && (*text == ' ' || *text == '\n')) {
        text++;
        size--;
    }
    if (p->said_size + size < sizeof(p->said)) {
        memcpy(p->said + p->said_size, text, size);
        p->said_size += size;
        p->said[p->said_size] = 0;
    }
}

// {"drink": "ale", "cups": 1} as (ale, 1): what the toast shows.
static void short_arguments(const char *json, char *out, size_t size)
{
    size_t used = 0;
    bool in_text = false, is_key = true;
    for (const char *c = json; *c && used + 5 < size; c++) {
        if (*c == '"' && (c == json || c[-1] != '\\')) {
            in_text = !in_text;
        } else if (!in_text && *c == ':') {
            is_key = false;
        } else if (!in_text && *c == ',') {
            is_key = true;
            out[used++] = ',';
            out[used++] = ' ';
        } else if (!is_key && (in_text || (*c != ' ' && *c != '{' && *c != '}'))) {
            out[used++] = *c;
        }
    }
    out[used] = 0;
}

static made_call *find_call(game *g, rp_call_id id)
{
    for (int i = g->call_count - 1; i >= 0; i--) {
        if (g->calls[i].index == id.index && g->calls[i].generation == id.generation) {
            return &g->calls[i];
        }
    }
    return NULL;
}

static void note_call(minds *m, int i, const rp_event *event)
{
    game *g = m->game;
    const char *name = rp_tool_name(m->world, event->tool);
    char arguments[160], text[260];
    short_arguments(event->text.data, arguments, sizeof(arguments));
    snprintf(text, sizeof(text), "%s(%s)", name ? name : "?", arguments);
    toast *t = game_add_toast(g, text);
    t->call_index = event->call.index;
    t->call_generation = event->call.generation;
    if (g->call_count < MAX_CALLS) {
        made_call *c = &g->calls[g->call_count++];
        memset(c, 0, sizeof(*c));
        c->who = i;
        c->status = "later";
        c->frame = g->frame;
        c->index = event->call.index;
        c->generation = event->call.generation;
        snprintf(c->name, sizeof(c->name), "%s", name ? name : "?");
        snprintf(c->arguments, sizeof(c->arguments), "%.*s", (int)event->text.size, event->text.data);
    }
}

static void note_result(minds *m, const rp_event *event)
{
    static const char *const names[] = {"answered", "later", "vetoed", "failed"};
    game *g = m->game;
    made_call *c = find_call(g, event->call);
    if (event->call_status == RP_CALL_LATER) {
        return;
    }
    if (c) {
        c->status = names[event->call_status];
        c->answered_frame = g->frame;
        snprintf(c->result, sizeof(c->result), "%.*s", (int)event->text.size, event->text.data);
    }
    for (int i = 0; i < g->toast_count; i++) {
        toast *t = &g->toasts[i];
        if (t->call_index == event->call.index && t->call_generation == event->call.generation) {
            t->kind = event->call_status == RP_CALL_ANSWERED ? 1 : event->call_status == RP_CALL_VETOED ? 2 : 3;
            t->age = t->age < 1 ? t->age : 1;
            snprintf(t->result, sizeof(t->result), "%.*s", (int)(event->text.size < 190 ? event->text.size : 190),
                     event->text.data);
        }
    }
}

static void take_event(minds *m, const rp_event *event)
{
    int i = person_of(m, event->character);
    if (i == NOBODY) {
        return;
    }
    person *p = &m->game->people[i];
    bool current = RP_ID_EQUAL(event->turn, m->turns[i]);
    switch (event->kind) {
    case RP_EVENT_TEXT:
        if (current) {
            add_words(m, i, event);
        }
        break;
    case RP_EVENT_EMOTION: snprintf(p->emotion, sizeof(p->emotion), "%.*s", (int)event->text.size, event->text.data); break;
    case RP_EVENT_CALL: note_call(m, i, event); break;
    case RP_EVENT_CALL_RESULT: note_result(m, event); break;
    case RP_EVENT_TURN_FAILED:
        fprintf(stderr, "griffin: %s: %.*s\n", p->name, (int)event->text.size, event->text.data);
        // fall through
    case RP_EVENT_TURN_DONE:
    case RP_EVENT_TURN_CANCELLED:
    case RP_EVENT_TURN_DROPPED:
        if (current) {
            p->ends = true;
            m->turns[i] = (rp_turn_id){0, 0};
            if (p->said_size == 0) {
                p->mood = MOOD_IDLE;
            }
        }
        break;
    default: break;
    }
}

void minds_update(minds *m, uint32_t budget_us, double seconds)
{
    rp_lua_advance(m->lua, seconds);
    rp_world_update(m->world, budget_us);
    rp_event event;
    while (rp_world_next_event(m->world, &event)) {
        take_event(m, &event);
    }
}
