// Calls that models write: found, read, written again, and the schema that keeps them well-formed.
// SPDX-License-Identifier: MIT
#include "prompt/calls.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static rp_text text(const char *string)
{
    return (rp_text){string, strlen(string)};
}

static rt_result parse(const char *format, const char *reply, bool triggered, rpi_calls *calls)
{
    return rpi_calls_parse(rp_format_find(format), text(reply), triggered, 7, calls);
}

static void check_call(const rpi_calls *calls, int index, const char *name, const char *arguments)
{
    rpi_text decoded = {0};
    rpi_calls_name(calls, index, &decoded);
    assert_string_equal(decoded.data, name);
    rpi_text_free(&decoded);
    rp_text given = rpi_calls_arguments(calls, index);
    assert_int_equal(given.size, strlen(arguments));
    assert_memory_equal(given.data, arguments, given.size);
}

static void mistral(void **state)
{
    (void)state;
    rpi_calls calls = {0};
    assert_int_equal(
        parse("mistral-v3-tekken",
              "[{\"name\":\"give.item\",\"arguments\":{\"item\":\"\\u00e9\"}},{\"name\": \"flee\", \"arguments\": {}, "
              "\"id\": \"VvvODy9mT\"}]",
              true, &calls),
        RT_OK);
    assert_int_equal(calls.count, 2);
    assert_int_equal(calls.before.size, 0);
    check_call(&calls, 0, "give.item", "{\"item\": \"\xC3\xA9\"}");
    check_call(&calls, 1, "flee", "{}");
    assert_memory_equal(rpi_calls_id(&calls, 1).data, "VvvODy9mT", 9);
    json_t *json = json_loads(calls.json.data, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_string_length(json_object_get(json_array_get(json, 0), "id")), 9);
    json_decref(json);
    char first[10] = {0};
    memcpy(first, rpi_calls_id(&calls, 0).data, 9);
    // What was read is written again as the model was trained.
    rp_message messages[] = {{.role = RP_ROLE_CALLS, .content = {calls.json.data, calls.json.size}}};
    rp_prompt prompt;
    assert_int_equal(
        rp_prompt_render(rp_format_find("mistral-v3-tekken"), NULL, NULL, messages, 1, NULL, false, &prompt), RT_OK);
    assert_non_null(strstr(
        prompt.text, "[TOOL_CALLS][{\"name\": \"give.item\", \"arguments\": {\"item\": \"\xC3\xA9\"}, \"id\": \""));
    rp_prompt_free(&prompt);
    assert_int_equal(parse("mistral-v3", "Well. [TOOL_CALLS] [{\"name\": \"x\", \"arguments\": {}}]", false, &calls),
                     RT_OK);
    assert_int_equal(calls.count, 1);
    assert_int_equal(calls.before.size, 6);
    assert_memory_equal(rpi_calls_id(&calls, 0).data, first, 9); // the same seed, the same id
    rpi_calls_free(&calls);
}

static void tagged(void **state)
{
    (void)state;
    rpi_calls calls = {0};
    assert_int_equal(
        parse("nemotron-mini",
              "Here.\n<toolcall> {\"name\": \"a\", \"arguments\": {\"x\": 1}} </toolcall>\n<toolcall>{\"name\":\"b\"}"
              "</toolcall>",
              false, &calls),
        RT_OK);
    assert_int_equal(calls.count, 2);
    assert_int_equal(calls.before.size, 6);
    check_call(&calls, 0, "a", "{\"x\": 1}");
    check_call(&calls, 1, "b", "{}");
    assert_int_equal(
        parse("qwen2.5", "<tool_call>\n{\"name\": \"a b\", \"arguments\": {}}\n</tool_call>", false, &calls), RT_OK);
    assert_int_equal(calls.count, 1);
    assert_int_equal(parse("hermes", "{\"name\": \"a\", \"arguments\": {}}", true, &calls), RT_OK);
    assert_int_equal(calls.count, 1);
    assert_int_equal(parse("llama-3.1", "{\"name\": \"a\", \"parameters\": {\"n\": 2}}", false, &calls), RT_OK);
    check_call(&calls, 0, "a", "{\"n\": 2}");
    assert_int_equal(parse("llama-3.1", "A fine day.", false, &calls), RT_OK);
    assert_int_equal(calls.count, 0);
    assert_int_equal(calls.before.size, 11);
    assert_int_equal(parse("chatml", "<tool_call>{\"name\":\"a\"}", false, &calls), RT_OK);
    assert_int_equal(calls.count, 0);
    rpi_calls_free(&calls);
}

static void broken(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "[TOOL_CALLS][{\"name\": \"a\", \"argu",
        "[TOOL_CALLS]",
        "[TOOL_CALLS]3",
        "[TOOL_CALLS][{}]",
        "[TOOL_CALLS][1]",
        "[TOOL_CALLS][{\"name\": 1}]",
        "[TOOL_CALLS][{\"name\": \"a\", \"arguments\": []}]",
    };
    rpi_calls calls = {0};
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        rt_result result = parse("mistral-v3-tekken", replies[i], false, &calls);
        assert_true(result == RT_ERROR_BAD_TEXT || (result == RT_OK && calls.count == 0));
    }
    char many[1000] = "[";
    for (int i = 0; i < 20; i++)
        strcat(many, i ? ",{\"name\":\"a\"}" : "{\"name\":\"a\"}");
    strcat(many, "]");
    assert_int_equal(parse("mistral-v3-tekken", many, true, &calls), RT_ERROR_TOO_LARGE);
    assert_int_equal(calls.count, RPI_MAX_CALLS);
    assert_int_equal(rpi_calls_add(&calls, text("x"), text("{}"), 1), RT_ERROR_TOO_LARGE);
    calls.count = 0;
    calls.json.size = 0;
    assert_int_equal(rpi_calls_add(&calls, text("x"), text("[]"), 1), RT_ERROR_BAD_TEXT);
    assert_int_equal(rpi_calls_add(&calls, text("a \"b\""), text("{\"k\":1}"), 1), RT_OK);
    check_call(&calls, 0, "a \"b\"", "{\"k\": 1}");
    rpi_calls_free(&calls);
}

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"give\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"item\":{\"$ref\":\"#/$defs/i\"}},\"$defs\":{\"i\":{\"type\":\"string\"}}}}},{\"name\":\"flee\"}]";

static void schemas(void **state)
{
    (void)state;
    rpi_text schema = {0};
    assert_int_equal(rpi_call_schema(rp_format_find("mistral-v3-tekken"), tools, 4, &schema), RT_OK);
    json_error_t error;
    json_t *json = json_loads(schema.data, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    json_t *call = json_array_get(json_object_get(json_object_get(json, "items"), "anyOf"), 0);
    json_t *parameters = json_object_get(json_object_get(call, "properties"), "arguments");
    assert_true(json_is_false(json_object_get(parameters, "additionalProperties")));
    json_t *item = json_object_get(json_object_get(parameters, "properties"), "item");
    assert_string_equal(json_string_value(json_object_get(item, "$ref")),
                        "#/items/anyOf/0/properties/arguments/$defs/i");
    assert_int_equal(json_integer_value(json_object_get(json, "maxItems")), 4);
    json_decref(json);
    schema.size = 0;
    assert_int_equal(rpi_call_schema(rp_format_find("llama-3.1"), tools, 1, &schema), RT_OK);
    assert_non_null(strstr(
        schema.data, "\"parameters\": {\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}"));
    schema.size = 0;
    assert_int_equal(rpi_call_schema(rp_format_find("hermes"), "[]", 1, &schema), RT_ERROR_BAD_TEXT);
    assert_int_equal(rpi_call_schema(rp_format_find("hermes"), "[{}]", 1, &schema), RT_ERROR_BAD_TEXT);
    assert_int_equal(rpi_call_schema(rp_format_find("hermes"), "nonsense", 1, &schema), RT_ERROR_BAD_TEXT);
    assert_int_equal(rpi_call_schema(rp_format_find("chatml"), tools, 1, &schema), RT_ERROR_UNSUPPORTED);
    rpi_text_free(&schema);
}

static void syntaxes(void **state)
{
    (void)state;
    rpi_call_syntax syntax;
    assert_int_equal(rpi_call_syntax_of(rp_format_find("nemotron-mini"), NULL, &syntax), RT_OK);
    assert_string_equal(syntax.trigger, "<toolcall> ");
    assert_string_equal(syntax.after, " </toolcall>");
    assert_int_equal(rpi_call_syntax_of(rp_format_find("llama-3.1"), NULL, &syntax), RT_OK);
    assert_true(syntax.whole_reply);
    assert_null(syntax.trigger);
    assert_int_equal(rpi_call_syntax_of(rp_format_find("gemma"), NULL, &syntax), RT_ERROR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistral), cmocka_unit_test(tagged),   cmocka_unit_test(broken),
        cmocka_unit_test(schemas), cmocka_unit_test(syntaxes),
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
