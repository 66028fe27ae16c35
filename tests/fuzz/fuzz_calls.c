// Any bytes as what a model replied, as tools and as a conversation's contents: what is read is good JSON and is read alike again
// when it is written as the format writes it; a prompt never has more special tokens than its turns.
// SPDX-License-Identifier: MIT
#include "prompt/calls.h"
#include "prompt/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

// A call that was read is written into a prompt and read again from there: the same names, arguments and ids.
static void read_twice(const rp_format *format, const rpi_calls *calls)
{
    rp_message message = {.role = RP_ROLE_CALLS, .content = {calls->json.data, calls->json.size}};
    rp_prompt prompt;
    need(rp_prompt_render(format, NULL, NULL, &message, 1, NULL, false, &prompt) == RT_OK);
    const char *begin = strstr(prompt.text, format->calls_prefix);
    need(begin != NULL);
    // Llama 3.1 writes each call as a turn of its own: only the first one is read back.
    int expected = format->call_join ? calls->count : 1;
    begin += strlen(format->calls_prefix) - (format->calls == RP_CALLS_MISTRAL);
    size_t length = prompt.text_size - (size_t)(begin - prompt.text);
    rpi_calls again = {0};
    rt_result result = rpi_calls_parse(format, (rp_text){begin, length}, format->calls == RP_CALLS_MISTRAL, 1, &again);
    need(result == RT_OK && again.count == expected);
    for (int i = 0; i < expected; i++) {
        rp_text a = rpi_calls_arguments(calls, i), b = rpi_calls_arguments(&again, i);
        need(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
        if (format->call_ids)
            need(memcmp(rpi_calls_id(calls, i).data, rpi_calls_id(&again, i).data, RPI_CALL_ID_SIZE) == 0);
    }
    rpi_calls_free(&again);
    rp_prompt_free(&prompt);
}

static void read_reply(const rp_format *format, rp_text reply, bool triggered)
{
    rpi_calls calls = {0};
    rt_result result = rpi_calls_parse(format, reply, triggered, reply.size, &calls);
    need(result == RT_OK || result == RT_ERROR_BAD_TEXT || result == RT_ERROR_TOO_LARGE);
    need(calls.count == 0 || rpi_json_is_value(calls.json.data, calls.json.size));
    if (calls.count > 0)
        read_twice(format, &calls);
    rpi_calls_free(&calls);
}

static void use_as_tools(const rp_format *format, const char *tools)
{
    rp_message message = {.role = RP_ROLE_USER, .content = {"Hi", 2}};
    rp_prompt prompt;
    if (rp_prompt_render(format, NULL, NULL, &message, 1, tools, true, &prompt) == RT_OK)
        rp_prompt_free(&prompt);
    rpi_text schema = {0};
    if (format->calls != RP_CALLS_CHOOSE && rpi_call_schema(format, tools, 3, &schema) == RT_OK)
        need(rpi_json_is_value(schema.data, schema.size));
    rpi_text_free(&schema);
}

static void use_as_contents(const rp_format *format, rp_text text)
{
    rp_message messages[] = {
        {.role = RP_ROLE_SYSTEM, .content = text},
        {.role = RP_ROLE_CONTEXT, .content = text},
        {.role = RP_ROLE_USER, .content = text},
        {.role = RP_ROLE_REPLY, .content = text},
        {.role = RP_ROLE_RESULT, .content = text, .name = text, .call_id = text},
    };
    rp_prompt prompt;
    need(rp_prompt_render(format, NULL, NULL, messages, 5, NULL, true, &prompt) == RT_OK);
    need(strlen(prompt.text) <= prompt.text_size);
    rp_prompt_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    copy[size] = 0;
    rp_text text = {copy, size};
    int32_t count;
    const rp_format *formats = rp_format_list(&count);
    for (int32_t i = 0; i < count; i++) {
        if (formats[i].calls != RP_CALLS_CHOOSE) {
            read_reply(&formats[i], text, false);
            read_reply(&formats[i], text, true);
        }
        use_as_tools(&formats[i], copy);
        use_as_contents(&formats[i], text);
    }
    free(copy);
    return 0;
}
