// Conversations in OpenAI's shape to messages of the middleware.
// SPDX-License-Identifier: MIT
#include "shared.h"

#include <stdlib.h>
#include <string.h>

static rp_text text_of(const json_t *value)
{
    return (rp_text){json_string_value(value), json_string_length(value)};
}

// [{"id", "function": {"name", "arguments"}}] to [{"name", "arguments", "id"}]. NULL: not of that shape.
static char *read_calls(const json_t *tool_calls)
{
    json_t *list = json_array();
    size_t index;
    const json_t *given;
    json_array_foreach((json_t *)tool_calls, index, given)
    {
        const json_t *function = json_object_get(given, "function") ? json_object_get(given, "function") : given;
        json_t *name = json_object_get(function, "name"), *arguments = json_object_get(function, "arguments");
        json_t *id = json_object_get(given, "id"), *call = json_object();
        json_t *parsed = json_is_string(arguments) ? json_loadb(json_string_value(arguments),
                                                                json_string_length(arguments), JSON_ALLOW_NUL, NULL)
                                                   : json_incref(arguments);
        if (!json_is_string(name) || (arguments && !parsed) || (id && !json_is_string(id))) {
            json_decref(parsed);
            json_decref(call);
            json_decref(list);
            return NULL;
        }
        json_object_set(call, "name", name);
        json_object_set_new(call, "arguments", parsed ? parsed : json_object());
        if (id)
            json_object_set(call, "id", id);
        json_array_append_new(list, call);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static const char *read_role(const json_t *message, rp_role *role)
{
    static const struct {
        const char *name;
        rp_role role;
    } roles[] = {
        {"system", RP_ROLE_SYSTEM},   {"developer", RP_ROLE_SYSTEM}, {"user", RP_ROLE_USER},
        {"assistant", RP_ROLE_REPLY}, {"tool", RP_ROLE_RESULT},      {"context", RP_ROLE_CONTEXT},
    };
    const char *name = json_string_value(json_object_get(message, "role"));
    for (size_t i = 0; name && i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(name, roles[i].name) == 0) {
            *role = roles[i].role;
            return NULL;
        }
    }
    return "role is none of system, user, assistant, tool, context";
}

// A message that both speaks and calls becomes two.
static const char *read_message(const json_t *message, conversation *c)
{
    rp_message m = {0};
    const char *problem = read_role(message, &m.role);
    if (problem)
        return problem;
    const json_t *content = json_object_get(message, "content"), *tool_calls = json_object_get(message, "tool_calls");
    bool calls = m.role == RP_ROLE_REPLY && json_is_array(tool_calls) && json_array_size(tool_calls) > 0;
    if (!json_is_string(content) && !(calls && (!content || json_is_null(content))))
        return "content is no text";
    m.content = text_of(content);
    if (m.role == RP_ROLE_RESULT) {
        m.call_id = text_of(json_object_get(message, "tool_call_id"));
        m.name = text_of(json_object_get(message, "name"));
    }
    if (!calls || m.content.size)
        c->messages[c->count++] = m;
    if (calls) {
        char *text = read_calls(tool_calls);
        if (!text)
            return "tool_calls: each needs a function with a name and arguments in JSON";
        c->owned[c->count] = text;
        c->messages[c->count++] = (rp_message){.role = RP_ROLE_CALLS, .content = {text, strlen(text)}};
    }
    return NULL;
}

bool conversation_read(const json_t *json, conversation *c, char problem[256])
{
    memset(c, 0, sizeof *c);
    const json_t *messages = json_object_get(json, "messages"), *tools = json_object_get(json, "tools");
    if (!json_is_array(messages) || json_array_size(messages) > 100000) {
        snprintf(problem, 256, "an object with \"messages\", a list, was expected");
        return false;
    }
    if (tools && !json_is_null(tools) && !json_is_array(tools)) {
        snprintf(problem, 256, "\"tools\" is no list");
        return false;
    }
    size_t count = json_array_size(messages);
    c->messages = calloc(2 * count + 1, sizeof *c->messages);
    c->owned = calloc(2 * count + 1, sizeof *c->owned);
    if (!c->messages || !c->owned) {
        snprintf(problem, 256, "no memory for %zu messages", count);
        conversation_free(c);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *what = read_message(json_array_get(messages, i), c);
        if (what) {
            snprintf(problem, 256, "message %zu: %s", i + 1, what);
            conversation_free(c);
            return false;
        }
    }
    if (json_array_size(tools) > 0)
        c->tools = json_dumps(tools, JSON_COMPACT);
    return true;
}

void conversation_free(conversation *c)
{
    for (int32_t i = 0; i < c->count; i++)
        free(c->owned[i]);
    free(c->messages);
    free(c->owned);
    free(c->tools);
    memset(c, 0, sizeof *c);
}
