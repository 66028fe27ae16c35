// repartee bench tokens: the tokenizer's speed, on prose and on its worst case.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

static const char prose[] = "The innkeeper wiped the counter with a cloth that had seen better years, and looked at "
                            "the stranger over the rim of "
                            "her spectacles. \"You will want a room,\" she said, \"and you will want it cheap. I have "
                            "one of the two: 3 silver a "
                            "night, breakfast included, and the window doesn't close.\" Outside, rain fell on the "
                            "harbour as if it meant to fill it.\n";

#define TEXT_BYTES (1 << 20)

typedef struct speed {
    size_t tokens;
    double seconds, decode_seconds;
} speed;

// The fastest of several runs over a text.
static bool measure(const rt_tokenizer *tokenizer, const char *text, size_t size, int64_t runs, speed *best)
{
    rt_token *ids = malloc((size + 2) * sizeof *ids);
    size_t capacity = rt_tokenizer_longest_piece(tokenizer) * 3 + 16;
    char *piece = malloc(capacity);
    bool done = ids && piece;
    *best = (speed){0};
    for (int64_t run = 0; done && run < runs; run++) {
        uint64_t start = clock_ns();
        done = rt_tokenizer_encode(tokenizer, text, size, false, ids, size + 2, &best->tokens) == RT_OK;
        double seconds = (double)(clock_ns() - start) * 1e-9;
        rt_text_stream stream = {0};
        start = clock_ns();
        for (size_t i = 0; done && i < best->tokens; i++) {
            size_t length;
            done = rt_text_stream_push(&stream, tokenizer, ids[i], piece, capacity, &length) == RT_OK;
        }
        double decode = (double)(clock_ns() - start) * 1e-9;
        best->seconds = run == 0 || seconds < best->seconds ? seconds : best->seconds;
        best->decode_seconds = run == 0 || decode < best->decode_seconds ? decode : best->decode_seconds;
    }
    free(ids);
    free(piece);
    return done;
}

static int run(const rt_tokenizer *tokenizer, const char *text, size_t size, int64_t runs, bool as_json)
{
    char *worst = malloc(size);
    if (!worst)
        return failure("bench tokens", "out of memory");
    memset(worst, 'a', size);
    speed normal, same;
    bool done = measure(tokenizer, text, size, runs, &normal) && measure(tokenizer, worst, size, runs, &same);
    free(worst);
    if (!done)
        return failure("bench tokens", NULL);
    json_t *out =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "bytes", (json_int_t)size, "tokens", (json_int_t)normal.tokens,
                  "encode_tokens_per_second", json_figure((double)normal.tokens / normal.seconds),
                  "encode_megabytes_per_second", json_figure((double)size / normal.seconds * 1e-6),
                  "decode_tokens_per_second", json_figure((double)normal.tokens / normal.decode_seconds),
                  "one_character_time_ratio", json_figure(same.seconds / normal.seconds));
    if (as_json)
        return print_json(out) ? EXIT_DONE : failure("bench tokens", "cannot write to stdout");
    const char *key;
    json_t *value;
    json_object_foreach(out, key, value) printf("%-30s %.6g\n", key, json_number_value(value));
    json_decref(out);
    return EXIT_DONE;
}

static char *make_text(const char *path, size_t *size)
{
    if (path) {
        FILE *file = fopen(path, "rb");
        char *text = file ? read_all(file, size) : NULL;
        if (file)
            fclose(file);
        return text;
    }
    char *text = malloc(TEXT_BYTES);
    *size = TEXT_BYTES;
    for (size_t at = 0; text && at < TEXT_BYTES; at += sizeof prose - 1)
        memcpy(text + at, prose, at + sizeof prose - 1 <= TEXT_BYTES ? sizeof prose - 1 : TEXT_BYTES - at);
    return text;
}

int command_bench_tokens(int argc, char **argv)
{
    const char *model = NULL, *tokenizer = NULL, *text_path = NULL;
    int64_t runs = 5;
    bool as_json = false;
    const option options[] = {
        {"model", OPTION_TEXT, &model, "FILE", "a model file or folder whose tokenizer is used", 0, 0},
        {"tokenizer", OPTION_TEXT, &tokenizer, "FILE", "tekken.json, tokenizer.json, a SentencePiece .model, a .gguf",
         0, 0},
        {"text", OPTION_TEXT, &text_path, "FILE", "what is encoded; without it: a megabyte of English", 0, 0},
        {"runs", OPTION_INTEGER, &runs, "N", "the fastest of these counts, default 5", 1, 1000},
        {"json", OPTION_FLAG, &as_json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        "bench tokens",
        "[--model FILE | --tokenizer FILE] [--text FILE] [--json]",
        "Measures encoding and decoding on one thread, and how much longer the same number of bytes takes when\n"
        "all of them are one letter.",
        options,
        OPTION_COUNT(options),
        0,
        0,
        NULL,
        0};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_tokenizer *opened;
    exit_code = open_tokenizer("bench tokens", model, tokenizer, &opened);
    if (exit_code != EXIT_DONE)
        return exit_code;
    size_t size;
    char *text = make_text(text_path, &size);
    exit_code = text && size
                    ? run(opened, text, size, runs, as_json)
                    : failure("bench tokens", "%s: cannot be read, or is empty", text_path ? text_path : "the text");
    free(text);
    rt_tokenizer_close(opened);
    return exit_code;
}
