// SPDX-License-Identifier: MIT
#include "game.h"
#include "options.h"
#include "shared.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FUNCTIONS 128
#define MAX_LIST      256

typedef struct stand_in_function {
    stand_in_game *game;
    char name[64];
    rp_text list[MAX_LIST];
} stand_in_function;

struct stand_in_game {
    json_t *answers;
    stand_in_function *functions[MAX_FUNCTIONS];
    int count;
};

bool stand_in_create(const char *answers, stand_in_game **game)
{
    *game = calloc(1, sizeof **game);
    if (!*game)
        return failure("chat", "out of memory"), false;
    if (!answers)
        return true;
    json_error_t error;
    (*game)->answers = json_load_file(answers, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object((*game)->answers))
        return true;
    failure("chat", "%s: line %d: %s", answers, error.line,
            (*game)->answers ? "a JSON object was expected" : error.text);
    stand_in_destroy(*game);
    *game = NULL;
    return false;
}

void stand_in_destroy(stand_in_game *game)
{
    if (!game)
        return;
    for (int i = 0; i < game->count; i++)
        free(game->functions[i]);
    json_decref(game->answers);
    free(game);
}

// What is called goes to stderr: the player of the command line is the one who sees the game change.
static void print_call(const char *name, const rp_lua_value *arguments, int32_t count)
{
    fprintf(stderr, "game.%s(", name);
    for (int32_t i = 0; i < count; i++) {
        const rp_lua_value *a = &arguments[i];
        const char *comma = i ? ", " : "";
        switch (a->kind) {
        case RP_LUA_NIL: fprintf(stderr, "%snil", comma); break;
        case RP_LUA_BOOLEAN: fprintf(stderr, "%s%s", comma, a->boolean ? "true" : "false"); break;
        case RP_LUA_INTEGER: fprintf(stderr, "%s%lld", comma, (long long)a->integer); break;
        case RP_LUA_NUMBER: fprintf(stderr, "%s%g", comma, a->number); break;
        case RP_LUA_TEXT: fprintf(stderr, "%s%.*s", comma, (int)a->text.size, a->text.data); break;
        case RP_LUA_LIST: fprintf(stderr, "%s{%zu texts}", comma, a->list_count); break;
        }
    }
    fprintf(stderr, ")\n");
}

static void answer_with(stand_in_function *function, const json_t *answer, rp_lua_value *result)
{
    *result = (rp_lua_value){.kind = RP_LUA_NIL};
    if (json_is_string(answer)) {
        result->kind = RP_LUA_TEXT;
        result->text = (rp_text){json_string_value(answer), json_string_length(answer)};
    } else if (json_is_integer(answer)) {
        result->kind = RP_LUA_INTEGER;
        result->integer = json_integer_value(answer);
    } else if (json_is_real(answer)) {
        result->kind = RP_LUA_NUMBER;
        result->number = json_real_value(answer);
    } else if (json_is_boolean(answer)) {
        result->kind = RP_LUA_BOOLEAN;
        result->boolean = json_is_true(answer);
    } else if (json_is_array(answer)) {
        result->kind = RP_LUA_LIST;
        result->list = function->list;
        for (size_t i = 0; i < json_array_size(answer) && i < MAX_LIST; i++) {
            const json_t *item = json_array_get(answer, i);
            if (json_is_string(item))
                function->list[result->list_count++] = (rp_text){json_string_value(item), json_string_length(item)};
        }
    }
}

static rt_result call_stand_in(void *user, const rp_lua_value *arguments, int32_t count, rp_lua_value *result)
{
    stand_in_function *function = user;
    const json_t *answer = json_object_get(function->game->answers, function->name);
    if (strcmp(function->name, "speaker") == 0) {
        char field[64] = "";
        if (count > 1 && arguments[1].kind == RP_LUA_TEXT && arguments[1].text.size < sizeof field)
            memcpy(field, arguments[1].text.data, arguments[1].text.size);
        answer_with(function, json_object_get(answer, field), result);
        return RT_OK;
    }
    if (answer)
        answer_with(function, answer, result);
    else
        *result = (rp_lua_value){.kind = RP_LUA_BOOLEAN, .boolean = true};
    if (!json_is_array(answer)) // lists are asked for at every turn: no news
        print_call(function->name, arguments, count);
    return RT_OK;
}

static bool register_function(stand_in_game *game, rp_lua *lua, const char *name, size_t length)
{
    for (int i = 0; i < game->count; i++)
        if (strlen(game->functions[i]->name) == length && memcmp(game->functions[i]->name, name, length) == 0)
            return true;
    stand_in_function *function =
        game->count < MAX_FUNCTIONS && length < sizeof function->name ? calloc(1, sizeof *function) : NULL;
    if (!function)
        return failure("chat", "game.%.*s: too many functions, or too long a name", (int)length, name), false;
    function->game = game;
    memcpy(function->name, name, length);
    game->functions[game->count++] = function;
    return rp_lua_set_function(lua, function->name, call_stand_in, function) == RT_OK || (failure("chat", NULL), false);
}

bool stand_in_register(stand_in_game *game, rp_lua *lua, const char *script)
{
    const char *key;
    json_t *value;
    json_object_foreach(game->answers, key, value)
    {
        if (!register_function(game, lua, key, strlen(key)))
            return false;
    }
    FILE *file = fopen(script, "rb");
    if (!file)
        return true; // loading says it better
    size_t size;
    char *text = read_all(file, &size);
    fclose(file);
    bool done = true;
    for (char *at = text; done && at && (at = strstr(at, "game.")); at += 5) {
        size_t length = 0;
        bool inside_word = at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_' || at[-1] == '.');
        while (isalnum((unsigned char)at[5 + length]) || at[5 + length] == '_')
            length++;
        if (length && !inside_word)
            done = register_function(game, lua, at + 5, length);
    }
    free(text);
    return done;
}
