// repartee mask: schemas and instances stepped token by token through the masks, as MaskBench does, with the times.
//
// Each instance is written with ", " and ": " between its items and without \u escapes, tokenised, and stepped: compute the
// mask, test the token's bit, commit. The end token is not tested. Numbers and strings keep the spelling of the file, so the
// text is rewritten here rather than parsed and printed.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "rt/grammar.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct figures {
    uint32_t *ns;
    size_t count, capacity;
} figures;

typedef struct mask_run {
    rt_tokenizer *tokenizer;
    rt_vocabulary *vocabulary;
    rt_json_spacing spacing;
    bool any_order, cpu_time;
    uint32_t budget_us; // 0: masks and grammars in one go; otherwise what is measured is steps
    int verify; // every so many masks are compared with the matcher, token by token; 0: none
    FILE *each;
    uint32_t *words;
    figures compile, mask;
    long schemas, compile_failures, false_accepts, false_rejects, clean, instances, disagreements, verified;
    size_t largest_grammar;
    uint64_t memory;
} mask_run;

// ---------------------------------------------------------------------------------------------------------------------
// JSON text as it stands
// ---------------------------------------------------------------------------------------------------------------------

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
        at++;
    return at;
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
    }
    return *at ? at + 1 : at;
}

// The end of the value at `at`. Valid JSON only: the line was checked before.
static const char *skip_value(const char *at)
{
    int depth = 0;
    do {
        at = skip_space(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            while (*at && !strchr(",:{}[] \t\r\n\"", *at))
                at++;
        }
    } while (depth > 0 && *at);
    return at;
}

// The value of a member of the object at `at`, or NULL.
static const char *member(const char *at, const char *name)
{
    at = skip_space(at + 1);
    while (*at == '"') {
        const char *key = at + 1;
        at = skip_string(at);
        bool found = strlen(name) == (size_t)(at - 1 - key) && memcmp(key, name, strlen(name)) == 0;
        at = skip_space(skip_space(at) + 1);
        if (found)
            return at;
        at = skip_space(skip_value(at));
        if (*at == ',')
            at = skip_space(at + 1);
    }
    return NULL;
}

static size_t put_code(uint32_t code, char *out)
{
    static const char names[] = "btnvfr";
    if (code < 0x20) {
        char name = code >= 8 && code <= 13 && code != 11 ? names[code - 8] : 0;
        if (name)
            return (size_t)sprintf(out, "\\%c", name);
        return (size_t)sprintf(out, "\\u%04x", code);
    }
    if (code == '"' || code == '\\')
        return (size_t)sprintf(out, "\\%c", (char)code);
    if (code < 0x80)
        return (size_t)sprintf(out, "%c", (char)code);
    size_t used = 0;
    if (code < 0x800) {
        out[used++] = (char)(0xC0 | code >> 6);
    } else if (code < 0x10000) {
        out[used++] = (char)(0xE0 | code >> 12);
        out[used++] = (char)(0x80 | (code >> 6 & 63));
    } else {
        out[used++] = (char)(0xF0 | code >> 18);
        out[used++] = (char)(0x80 | (code >> 12 & 63));
        out[used++] = (char)(0x80 | (code >> 6 & 63));
    }
    out[used++] = (char)(0x80 | (code & 63));
    return used;
}

static const char *write_string(const char *at, char *out, size_t *used)
{
    out[(*used)++] = *at++;
    while (*at && *at != '"') {
        if (at[0] != '\\') {
            out[(*used)++] = *at++;
        } else if (at[1] != 'u') {
            if (at[1] == '/')
                at++;
            else
                out[(*used)++] = *at++;
            out[(*used)++] = *at++;
        } else {
            char digits[5] = {at[2], at[3], at[4], at[5], 0};
            uint32_t code = (uint32_t)strtoul(digits, NULL, 16);
            at += 6;
            if (code >= 0xD800 && code < 0xDC00 && at[0] == '\\' && at[1] == 'u') {
                memcpy(digits, at + 2, 4);
                code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)strtoul(digits, NULL, 16) - 0xDC00);
                at += 6;
            }
            *used += put_code(code, out + *used);
        }
    }
    out[(*used)++] = '"';
    return at + 1;
}

// The value [at, end) with one space behind commas and colons and no needless escape. The caller frees.
static char *respace(const char *at, const char *end, size_t *size)
{
    char *out = malloc((size_t)(end - at) * 2 + 16);
    size_t used = 0;
    while (out && at < end) {
        if (*at == '"') {
            at = write_string(at, out, &used);
        } else if (*at == ',' || *at == ':') {
            out[used++] = *at++;
            out[used++] = ' ';
        } else if (*at == ' ' || *at == '\t') {
            at++;
        } else {
            out[used++] = *at++;
        }
    }
    *size = used;
    return out;
}

// ---------------------------------------------------------------------------------------------------------------------
// Stepping
// ---------------------------------------------------------------------------------------------------------------------

static bool add_figure(figures *f, uint64_t ns)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 4096;
        uint32_t *grown = realloc(f->ns, capacity * sizeof *grown);
        if (!grown)
            return false;
        f->ns = grown;
        f->capacity = capacity;
    }
    f->ns[f->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    return true;
}

static uint64_t time_of(const mask_run *run)
{
    struct timespec now;
    if (!run->cpu_time)
        return clock_ns();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// A mask, in one go or in steps, with the time of each.
static bool compute_mask(mask_run *run, rt_matcher *matcher)
{
    bool done = false;
    while (!done) {
        uint64_t start = time_of(run);
        rt_result result = run->budget_us > 0 ? rt_matcher_mask_step(matcher, run->words, run->budget_us, &done)
                                              : rt_matcher_mask(matcher, run->words);
        uint64_t end = time_of(run);
        done |= run->budget_us == 0;
        if (result != RT_OK || !add_figure(&run->mask, end - start))
            return false;
    }
    return true;
}

static rt_result compile_in_steps(mask_run *run, const rt_grammar_def *def, rt_grammar **grammar)
{
    rt_grammar_compilation *compilation = NULL;
    rt_result result = rt_grammar_compilation_begin(run->vocabulary, def, &compilation);
    for (bool done = false; result == RT_OK && !done;) {
        uint64_t start = time_of(run);
        result = rt_grammar_compilation_step(compilation, run->budget_us, &done, grammar);
        add_figure(&run->compile, time_of(run) - start);
    }
    rt_grammar_compilation_destroy(compilation);
    return result;
}

// Tokens on which a mask and the matcher disagree. The end tokens' bits are the matcher's as well.
static long verify_mask(rt_matcher *matcher, const uint32_t *words, int32_t vocab_size)
{
    long wrong = 0;
    for (rt_token id = 0; id < vocab_size; id++)
        wrong += ((words[id / 32] >> (id % 32) & 1) != 0) != rt_matcher_allows(matcher, id);
    return wrong;
}

// 1: accepted, 0: refused, -1: failed.
static int step_instance(mask_run *run, rt_grammar *grammar, const char *text, size_t size)
{
    size_t count = 0;
    rt_token *ids = malloc((size + 1) * sizeof *ids);
    rt_matcher *matcher = NULL;
    int accepted = -1;
    if (ids && rt_tokenizer_encode(run->tokenizer, text, size, true, ids, size + 1, &count) == RT_OK &&
        rt_matcher_create(grammar, NULL, &matcher) == RT_OK) {
        accepted = 1;
        for (size_t i = 0; i < count && accepted == 1; i++) {
            if (!compute_mask(run, matcher)) {
                accepted = -1;
                break;
            }
            if (run->verify > 0 && run->mask.count % (size_t)run->verify == 0) {
                run->verified++;
                run->disagreements += verify_mask(matcher, run->words, rt_tokenizer_vocab_size(run->tokenizer));
            }
            bool allowed = (run->words[ids[i] / 32] >> (ids[i] % 32) & 1) != 0;
            bool committed = rt_matcher_commit(matcher, ids[i]) == RT_OK;
            if (allowed != committed)
                run->disagreements++;
            accepted = allowed && committed;
        }
    }
    rt_matcher_destroy(matcher);
    free(ids);
    return accepted;
}

static void step_tests(mask_run *run, rt_grammar *grammar, const char *tests, long *accepts, long *rejects, json_t *each)
{
    const char *at = skip_space(tests + 1);
    for (int index = 0; *at == '{'; index++) {
        const char *data = member(at, "data"), *valid = member(at, "valid");
        bool expected = valid && *valid == 't';
        size_t size = 0;
        char *text = data ? respace(data, skip_value(data), &size) : NULL;
        int accepted = text ? step_instance(run, grammar, text, size) : -1;
        free(text);
        run->instances++;
        if (accepted < 0 && each)
            json_object_set_new(each, "failed", json_string(rt_error_message()));
        if (accepted == 1 && !expected) {
            ++*accepts;
            if (each)
                json_object_set_new(each, "accepted", json_integer(index));
        }
        if (accepted != 1 && expected) {
            ++*rejects;
            if (each)
                json_object_set_new(each, "refused", json_integer(index));
        }
        at = skip_space(skip_value(at));
        if (*at == ',')
            at = skip_space(at + 1);
    }
}

static void step_line(mask_run *run, const char *line)
{
    const char *schema = member(line, "schema"), *tests = member(line, "tests"), *id = member(line, "id");
    json_t *each = run->each ? json_object() : NULL;
    if (each && id && *id == '"')
        json_object_set_new(each, "id", json_stringn(id + 1, (size_t)(skip_string(id) - id) - 2));
    run->schemas++;
    rt_grammar_def def = rt_default_grammar_def();
    def.kind = RT_GRAMMAR_JSON_SCHEMA;
    def.text = schema ? schema : "";
    def.text_size = schema ? (size_t)(skip_value(schema) - schema) : 0;
    def.spacing = run->spacing;
    def.any_property_order = run->any_order;
    rt_grammar *grammar = NULL;
    size_t masks_before = run->mask.count;
    uint64_t start = time_of(run);
    rt_result result = run->budget_us > 0 ? compile_in_steps(run, &def, &grammar) : rt_grammar_create(run->vocabulary, &def, &grammar);
    uint64_t end = time_of(run);
    long accepts = 0, rejects = 0;
    if (result != RT_OK) {
        run->compile_failures++;
        if (each)
            json_object_set_new(each, "compile_error", json_string(rt_error_message()));
    } else {
        if (run->budget_us == 0)
            add_figure(&run->compile, end - start);
        size_t memory = rt_grammar_memory(grammar);
        run->memory += memory;
        if (memory > run->largest_grammar)
            run->largest_grammar = memory;
        if (tests && *tests == '[')
            step_tests(run, grammar, tests, &accepts, &rejects, each);
        if (accepts == 0 && rejects == 0)
            run->clean++;
    }
    run->false_accepts += accepts;
    run->false_rejects += rejects;
    if (each) {
        json_object_set_new(each, "false_accepts", json_integer(accepts));
        json_object_set_new(each, "false_rejects", json_integer(rejects));
        json_object_set_new(each, "compile_us", json_real((double)(end - start) / 1e3));
        uint32_t slowest = 0;
        for (size_t i = masks_before; i < run->mask.count; i++)
            slowest = run->mask.ns[i] > slowest ? run->mask.ns[i] : slowest;
        json_object_set_new(each, "mask_us_max", json_real(slowest / 1e3));
        char *text = json_dumps(each, JSON_COMPACT);
        if (text)
            fprintf(run->each, "%s\n", text);
        free(text);
        json_decref(each);
    }
    rt_grammar_release(grammar);
}

// ---------------------------------------------------------------------------------------------------------------------
// Reporting
// ---------------------------------------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

typedef struct summary {
    double mean, p50, p99, p999, max;
} summary;

static summary summarise(figures *f)
{
    summary s = {0};
    if (f->count == 0)
        return s;
    qsort(f->ns, f->count, sizeof *f->ns, by_size);
    double total = 0;
    for (size_t i = 0; i < f->count; i++)
        total += f->ns[i];
    s.mean = total / (double)f->count / 1e3;
    s.p50 = f->ns[f->count * 50 / 100] / 1e3;
    s.p99 = f->ns[f->count * 99 / 100] / 1e3;
    s.p999 = f->ns[f->count * 999 / 1000] / 1e3;
    s.max = f->ns[f->count - 1] / 1e3;
    return s;
}

static bool write_times(const mask_run *run, const char *path)
{
    FILE *file = open_output("mask", path);
    if (!file)
        return false;
    for (size_t i = 0; i < run->compile.count; i++)
        fprintf(file, "compile %u\n", (unsigned)run->compile.ns[i]);
    for (size_t i = 0; i < run->mask.count; i++)
        fprintf(file, "mask %u\n", (unsigned)run->mask.ns[i]);
    return close_output("mask", path, file);
}

static json_t *summary_json(summary s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "mean", json_figure(s.mean), "p50", json_figure(s.p50), "p99",
                     json_figure(s.p99), "p999", json_figure(s.p999), "max", json_figure(s.max));
}

static bool report(mask_run *run, bool as_json)
{
    summary mask = summarise(&run->mask), compile = summarise(&run->compile);
    if (as_json) {
        return print_json(json_pack(
            "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:I,s:I,s:I}", "schemas", (json_int_t)run->schemas, "compile_failures",
            (json_int_t)run->compile_failures, "false_accepts", (json_int_t)run->false_accepts, "false_rejects",
            (json_int_t)run->false_rejects, "clean", (json_int_t)run->clean, "instances", (json_int_t)run->instances, "masks",
            (json_int_t)run->mask.count, "disagreements", (json_int_t)run->disagreements, "verified",
            (json_int_t)run->verified, "mask_us", summary_json(mask),
            "compile_us", summary_json(compile), "vocabulary_bytes", (json_int_t)rt_vocabulary_memory(run->vocabulary),
            "grammar_bytes_mean", (json_int_t)(run->schemas > run->compile_failures ? run->memory / (uint64_t)(run->schemas - run->compile_failures) : 0),
            "grammar_bytes_max", (json_int_t)run->largest_grammar));
    }
    printf("%ld schemas, %ld refused, %ld clean; %ld instances, %ld wrongly accepted, %ld wrongly refused\n", run->schemas,
           run->compile_failures, run->clean, run->instances, run->false_accepts, run->false_rejects);
    if (run->verify > 0)
        printf("%ld masks compared token by token: %ld disagreements\n", run->verified, run->disagreements);
    printf("mask     mean %.2f  p50 %.2f  p99 %.2f  p99.9 %.2f  max %.2f us  (%zu masks)\n", mask.mean, mask.p50, mask.p99,
           mask.p999, mask.max, run->mask.count);
    printf("compile  mean %.2f  p50 %.2f  p99 %.2f  p99.9 %.2f  max %.2f us\n", compile.mean, compile.p50, compile.p99,
           compile.p999, compile.max);
    return fflush(stdout) == 0;
}

// Steps every line of the file of tests.
static int step_file(mask_run *run, const char *path, FILE *file)
{
    char *text = NULL;
    size_t capacity = 0;
    long number = 0;
    int exit_code = EXIT_DONE;
    json_error_t error;
    while (exit_code == EXIT_DONE && getline(&text, &capacity, file) > 0) {
        number++;
        json_t *record = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
        // A key with U+0000 is JSON, though the library has no room for it.
        bool valid = json_is_object(record) || (!record && json_error_code(&error) == json_error_null_byte_in_key);
        const char *line = skip_space(text);
        if (!valid || *line != '{')
            exit_code = failure("mask", "%s: line %ld: not a JSON object: %s", path, number, error.text);
        else if (!member(line, "schema"))
            exit_code = failure("mask", "%s: line %ld: it has no \"schema\"", path, number);
        else
            step_line(run, line);
        json_decref(record);
    }
    free(text);
    if (exit_code == EXIT_DONE && number == 0)
        exit_code = failure("mask", "%s: it has no lines", path);
    return exit_code;
}

static int run_tests(mask_run *run, const char *tests, const char *each, const char *times, bool as_json)
{
    FILE *file = open_input("mask", tests);
    if (!file)
        return EXIT_FAILED;
    run->each = each ? open_output("mask", each) : NULL;
    run->words = calloc((size_t)rt_tokenizer_vocab_size(run->tokenizer) / 32 + 1, sizeof *run->words);
    int exit_code = each && !run->each ? EXIT_FAILED : EXIT_DONE;
    if (exit_code == EXIT_DONE && !run->words)
        exit_code = failure("mask", "no memory for a mask");
    if (exit_code == EXIT_DONE && rt_vocabulary_create(run->tokenizer, NULL, &run->vocabulary) != RT_OK)
        exit_code = failure("mask", NULL);
    if (exit_code == EXIT_DONE)
        exit_code = step_file(run, tests, file);
    fclose(file);
    if (!close_output("mask", each, run->each) || (exit_code == EXIT_DONE && times && !write_times(run, times)))
        exit_code = EXIT_FAILED;
    if (exit_code == EXIT_DONE && !report(run, as_json))
        exit_code = failure("mask", "cannot write to stdout");
    free(run->words);
    free(run->mask.ns);
    free(run->compile.ns);
    rt_vocabulary_release(run->vocabulary);
    return exit_code;
}

int command_mask(int argc, char **argv)
{
    tokenizer_options source = {0};
    const char *tests = NULL, *each = NULL, *times = NULL, *spacing = "spaced", *order = "any";
    bool as_json = false, cpu_time = false;
    int64_t verify = 0, budget = 0;
    option options[] = {
        TOKENIZER_OPTIONS(source),
        {"tests", OPTION_TEXT, &tests, "FILE", "JSON lines {\"id\", \"schema\", \"tests\": [{\"valid\", \"data\"}]}", 0, 0},
        {"each", OPTION_TEXT, &each, "FILE", "write what came of each schema, one JSON object a line", 0, 0},
        {"times", OPTION_TEXT, &times, "FILE", "write every time in nanoseconds: lines \"compile N\" and \"mask N\"", 0, 0},
        {"spacing", OPTION_CHOICE, &spacing, "spaced|compact|flexible", "white space that the grammars allow", 0, 0},
        {"order", OPTION_CHOICE, &order, "any|schema", "properties in any order (the default) or in the schema's", 0, 0},
        {"verify", OPTION_INTEGER, &verify, "N", "compare every Nth mask with the matcher, token by token (slow)", 0, INT32_MAX},
        {"budget", OPTION_INTEGER, &budget, "US", "compile and mask in steps of so many microseconds, and measure steps", 0, 1000000},
        {"cpu-time", OPTION_FLAG, &cpu_time, NULL, "measure the thread's processor time, not the clock", 0, 0},
        {"json", OPTION_FLAG, &as_json, NULL, "figures as one JSON object", 0, 0},
    };
    command_line line = {.command = "mask",
                         .usage = "--tests FILE [--tokenizer FILE|--model FILE]",
                         .about = "Compiles each schema and steps its instances through the token masks. Says how many were "
                                  "judged wrongly, and how long masks and compiling took.",
                         OPTIONS(options)};
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!tests)
        return usage_error("mask", "--tests is needed");
    mask_run run = {.any_order = order[0] == 'a', .verify = (int)verify, .cpu_time = cpu_time, .budget_us = (uint32_t)budget};
    run.spacing = spacing[0] == 's' ? RT_JSON_SPACED : spacing[0] == 'c' ? RT_JSON_COMPACT : RT_JSON_FLEXIBLE;
    exit_code = open_tokenizer("mask", &source, &run.tokenizer);
    if (exit_code != EXIT_DONE)
        return exit_code;
    exit_code = run_tests(&run, tests, each, times, as_json);
    rt_tokenizer_close(run.tokenizer);
    return exit_code;
}
