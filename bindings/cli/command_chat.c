// repartee chat: talk to a character.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "game.h"
#include "options.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat {
    model_options model;
    const char *script, *character, *game_file, *format;
    option_texts says;
    int64_t budget, seed, max_tokens;
    double temperature;
    bool json;

    rt_model *opened;
    rp_world *world;
    rp_lua *lua;
    stand_in_game *game;
    rp_character_id id;
    const char *name;
    json_t *transcript;
    json_t *turn; // of the transcript, being filled
    bool at_line_start;
} chat;

static const char builtin_persona[] =
    "You are Marta Voss, innkeeper of the Gilded Griffin, an old inn by the harbour. You have a dry wit and remember "
    "every debt. Answer in one or two short sentences, and never leave your role.";

// For those who play without a script.
static bool make_builtin(chat *c)
{
    rp_character_def def = rp_default_character_def();
    def.name = c->character ? c->character : "Marta";
    def.persona = builtin_persona;
    if (c->max_tokens > 0)
        def.max_reply_tokens = (int32_t)c->max_tokens;
    return rp_character_create(c->world, &def, &c->id) == RT_OK;
}

static bool load_script(chat *c)
{
    rp_lua_def def = rp_default_lua_def();
    def.host = cli_host();
    def.world = c->world;
    if (!stand_in_create(c->game_file, &c->game))
        return false;
    if (rp_lua_create(&def, &c->lua) != RT_OK || !stand_in_register(c->game, c->lua, c->script) ||
        rp_lua_load(c->lua, c->script) != RT_OK)
        return failure("chat", NULL), false;
    if (!c->character && !rp_lua_character_name(c->lua, 0, &c->id))
        return failure("chat", "%s: it defines no character", c->script), false;
    if (c->character && rp_lua_find_character(c->lua, c->character, &c->id) != RT_OK &&
        rp_character_find(c->world, c->character, &c->id) != RT_OK) {
        failure("chat", "%s: there is no character '%s'; it has:", c->script, c->character);
        rp_character_id other;
        for (int32_t i = 0; rp_lua_character_name(c->lua, i, &other); i++)
            fprintf(stderr, "  %s\n", rp_lua_character_name(c->lua, i, &other));
        return false;
    }
    return true;
}

static int prepare(chat *c)
{
    int exit_code = open_model("chat", &c->model, &c->opened);
    if (exit_code != EXIT_DONE)
        return exit_code;
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = c->opened;
    def.seed = (uint64_t)c->seed;
    def.worker_count = c->model.threads > 1 ? (int32_t)c->model.threads - 1 : 0;
    def.format = c->format ? rp_format_find(c->format) : NULL;
    if (c->format && !def.format)
        return usage_error("chat", "--format: there is no '%s'; repartee prompt --list names them", c->format);
    if (rp_world_create(&def, &c->world) != RT_OK)
        return failure("chat", NULL);
    if (c->script) {
        if (!load_script(c))
            return EXIT_FAILED;
    } else if (!make_builtin(c)) {
        return failure("chat", NULL);
    }
    rt_sampler_def sampler;
    if (c->temperature >= 0) {
        if (rp_character_get_sampler(c->world, c->id, &sampler) != RT_OK)
            return failure("chat", NULL);
        sampler.temperature = (float)c->temperature;
        if (rp_character_set_sampler(c->world, c->id, &sampler) != RT_OK)
            return failure("chat", NULL);
    }
    c->name = rp_character_name(c->world, c->id);
    return EXIT_DONE;
}

static void release(chat *c)
{
    rp_lua_destroy(c->lua);
    rp_world_destroy(c->world);
    stand_in_destroy(c->game);
    rt_model_close(c->opened);
    json_decref(c->transcript);
}

// Text is shown as it comes; whatever else happens stands on a line of its own.
static void show_line(chat *c, const char *format, rp_text text)
{
    if (c->json)
        return;
    if (!c->at_line_start)
        putchar('\n');
    printf(format, (int)text.size, text.data);
    putchar('\n');
    c->at_line_start = true;
}

static json_t *json_of_text(rp_text text)
{
    return json_stringn(text.data ? text.data : "", text.size);
}

static const char *status_name(rp_call_status status)
{
    static const char *const names[] = {"answered", "later", "vetoed", "failed"};
    return (unsigned)status < 4 ? names[status] : "unknown";
}

static void on_call(chat *c, const rp_event *event)
{
    const char *tool = rp_tool_name(c->world, event->tool);
    json_t *arguments = json_loadb(event->text.data, event->text.size, JSON_ALLOW_NUL, NULL);
    json_t *call = json_pack("{s:s, s:o}", "name", tool ? tool : "?", "arguments", arguments ? arguments : json_null());
    json_array_append_new(json_object_get(c->turn, "calls"), call);
    char line[160];
    snprintf(line, sizeof line, "  * %.120s %%.*s", tool ? tool : "?");
    for (char *at = line + 4; at < line + strlen(line) - 4; at++) // a tool's name is no format
        if (*at == '%')
            *at = '_';
    show_line(c, line, event->text);
}

static void on_call_result(chat *c, const rp_event *event)
{
    json_t *calls = json_object_get(c->turn, "calls");
    json_t *call = json_array_get(calls, json_array_size(calls) ? json_array_size(calls) - 1 : 0);
    json_object_set_new(call, "status", json_string(status_name(event->call_status)));
    json_object_set_new(call, "result", json_of_text(event->text));
    show_line(c, event->call_status == RP_CALL_ANSWERED ? "    = %.*s" : "    ! %.*s", event->text);
}

static void on_done(chat *c, const rp_event *event)
{
    json_object_set_new(c->turn, "reply", json_of_text(event->text));
    json_object_set_new(c->turn, "prompt_tokens", json_integer(event->prompt_tokens));
    json_object_set_new(c->turn, "reused_tokens", json_integer(event->reused_tokens));
    json_object_set_new(c->turn, "reply_tokens", json_integer(event->reply_tokens));
    json_object_set_new(c->turn, "first_text_us", json_integer((json_int_t)event->first_text_us));
    json_object_set_new(c->turn, "duration_us", json_integer((json_int_t)event->duration_us));
    if (!c->json && !c->at_line_start)
        putchar('\n');
    c->at_line_start = true;
}

// What one event means for the one who reads. True: the turn is over; *exit_code says how.
static bool take_event(chat *c, const rp_event *event, int *exit_code)
{
    switch (event->kind) {
    case RP_EVENT_TEXT:
        if (!c->json) {
            if (c->at_line_start)
                printf("%s: ", c->name);
            fwrite(event->text.data, 1, event->text.size, stdout);
            fflush(stdout);
            c->at_line_start = false;
        }
        return false;
    case RP_EVENT_EMOTION:
        json_array_append_new(json_object_get(c->turn, "emotions"), json_of_text(event->text));
        show_line(c, "  (%.*s)", event->text);
        return false;
    case RP_EVENT_CALL: on_call(c, event); return false;
    case RP_EVENT_CALL_RESULT: on_call_result(c, event); return false;
    case RP_EVENT_HISTORY_TRIMMED:
        fprintf(stderr, "repartee chat: %d oldest turns left the prompt\n", (int)event->count);
        return false;
    case RP_EVENT_TURN_DONE: on_done(c, event); return true;
    case RP_EVENT_TURN_FAILED:
        *exit_code = failure("chat", "the turn failed: %s: %.*s", rt_result_text(event->result), (int)event->text.size,
                             event->text.data);
        return true;
    case RP_EVENT_TURN_CANCELLED:
    case RP_EVENT_TURN_DROPPED: *exit_code = failure("chat", "the turn ended early"); return true;
    default: return false;
    }
}

static int say(chat *c, const char *text, size_t size)
{
    c->turn = json_pack("{s:s, s:o, s:[], s:[]}", "character", c->name, "player", json_stringn(text, size), "emotions",
                        "calls");
    if (!c->turn)
        return failure("chat", "the line is not UTF-8 text");
    json_array_append_new(c->transcript, c->turn);
    rp_turn_id turn;
    if (rp_character_say(c->world, c->id, &(rp_say){.text = text, .text_size = size, .priority = RP_PRIORITY_FOCUS},
                         &turn) != RT_OK)
        return failure("chat", NULL);
    int exit_code = EXIT_DONE;
    uint64_t before = clock_ns();
    for (bool over = false; !over;) {
        uint64_t start = clock_ns();
        if (rp_world_update(c->world, c->budget > 0 ? (uint32_t)c->budget : RP_BUDGET_UNLIMITED) != RT_OK)
            return failure("chat", NULL);
        rp_event event;
        bool any = false;
        while (rp_world_next_event(c->world, &event)) {
            any = true;
            over = take_event(c, &event, &exit_code) || over;
        }
        uint64_t now = clock_ns();
        if (!any && now - start < 100000)
            usleep(1000); // only the game can go on: a call that answers later
        if (c->lua && rp_lua_advance(c->lua, (double)(now - before) * 1e-9) != RT_OK)
            fprintf(stderr, "repartee chat: %s\n", rt_error_message());
        before = now;
    }
    return exit_code;
}

static int talk(chat *c)
{
    int exit_code = EXIT_DONE;
    for (int i = 0; i < c->says.count && exit_code == EXIT_DONE; i++) {
        if (!c->json)
            printf("> %s\n", c->says.items[i]);
        exit_code = say(c, c->says.items[i], strlen(c->says.items[i]));
    }
    if (c->says.count)
        return exit_code;
    bool asks = isatty(STDIN_FILENO);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    if (asks)
        fprintf(stderr, "You are talking to %s. An empty line or Ctrl-D ends.\n", c->name);
    for (;;) {
        if (asks)
            fputs("> ", stderr);
        length = getline(&line, &capacity, stdin);
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = 0;
        if (length <= 0 || exit_code != EXIT_DONE)
            break;
        exit_code = say(c, line, (size_t)length);
        if (asks) // one bad line is no reason to leave
            exit_code = EXIT_DONE;
    }
    free(line);
    return exit_code;
}

int command_chat(int argc, char **argv)
{
    chat c = {.model = {.threads = 1}, .temperature = -1, .at_line_start = true};
    const option options[] = {
        MODEL_OPTIONS(c.model),
        {"script", OPTION_TEXT, &c.script, "FILE.lua", "who is there and what they may do; without it: an innkeeper", 0,
         0},
        {"character", OPTION_TEXT, &c.character, "NAME", "whom to talk to; without it: the first one", 0, 0},
        {"game", OPTION_TEXT, &c.game_file, "FILE.json", "what game.NAME(...) answers to the script: {\"NAME\": value}",
         0, 0},
        {"say", OPTION_TEXTS, &c.says, "TEXT", "say this, then stop; may be given several times", 0, 0},
        {"budget", OPTION_INTEGER, &c.budget, "US", "microseconds of each update; without it: no limit", 0, 1000000},
        {"seed", OPTION_INTEGER, &c.seed, "N", "same seed, same words; default 0", 0, 0},
        {"temperature", OPTION_NUMBER, &c.temperature, "T", "0 is greedy; without it: the character's own", 0, 10},
        {"max-tokens", OPTION_INTEGER, &c.max_tokens, "N", "of a reply of the built-in character", 1, 4096},
        {"format", OPTION_TEXT, &c.format, "NAME", "chat format; without it: found from the model", 0, 0},
        {"json", OPTION_FLAG, &c.json, "", "print the transcript as one JSON object at the end", 0, 0},
    };
    command_line line = {
        .command = "chat",
        .usage = "[--model FILE] [--script FILE.lua] [--character NAME] [--say TEXT]...",
        .about = "Talks to a character, with lines from --say or from stdin. Calls and their results are shown as they\n"
                 "happen. Functions of the game are played by a stand-in, which says on stderr what was called.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (c.script && c.max_tokens > 0)
        return usage_error("chat", "--max-tokens is for the built-in character: a script sets its own");
    if (c.game_file && !c.script)
        return usage_error("chat", "--game answers a script's calls: it needs --script");
    c.transcript = json_array();
    exit_code = prepare(&c);
    if (exit_code == EXIT_DONE)
        exit_code = talk(&c);
    if (c.json && exit_code == EXIT_DONE)
        exit_code = print_answer("chat", json_pack("{s:O}", "turns", c.transcript));
    release(&c);
    return exit_code;
}
