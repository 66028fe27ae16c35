// repartee bench tokens: the tokenizer's speed, on prose and on its worst case.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the text is drawn from, the usual words first.
static const char vocabulary[] =
    "the of and to a in is it you that he was for on are with as I his they be at one have this from or had "
    "by hot but some what there we can out other were all your when up use word how said an each she which "
    "do their time if will way about many then them would write like so these her long make thing see him "
    "two has look more day could go come did my sound no most number who over know water than call first "
    "people may down side been now find any new work part take get place made live where after back little "
    "only round man year came show every good me give our under name very through just form much great think "
    "say help low line before turn cause same mean differ move right boy old too does tell sentence set "
    "three want air well also play small end put home read hand port large spell add even land here must big "
    "high such follow act why ask men change went light kind off need house picture try us again animal "
    "point mother world near build self earth father head stand own page should country found answer school "
    "grow study still learn plant cover food sun four thought let keep eye never last door between city tree "
    "cross since hard start might story saw far sea draw left late run don't while press close night real "
    "life few stop open seem together next white children begin got walk example ease paper often always "
    "music those both mark book letter until mile river car feet care second group carry took rain eat room "
    "friend began idea fish mountain north once base hear horse cut sure watch color face wood main enough "
    "plain girl usual young ready above ever red list though feel talk bird soon body dog family direct pose "
    "leave song measure state product black short numeral class wind question happen complete ship area half "
    "rock order fire south problem piece told knew pass farm top whole king size heard best hour better true "
    "during hundred am remember step early hold west ground interest reach fast five sing listen six table "
    "travel less morning ten simple several vowel toward war lay against pattern slow center love person "
    "money serve appear road map science rule govern pull cold notice voice fall power town fine certain fly "
    "unit lead cry dark machine innkeeper lantern stranger tavern silver harbour cellar whispered "
    "counterfeit merchant's unforgettable apprenticeship candlelight blacksmith ferryman's disagreeable "
    "quartermaster nevertheless acquaintance thunderstorm Marta Lysa Griffin Harrowmere Aldric Thornwick "
    "it's they've we'll wouldn't ";

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

// What texts are made of that say one thing over and over.
static const char *const repeated[] = {"a", "A", " ", "\n", "!", "1", "ab", "\xC3\xA9", "\xCC\x81", "\xE4\xB8\x96", "\xF0\x9F\x98\x80"};

// The longest time over the texts of one character, as long as the prose.
static bool measure_worst(const rt_tokenizer *tokenizer, size_t size, int64_t runs, double *seconds)
{
    char *text = malloc(size);
    bool done = text;
    *seconds = 0;
    for (size_t i = 0; done && i < sizeof repeated / sizeof *repeated; i++) {
        size_t length = strlen(repeated[i]);
        for (size_t at = 0; at + length <= size; at += length)
            memcpy(text + at, repeated[i], length);
        speed same;
        done = measure(tokenizer, text, size / length * length, runs, &same);
        *seconds = same.seconds > *seconds ? same.seconds : *seconds;
    }
    free(text);
    return done;
}

static int run(const rt_tokenizer *tokenizer, const char *text, size_t size, int64_t runs, bool as_json)
{
    speed normal;
    double worst;
    if (!measure(tokenizer, text, size, runs, &normal) || !measure_worst(tokenizer, size, runs, &worst))
        return failure("bench tokens", NULL);
    json_t *out =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "bytes", (json_int_t)size, "tokens", (json_int_t)normal.tokens,
                  "encode_tokens_per_second", json_figure((double)normal.tokens / normal.seconds),
                  "encode_megabytes_per_second", json_figure((double)size / normal.seconds * 1e-6),
                  "decode_tokens_per_second", json_figure((double)normal.tokens / normal.decode_seconds),
                  "one_character_time_ratio", json_figure(worst / normal.seconds));
    if (as_json)
        return print_answer("bench tokens", out);
    const char *key;
    json_t *value;
    json_object_foreach(out, key, value) printf("%-30s %.6g\n", key, json_number_value(value));
    json_decref(out);
    return EXIT_DONE;
}

static uint32_t draw(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 32) * limit >> 32);
}

// The next word; how long it is with the space behind it.
static size_t draw_word(uint64_t *state, const char *words[], size_t count, char *out)
{
    if (draw(state, 40) == 0)
        return (size_t)sprintf(out, "%u ", draw(state, 3000));
    size_t at = draw(state, (uint32_t)count), skewed = at * draw(state, (uint32_t)count) / count; // usual words more often
    const char *word = words[skewed];
    size_t length = strcspn(word, " ");
    memcpy(out, word, length);
    out[length] = ' ';
    return length + 1;
}

// Sentences of words at random: not English, but as a tokenizer sees it much like it. The same at each run.
static char *make_english(size_t size)
{
    char *text = malloc(size + 64);
    const char *words[1024];
    size_t count = 0;
    for (const char *at = vocabulary; *at && count < 1024; at += strcspn(at, " ") + 1)
        words[count++] = at;
    uint64_t state = 1;
    for (size_t used = 0; text && used < size;) {
        size_t begin = used;
        for (uint32_t left = 4 + draw(&state, 16); left > 0 && used < size; left--) {
            used += draw_word(&state, words, count, text + used);
            if (left > 1 && draw(&state, 9) == 0) {
                text[used - 1] = ',';
                text[used++] = ' ';
            }
        }
        text[begin] = (char)toupper((unsigned char)text[begin]);
        text[used - 1] = ".?!."[draw(&state, 4)];
        text[used++] = draw(&state, 6) ? ' ' : '\n';
    }
    return text;
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
    *size = TEXT_BYTES;
    return make_english(TEXT_BYTES);
}

int command_bench_tokens(int argc, char **argv)
{
    tokenizer_options source = {0};
    const char *text_path = NULL;
    int64_t runs = 5;
    bool as_json = false;
    const option options[] = {
        TOKENIZER_OPTIONS(source),
        {"text", OPTION_TEXT, &text_path, "FILE", "what is encoded; without it: a megabyte of English words", 0, 0},
        {"runs", OPTION_INTEGER, &runs, "N", "the fastest of these counts, default 5", 1, 1000},
        {"json", OPTION_FLAG, &as_json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "bench tokens",
        .usage = "[--model FILE | --tokenizer FILE] [--text FILE] [--json]",
        .about = "Measures encoding and decoding on one thread, and how much longer the same number of bytes takes at\n"
                 "most when all of it is one character: letters, a space, a line end, a digit, é, a mark, 世, an emoji, ab.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_tokenizer *opened;
    exit_code = open_tokenizer("bench tokens", &source, &opened);
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
