// repartee call: which functions a model would call for a question, one JSON line in, one out.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TOOLS 128
#define BUDGET_US 20000 // what is still said once everything is decided costs at most that

typedef struct caller {
    model_options model;
    int64_t rounds, seed, max_tokens;
    double temperature;
    const char *format, *calibrate;
    rp_world *world;
    FILE *calls; // of the line being served, as JSON text: what was decoded is printed as it is
    int64_t call_count;
} caller;

static const char persona[] =
    "You help the user by calling functions. Call one where it answers the question, and none where none does.";

// The call itself is the answer: what it would have returned is never seen.
static rp_call_status take_call(void *user, rp_world *world, const rp_call *call, rp_writer *answer)
{
    (void)world;
    caller *c = user;
    json_t *name = json_string(call->name);
    fputs(c->call_count++ > 0 ? ",{\"name\":" : "{\"name\":", c->calls);
    json_dumpf(name, c->calls, JSON_ENCODE_ANY);
    fprintf(c->calls, ",\"arguments\":%s}", call->arguments.data);
    json_decref(name);
    rp_writer_add(answer, "done", 4);
    return RP_CALL_ANSWERED;
}

// An undocumented parameter means nothing to a function: objects that list their properties are closed.
static void close_objects(json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"), *value;
    const char *key;
    if (json_object_size(properties) && !json_object_get(schema, "additionalProperties"))
        json_object_set_new(schema, "additionalProperties", json_false());
    json_object_foreach(properties, key, value) close_objects(value);
    if (json_is_object(json_object_get(schema, "items")))
        close_objects(json_object_get(schema, "items"));
}

static bool make_tool(caller *c, const json_t *function, rp_tool_id *id, char problem[256])
{
    const char *name = json_string_value(json_object_get(function, "name"));
    const char *description = json_string_value(json_object_get(function, "description"));
    json_t *parameters = json_deep_copy(json_object_get(function, "parameters"));
    if (!name || (parameters && !json_is_object(parameters))) {
        json_decref(parameters);
        snprintf(problem, 256, "functions: each needs a name, and parameters that are a JSON Schema");
        return false;
    }
    close_objects(parameters);
    char *schema = parameters ? json_dumps(parameters, JSON_COMPACT) : NULL;
    rp_tool_def def = rp_default_tool_def();
    def.name = name;
    def.description = description;
    def.parameters = schema;
    def.call = take_call;
    def.user = c;
    def.once_per_turn = false;
    bool made = rp_tool_create(c->world, &def, id) == RT_OK;
    if (!made)
        snprintf(problem, 256, "%s", rt_error_message());
    free(schema);
    json_decref(parameters);
    return made;
}

// System text and the user's text, each joined by blank lines where there are several.
static bool read_question(const json_t *record, char **system, char **user)
{
    const json_t *question = json_object_get(record, "question");
    size_t sizes[2] = {0, 0};
    FILE *out[2] = {open_memstream(system, &sizes[0]), open_memstream(user, &sizes[1])};
    bool good = out[0] && out[1] && json_is_array(question) && json_array_size(question) > 0;
    for (size_t i = 0; good && i < json_array_size(question); i++) {
        const json_t *message = json_array_get(question, i), *content = json_object_get(message, "content");
        const char *role = json_string_value(json_object_get(message, "role"));
        good = role && json_is_string(content);
        FILE *to = good && strcmp(role, "system") == 0 ? out[0] : out[1];
        if (good && to && ftell(to) > 0)
            fputs("\n\n", to);
        if (good && to)
            fwrite(json_string_value(content), 1, json_string_length(content), to);
    }
    for (int i = 0; i < 2; i++)
        if (out[i])
            fclose(out[i]);
    return good && sizes[1] > 0;
}

// Serves the turn until as many calls were made as may be, or it says it is done.
static bool serve(caller *c, rp_character_id id, const char *text, char problem[256])
{
    rp_turn_id turn;
    if (rp_character_say(c->world, id, &(rp_say){.text = text}, &turn) != RT_OK) {
        snprintf(problem, 256, "%s", rt_error_message());
        return false;
    }
    for (bool over = false; !over;) {
        if (rp_world_update(c->world, BUDGET_US) != RT_OK) {
            snprintf(problem, 256, "%s", rt_error_message());
            return false;
        }
        rp_event event;
        bool enough = c->call_count >= c->rounds;
        while (rp_world_next_event(c->world, &event)) {
            if (event.kind == RP_EVENT_TURN_FAILED)
                snprintf(problem, 256, "%.*s", (int)(event.text.size < 255 ? event.text.size : 255), event.text.data);
            over = over || event.kind == RP_EVENT_TURN_DONE || event.kind == RP_EVENT_TURN_FAILED ||
                   event.kind == RP_EVENT_TURN_CANCELLED || event.kind == RP_EVENT_TURN_DROPPED;
            enough = enough || event.kind == RP_EVENT_TEXT; // it speaks: it has decided
        }
        if (enough && !over)
            rp_turn_cancel(c->world, turn);
    }
    return !problem[0];
}

static bool serve_record(caller *c, const json_t *record, char problem[256])
{
    const json_t *functions = json_object_get(record, "functions");
    char *system = NULL, *user = NULL;
    rp_tool_id tools[MAX_TOOLS];
    int count = 0;
    bool good = true;
    if (!json_is_array(functions) || json_array_size(functions) > MAX_TOOLS) {
        snprintf(problem, 256, "an object with \"functions\" was expected, at most %d of them", MAX_TOOLS);
        good = false;
    }
    for (size_t i = 0; good && i < json_array_size(functions); i++)
        if ((good = make_tool(c, json_array_get(functions, i), &tools[count], problem)))
            count++;
    if (good && !(good = read_question(record, &system, &user)))
        snprintf(problem, 256,
                 "\"question\": a list of {\"role\", \"content\"} was expected, with something said by the user");
    rp_character_def def = rp_default_character_def();
    def.name = "Assistant";
    def.persona = system && system[0] ? system : persona;
    def.tools = tools;
    def.tool_count = count;
    def.sampler.temperature = (float)c->temperature;
    def.max_reply_tokens = (int32_t)c->max_tokens;
    rp_character_id id;
    if (good && rp_character_create(c->world, &def, &id) != RT_OK) {
        snprintf(problem, 256, "%s", rt_error_message());
        good = false;
    } else if (good) {
        good = serve(c, id, user, problem);
        rp_character_destroy(c->world, id);
    }
    rp_event event;
    while (rp_world_next_event(c->world, &event)) {
    }
    for (int i = 0; i < count; i++)
        rp_tool_destroy(c->world, tools[i]);
    free(system);
    free(user);
    return good;
}

// One line of the answer; false where it cannot be written.
static bool print_calls(const json_t *id, const char *problem, const char *calls)
{
    char *text = id ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_t *error = problem[0] ? json_string(problem) : NULL;
    fputs("{", stdout);
    if (text)
        printf("\"id\":%s,", text);
    if (error) {
        fputs("\"error\":", stdout);
        json_dumpf(error, stdout, JSON_ENCODE_ANY);
        fputs(",", stdout);
    }
    printf("\"calls\":[%s]}\n", calls);
    json_decref(error);
    free(text);
    return fflush(stdout) == 0 && !ferror(stdout);
}

static int serve_line(caller *c, const char *line, size_t length, long number)
{
    char problem[256] = "", *calls = NULL;
    size_t size = 0;
    int exit_code = EXIT_DONE;
    json_error_t error;
    json_t *record = json_loadb(line, length, JSON_ALLOW_NUL, &error);
    c->call_count = 0;
    c->calls = open_memstream(&calls, &size);
    if (!record)
        snprintf(problem, sizeof problem, "not JSON: %s", error.text);
    if (!c->calls)
        snprintf(problem, sizeof problem, "out of memory");
    if (!record || !c->calls || !serve_record(c, record, problem))
        exit_code = failure("call", "line %ld: %s", number, problem);
    if (c->calls)
        fclose(c->calls);
    if (!print_calls(json_object_get(record, "id"), problem, calls ? calls : ""))
        exit_code = failure("call", "cannot write to stdout");
    json_decref(record);
    free(calls);
    return exit_code;
}

static int serve_lines(caller *c)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    long number = 0;
    int exit_code = EXIT_DONE;
    while (!ferror(stdout) && (length = getline(&line, &capacity, stdin)) > 0)
        if (serve_line(c, line, (size_t)length, ++number) != EXIT_DONE)
            exit_code = EXIT_FAILED;
    free(line);
    return exit_code;
}

int command_call(int argc, char **argv)
{
    caller c = {.model = {.threads = 1}, .rounds = 8, .max_tokens = 512};
    const option options[] = {
        MODEL_OPTIONS(c.model),
        {"rounds", OPTION_INTEGER, &c.rounds, "N", "calls for one question at most, default 8", 1, 16},
        {"max-tokens", OPTION_INTEGER, &c.max_tokens, "N", "of all that is written for one question, default 512", 16,
         4096},
        {"temperature", OPTION_NUMBER, &c.temperature, "T", "default 0: greedy", 0, 10},
        {"seed", OPTION_INTEGER, &c.seed, "N", "default 0", 0, 0},
        {"calibrate", OPTION_CHOICE, &c.calibrate, "yes|no",
         "models without calls of their own: weigh names and values against what is likely anyway (default yes)", 0, 0},
        {"format", OPTION_TEXT, &c.format, "NAME", "chat format; without it: found from the model", 0, 0},
    };
    command_line line = {
        .command = "call",
        .usage = "--model FILE [--rounds N]",
        .about = "Reads lines {\"id\":..,\"question\":[{\"role\",\"content\"}],\"functions\":[..]} and writes\n"
                 "{\"id\":..,\"calls\":[{\"name\":..,\"arguments\":{..}}]} for each: no calls where none fits.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rp_world_def def = rp_default_world_def();
    def.format = c.format ? rp_format_find(c.format) : NULL;
    if (c.format && !def.format)
        return usage_error("call", "--format: there is no '%s'; repartee prompt --list names them", c.format);
    exit_code = open_model("call", &c.model, &def.model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    def.host = cli_host();
    def.seed = (uint64_t)c.seed;
    def.calibrate_choices = !c.calibrate || strcmp(c.calibrate, "yes") == 0;
    def.max_call_rounds = (int32_t)c.rounds;
    def.worker_count = c.model.threads > 1 ? (int32_t)c.model.threads - 1 : 0;
    exit_code = rp_world_create(&def, &c.world) == RT_OK ? serve_lines(&c) : failure("call", NULL);
    rp_world_destroy(c.world);
    rt_model_close(def.model);
    return exit_code;
}
