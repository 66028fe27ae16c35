// Calls that models write themselves: found in a reply, and put back into one shape.
// SPDX-License-Identifier: MIT
#include "prompt/calls.h"
#include "prompt/builder.h"

#include <string.h>

rt_result rpi_call_syntax_of(const rp_format *format, const rt_tokenizer *tokenizer, rpi_call_syntax *syntax)
{
    *syntax = (rpi_call_syntax){.trigger_token = RT_TOKEN_NONE};
    switch (format->calls) {
    case RP_CALLS_CHOOSE:
        return rpi_prompt_fail(NULL, RT_ERROR_UNSUPPORTED, "format %s: its models do not write calls", format->name);
    case RP_CALLS_MISTRAL:
        syntax->trigger = "[TOOL_CALLS]";
        syntax->is_list = true;
        break;
    case RP_CALLS_NEMOTRON:
    case RP_CALLS_HERMES:
        syntax->trigger = format->call_prefix;
        syntax->after = format->call_suffix;
        break;
    case RP_CALLS_LLAMA3: syntax->whole_reply = true; break;
    }
    if (!syntax->trigger)
        return RT_OK;
    // A control token stands for no bytes, so that it must be named by its id; an added token that stands for its own
    // spelling is found as text, together with the white space behind it.
    size_t length = 0;
    rt_token token = rpi_special_at(tokenizer, syntax->trigger, syntax->trigger + strlen(syntax->trigger), &length);
    if (token != RT_TOKEN_NONE && rt_tokenizer_kind(tokenizer, token) == RT_TOKEN_CONTROL) {
        syntax->trigger_token = token;
        syntax->trigger = NULL;
    }
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Schemas
// ---------------------------------------------------------------------------------------------------------------------

static bool key_is(rp_text key, const char *name)
{
    size_t length = strlen(name);
    return key.size == length + 2 && memcmp(key.data + 1, name, length) == 0;
}

// Copies a schema; "#..." in $ref gets `at` in front of its pointer. `root`: close it where it is silent about that.
static void copy_schema(rpi_text *out, rp_text value, const char *at, bool root)
{
    char kind = rpi_json_kind(value);
    if (kind != '{' && kind != '[') {
        rpi_json_write(out, value, 0, 0);
        return;
    }
    rpi_text_add(out, kind == '{' ? "{" : "[", 1);
    rpi_json_walk walk = rpi_json_begin(value);
    bool silent = root, first = true, has_properties = false;
    for (; out->result == RT_OK && rpi_json_next(&walk); first = false) {
        if (!first)
            rpi_text_add_string(out, ", ");
        rp_text item = walk.value;
        if (walk.is_object) {
            rpi_text_add(out, walk.key.data, walk.key.size);
            rpi_text_add_string(out, ": ");
            if (key_is(walk.key, "additionalProperties") || key_is(walk.key, "patternProperties") ||
                key_is(walk.key, "unevaluatedProperties") || key_is(walk.key, "$ref") || key_is(walk.key, "anyOf") ||
                key_is(walk.key, "oneOf") || key_is(walk.key, "allOf"))
                silent = false;
            has_properties = has_properties || key_is(walk.key, "properties");
            bool local = key_is(walk.key, "$ref") && item.size >= 3 && item.data[0] == '"' && item.data[1] == '#' &&
                         (item.data[2] == '/' || item.data[2] == '"');
            if (local) {
                rpi_text_add_string(out, "\"#");
                rpi_text_add_string(out, at);
                rpi_text_add(out, item.data + 2, item.size - 2);
                continue;
            }
        }
        copy_schema(out, item, at, false);
    }
    if (kind == '{' && silent && has_properties)
        rpi_text_add_string(out, ", \"additionalProperties\": false");
    rpi_text_add(out, kind == '{' ? "}" : "]", 1);
}

void rpi_parameters_schema(rpi_text *schema, rp_text parameters, const char *at)
{
    rpi_json_walk walk = rpi_json_begin(parameters);
    if (!walk.is_object || !rpi_json_next(&walk))
        rpi_text_add_string(schema, "{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}");
    else
        copy_schema(schema, parameters, at, true);
}

static void add_number(rpi_text *text, unsigned number)
{
    char digits[12];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    rpi_text_add(text, digits + at, sizeof digits - at);
}

// The schema of one tool's call, number `index` of the alternatives that stand at the JSON pointer `place`.
static rt_result add_call_schema(const rp_format *format, rp_text tool, const char *place, unsigned index,
                                 rpi_text *schema)
{
    rp_text function = rpi_json_member(tool, "function");
    if (function.size == 0)
        function = tool;
    rp_text name = rpi_json_member(function, "name");
    if (rpi_json_kind(name) != '"')
        return rpi_prompt_fail(&schema->host, RT_ERROR_BAD_TEXT, "prompt: tools: number %u has no name", index + 1);
    rpi_text_add_string(schema, "{\"type\": \"object\", \"properties\": {\"name\": {\"const\": ");
    rpi_text_add(schema, name.data, name.size);
    rpi_text_add_string(schema, "}, \"");
    rpi_text_add_string(schema, format->call_arguments);
    rpi_text_add_string(schema, "\": ");
    rpi_text pointer = {.host = schema->host};
    rpi_text_add_string(&pointer, place);
    rpi_text_add_string(&pointer, "/anyOf/");
    add_number(&pointer, index);
    rpi_text_add_string(&pointer, "/properties/");
    rpi_text_add_string(&pointer, format->call_arguments);
    if (pointer.result == RT_OK)
        rpi_parameters_schema(schema, rpi_json_member(function, "parameters"), pointer.data);
    else
        schema->result = pointer.result;
    rpi_text_free(&pointer);
    if (format->call_ids)
        rpi_text_add_string(schema, ", \"id\": {\"type\": \"string\", \"pattern\": \"^[a-zA-Z0-9]{9}$\"}");
    rpi_text_add_string(schema, "}, \"required\": [\"name\", \"");
    rpi_text_add_string(schema, format->call_arguments);
    rpi_text_add_string(schema, "\"], \"additionalProperties\": false}");
    return schema->result;
}

rt_result rpi_call_schema(const rp_format *format, const char *tools, int max_calls, rpi_text *schema)
{
    rpi_call_syntax syntax;
    rt_result result = rpi_call_syntax_of(format, NULL, &syntax);
    if (result != RT_OK)
        return result;
    rp_text array = {tools, tools ? strlen(tools) : 0};
    rpi_json_walk walk = rpi_json_begin(array);
    if (max_calls < 1 || max_calls > RPI_MAX_CALLS || walk.is_object || !rpi_json_is_value(array.data, array.size))
        return rpi_prompt_fail(&schema->host, RT_ERROR_BAD_TEXT,
                               "prompt: tools: not a JSON array, or a bad number of calls");
    if (syntax.is_list) {
        rpi_text_add_string(schema, "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": ");
        add_number(schema, (unsigned)max_calls);
        rpi_text_add_string(schema, ", \"items\": ");
    }
    rpi_text_add_string(schema, "{\"anyOf\": [");
    unsigned index = 0;
    for (; rpi_json_next(&walk); index++) {
        if (index)
            rpi_text_add_string(schema, ", ");
        result = add_call_schema(format, walk.value, syntax.is_list ? "/items" : "", index, schema);
        if (result != RT_OK)
            return result;
    }
    if (index == 0)
        return rpi_prompt_fail(&schema->host, RT_ERROR_BAD_TEXT, "prompt: tools: there are none to call");
    rpi_text_add_string(schema, syntax.is_list ? "]}}" : "]}");
    return schema->result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Replies
// ---------------------------------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t value) // splitmix64 (Steele, Lea and Flood 2014)
{
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

static void add_id(rpi_text *json, uint64_t seed, int index)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t value = mix(seed + mix((uint64_t)index));
    char id[RPI_CALL_ID_SIZE];
    for (int i = 0; i < RPI_CALL_ID_SIZE; i++) {
        id[i] = letters[value % 62];
        value /= 62;
    }
    rpi_text_add(json, id, sizeof id);
}

static bool is_good_id(rp_text raw)
{
    if (raw.size != RPI_CALL_ID_SIZE + 2 || raw.data[0] != '"')
        return false;
    for (size_t i = 1; i <= RPI_CALL_ID_SIZE; i++) {
        char c = raw.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

static bool is_taken(const rpi_calls *calls, rp_text raw)
{
    for (int i = 0; i < calls->count; i++)
        if (memcmp(calls->json.data + calls->list[i].id, raw.data + 1, RPI_CALL_ID_SIZE) == 0)
            return true;
    return false;
}

// Adds {"name", "arguments", "id"}; the name is raw JSON or, where `plain`, text.
static rt_result add_call(rpi_calls *calls, rp_text name, bool plain, rp_text arguments, rp_text id, uint64_t seed)
{
    rpi_text *json = &calls->json;
    if (calls->count == RPI_MAX_CALLS)
        return rpi_prompt_fail(&json->host, RT_ERROR_TOO_LARGE, "prompt: calls: over %d in one reply", RPI_MAX_CALLS);
    if (calls->count)
        json->size--; // the closing bracket
    rpi_text_add_string(json, calls->count ? ", {\"name\": " : "[{\"name\": ");
    size_t name_start = json->size;
    if (plain)
        rpi_json_write_string(json, name.data, name.size);
    else
        rpi_json_write(json, name, 0, 0);
    size_t name_end = json->size;
    rpi_text_add_string(json, ", \"arguments\": ");
    size_t arguments_start = json->size;
    if (arguments.size)
        rpi_json_write(json, arguments, 0, 0);
    else
        rpi_text_add_string(json, "{}");
    size_t arguments_end = json->size;
    rpi_text_add_string(json, ", \"id\": \"");
    size_t id_start = json->size;
    if (is_good_id(id) && !is_taken(calls, id))
        rpi_text_add(json, id.data + 1, RPI_CALL_ID_SIZE);
    else
        add_id(json, seed, calls->count);
    rpi_text_add_string(json, "\"}]");
    if (json->result != RT_OK)
        return json->result;
    if (json->size > UINT32_MAX)
        return rpi_prompt_fail(&json->host, RT_ERROR_TOO_LARGE, "prompt: calls: over 4 GiB");
    calls->list[calls->count].name = (uint32_t)name_start + 1;
    calls->list[calls->count].name_size = (uint32_t)(name_end - name_start - 2);
    calls->list[calls->count].arguments = (uint32_t)arguments_start;
    calls->list[calls->count].arguments_size = (uint32_t)(arguments_end - arguments_start);
    calls->list[calls->count].id = (uint32_t)id_start;
    calls->count++;
    return RT_OK;
}

rt_result rpi_calls_add(rpi_calls *calls, rp_text name, rp_text arguments, uint64_t seed)
{
    if (arguments.size && (!rpi_json_is_value(arguments.data, arguments.size) || rpi_json_kind(arguments) != '{'))
        return rpi_prompt_fail(&calls->json.host, RT_ERROR_BAD_TEXT, "prompt: calls: the arguments are no JSON object");
    return add_call(calls, name, true, arguments, (rp_text){0}, seed);
}

static rt_result add_parsed(const rp_format *format, rp_text object, uint64_t seed, rpi_calls *calls)
{
    rp_text name = rpi_json_member(object, "name"), arguments = rpi_json_member(object, format->call_arguments);
    if (arguments.size == 0)
        arguments = rpi_json_member(object, "arguments");
    if (arguments.size == 0)
        arguments = rpi_json_member(object, "parameters");
    if (rpi_json_kind(name) != '"' || (arguments.size && rpi_json_kind(arguments) != '{'))
        return rpi_prompt_fail(&calls->json.host, RT_ERROR_BAD_TEXT,
                               "prompt: calls: one without a name, or whose arguments are no object");
    return add_call(calls, name, false, arguments, rpi_json_member(object, "id"), seed);
}

static rp_text find(rp_text text, const char *needle)
{
    rp_text found = {0};
    size_t length = strlen(needle);
    const char *at = length && text.size >= length ? memmem(text.data, text.size, needle, length) : NULL;
    if (at)
        found = (rp_text){at, text.size - (size_t)(at - text.data)};
    return found;
}

static rp_text skip(rp_text text, size_t count)
{
    return (rp_text){text.data + count, text.size - count};
}

// One JSON value at the front of `rest`; moves past it.
static rt_result take_value(rpi_calls *calls, rp_text *rest, rp_text *value)
{
    const char *after = rest->size ? rpi_json_skip(rest->data, rest->data + rest->size) : NULL;
    if (!after)
        return rpi_prompt_fail(&calls->json.host, RT_ERROR_BAD_TEXT,
                               "prompt: calls: a call was cut off, or is no JSON");
    *value = (rp_text){rest->data, (size_t)(after - rest->data)};
    *rest = skip(*rest, value->size);
    return RT_OK;
}

// The text marker of a format without the white space that ends it: models are not strict about that.
static size_t marker_of(const rp_format *format, char marker[64])
{
    const char *text = format->calls == RP_CALLS_MISTRAL  ? "[TOOL_CALLS]"
                       : format->calls == RP_CALLS_LLAMA3 ? ""
                                                          : format->call_prefix;
    size_t length = strlen(text);
    while (length && strchr(" \n\t", text[length - 1]))
        length--;
    if (length > 63)
        length = 63;
    memcpy(marker, text, length);
    marker[length] = 0;
    return length;
}

rt_result rpi_calls_parse(const rp_format *format, rp_text reply, bool triggered, uint64_t seed, rpi_calls *calls)
{
    calls->count = 0;
    calls->json.size = 0;
    calls->json.result = RT_OK;
    calls->before = triggered ? (rp_text){reply.data, 0} : reply;
    if (format->calls == RP_CALLS_CHOOSE)
        return RT_OK;
    char marker[64];
    size_t length = marker_of(format, marker);
    rp_text rest = reply;
    bool whole = format->calls == RP_CALLS_LLAMA3;
    if (whole && rpi_json_kind(reply) != '{')
        return RT_OK;
    if (whole)
        calls->before.size = 0;
    for (bool at_call = triggered || whole; rest.size;) {
        if (!at_call) {
            rp_text found = find(rest, marker);
            if (found.size == 0)
                return RT_OK;
            if (calls->count == 0)
                calls->before.size = (size_t)(found.data - reply.data);
            rest = skip(found, length);
        }
        at_call = false;
        rp_text value = { 0 };
        rt_result result = take_value(calls, &rest, &value);
        rpi_json_walk walk = rpi_json_begin(value);
        if (result == RT_OK && walk.is_object)
            result = add_parsed(format, value, seed, calls);
        else if (result == RT_OK && rpi_json_kind(value) == '[')
            while (result == RT_OK && rpi_json_next(&walk))
                result = add_parsed(format, walk.value, seed, calls);
        else if (result == RT_OK)
            result =
                rpi_prompt_fail(&calls->json.host, RT_ERROR_BAD_TEXT, "prompt: calls: neither an object nor a list");
        if (result != RT_OK || whole)
            return result;
    }
    return RT_OK;
}

void rpi_calls_free(rpi_calls *calls)
{
    rpi_text_free(&calls->json);
    calls->count = 0;
}

rp_text rpi_calls_arguments(const rpi_calls *calls, int index)
{
    return (rp_text){calls->json.data + calls->list[index].arguments, calls->list[index].arguments_size};
}

rp_text rpi_calls_id(const rpi_calls *calls, int index)
{
    return (rp_text){calls->json.data + calls->list[index].id, RPI_CALL_ID_SIZE};
}

void rpi_calls_name(const rpi_calls *calls, int index, rpi_text *name)
{
    rpi_json_decode_string(name,
                           (rp_text){calls->json.data + calls->list[index].name - 1, calls->list[index].name_size + 2});
}
