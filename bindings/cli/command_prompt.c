// repartee prompt: a conversation as the model will see it.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>

static int render(const rp_format *format, const rt_tokenizer *tokenizer, const json_t *json, bool open_reply,
                  long number)
{
    char problem[256];
    conversation c;
    if (!conversation_read(json, &c, problem))
        return failure("prompt", "conversation %ld: %s", number, problem);
    if (c.tools && format->tools_place == RP_TOOLS_NOWHERE)
        fprintf(stderr, "repartee prompt: conversation %ld: the format %s has no place for tools: they are left out\n", number,
                format->name);
    rp_prompt prompt;
    rt_result result = rp_prompt_render(format, tokenizer, NULL, c.messages, c.count, c.tools, open_reply, &prompt);
    conversation_free(&c);
    if (result != RT_OK)
        return failure("prompt", "conversation %ld: %s", number, rt_error_message());
    json_t *ids = json_array();
    for (size_t i = 0; i < prompt.count; i++)
        json_array_append_new(ids, json_integer(prompt.ids[i]));
    json_t *out = json_pack("{s:o, s:o, s:s}", "text", json_stringn(prompt.text, prompt.text_size), "ids", ids,
                            "format", format->name);
    rp_prompt_free(&prompt);
    return print_answer("prompt", out);
}

static int list_formats(void)
{
    int32_t count;
    const rp_format *formats = rp_format_list(&count);
    for (int32_t i = 0; i < count; i++)
        printf("%-18s %s\n", formats[i].name, formats[i].description);
    return EXIT_DONE;
}

// One conversation after another, until the end of the input.
static int render_all(const rp_format *format, const rt_tokenizer *tokenizer, bool open_reply)
{
    size_t size;
    char *input = read_all(stdin, &size);
    if (!input)
        return failure("prompt", "cannot read stdin");
    int exit_code = EXIT_DONE;
    long number = 0;
    for (size_t at = 0; exit_code == EXIT_DONE;) {
        while (at < size && strchr(" \t\r\n", input[at]) && input[at])
            at++;
        if (at == size && number > 0)
            break;
        json_error_t error;
        json_t *json = json_loadb(input + at, size - at, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error);
        number++;
        exit_code = json ? render(format, tokenizer, json, open_reply, number)
                         : failure("prompt", "conversation %ld: not JSON: line %d: %s", number, error.line, error.text);
        if (json)
            at += (size_t)error.position;
        json_decref(json);
    }
    free(input);
    return exit_code;
}

int command_prompt(int argc, char **argv)
{
    tokenizer_options source = {0};
    const char *format_name = NULL;
    bool closed = false, list = false;
    const option options[] = {
        TOKENIZER_OPTIONS(source),
        {"format", OPTION_TEXT, &format_name, "NAME", "chat format; without it: found from the model", 0, 0},
        {"closed", OPTION_FLAG, &closed, "", "leave out the beginning of the reply that is to come", 0, 0},
        {"list", OPTION_FLAG, &list, "", "print the formats there are, and stop", 0, 0},
    };
    command_line line = {
        .command = "prompt",
        .usage = "--model FILE | --tokenizer FILE [--format NAME] [--closed]",
        .about = "Reads {\"messages\":[..],\"tools\":[..]} on stdin (one or more, in OpenAI's shape) and writes\n"
                 "{\"text\":..,\"ids\":[..],\"format\":..} for each. Contents are plain text, whatever they spell.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (list)
        return list_formats();
    const rp_format *format = format_name ? rp_format_find(format_name) : NULL;
    if (format_name && !format)
        return usage_error("prompt", "--format: there is no '%s'; repartee prompt --list names them", format_name);
    rt_tokenizer *opened;
    exit_code = open_tokenizer("prompt", &source, &opened);
    if (exit_code != EXIT_DONE)
        return exit_code;
    if (!format && rp_format_detect(opened, &format) != RT_OK)
        exit_code = failure("prompt", NULL);
    else
        exit_code = render_all(format, opened, !closed);
    rt_tokenizer_close(opened);
    return exit_code;
}
