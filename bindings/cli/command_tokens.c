// repartee tokens: text to token ids, and back.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>

typedef struct tokens_state {
    const rt_tokenizer *tokenizer;
    rt_token *ids;
    size_t capacity;
    char *piece;
    size_t piece_capacity;
} tokens_state;

static json_t *encode_line(tokens_state *state, const json_t *record, char problem[256])
{
    const json_t *text = json_object_get(record, "text");
    if (!json_is_string(text)) {
        snprintf(problem, 256, "an object with \"text\" was expected");
        return NULL;
    }
    size_t size = json_string_length(text), count;
    if (size + 2 > state->capacity) {
        rt_token *grown = realloc(state->ids, (size + 2) * sizeof *grown);
        if (!grown) {
            snprintf(problem, 256, "no memory for %zu tokens", size + 2);
            return NULL;
        }
        state->ids = grown;
        state->capacity = size + 2;
    }
    if (rt_tokenizer_encode(state->tokenizer, json_string_value(text), size, false, state->ids, state->capacity,
                            &count) != RT_OK) {
        snprintf(problem, 256, "%s", rt_error_message());
        return NULL;
    }
    json_t *ids = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(ids, json_integer(state->ids[i]));
    return json_pack("{s:o}", "ids", ids);
}

static json_t *decode_line(tokens_state *state, const json_t *record, char problem[256])
{
    const json_t *ids = json_object_get(record, "ids"), *id;
    if (!json_is_array(ids)) {
        snprintf(problem, 256, "an object with \"ids\" was expected");
        return NULL;
    }
    rt_text_stream stream = {0};
    char *text = NULL;
    size_t length = 0, index;
    FILE *out = open_memstream(&text, &length);
    json_array_foreach((json_t *)ids, index, id)
    {
        json_int_t value = json_integer_value(id);
        size_t size = 0;
        if (!json_is_integer(id) || value < 0 || value >= rt_tokenizer_vocab_size(state->tokenizer)) {
            snprintf(problem, 256, "ids: number %zu is no token of this vocabulary", index + 1);
            break;
        }
        if (rt_text_stream_push(&stream, state->tokenizer, (rt_token)value, state->piece, state->piece_capacity,
                                &size) != RT_OK) {
            snprintf(problem, 256, "%s", rt_error_message());
            break;
        }
        fwrite(state->piece, 1, size, out);
    }
    char rest[12];
    fwrite(rest, 1, rt_text_stream_flush(&stream, rest), out);
    fclose(out);
    json_t *result = problem[0] ? NULL : json_pack("{s:o}", "text", json_stringn(text, length));
    free(text);
    return result;
}

// Every line gets one line back, so that a caller never loses count: a bad one gets {"error": ...}.
static int serve_lines(tokens_state *state, bool decode)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    long number = 0;
    int exit_code = EXIT_DONE;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        number++;
        char problem[256] = "";
        json_error_t error;
        json_t *record = json_loadb(line, (size_t)length, JSON_ALLOW_NUL, &error);
        json_t *answer = NULL;
        if (!record)
            snprintf(problem, sizeof problem, "not JSON: %s", error.text);
        else
            answer = decode ? decode_line(state, record, problem) : encode_line(state, record, problem);
        json_decref(record);
        if (!answer) {
            exit_code = failure("tokens", "line %ld: %s", number, problem[0] ? problem : "out of memory");
            answer = json_pack("{s:s}", "error", problem[0] ? problem : "out of memory");
        }
        if (!print_json(answer)) {
            exit_code = failure("tokens", "cannot write to stdout");
            break;
        }
    }
    free(line);
    return exit_code;
}

int command_tokens(int argc, char **argv)
{
    tokenizer_options source = {0};
    bool decode = false;
    const option options[] = {
        TOKENIZER_OPTIONS(source),
        {"decode", OPTION_FLAG, &decode, "", "the way back: {\"ids\":[..]} to {\"text\":..}", 0, 0},
    };
    command_line line = {
        .command = "tokens",
        .usage = "--model FILE | --tokenizer FILE [--decode]",
        .about = "Reads lines {\"text\":..} on stdin and writes a line {\"ids\":[..]} for each. All of a text is plain\n"
                 "text: special tokens are never recognised in it, and no beginning or end is added.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_tokenizer *opened;
    exit_code = open_tokenizer("tokens", &source, &opened);
    if (exit_code != EXIT_DONE)
        return exit_code;
    tokens_state state = {.tokenizer = opened, .piece_capacity = rt_tokenizer_longest_piece(opened) * 3 + 16};
    state.piece = malloc(state.piece_capacity);
    exit_code = state.piece ? serve_lines(&state, decode) : failure("tokens", "out of memory");
    free(state.piece);
    free(state.ids);
    rt_tokenizer_close(opened);
    return exit_code;
}
