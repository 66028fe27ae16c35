// repartee bench model: tokens a second of prompts and replies, alone, behind a long context, and several at once.
//
// pp128 and pp512: a prompt of so many tokens. tg64: 64 tokens one by one from an empty context; tg64_d512: behind 512.
// batch2 to batch32: so many sequences, 32 tokens each, decoded together (8 and 32 unless --only names others). Logits are computed for every token that is
// decoded and for the last of a prompt; nothing is sampled. Each figure is the median of the runs.
//
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT_ROWS 256
#define MOST_BATCH 32

typedef struct model_bench {
    model_options model;
    const char *precision, *only;
    int64_t runs;
    bool json;
    int32_t vocabulary;
    rt_context *context;
} model_bench;

static rt_token token_at(const model_bench *b, int64_t i)
{
    return (rt_token)((uint64_t)(i + 1) * 7919 % (uint64_t)b->vocabulary);
}

static bool run_prompt(model_bench *b, rt_sequence sequence, int32_t count)
{
    rt_row rows[PROMPT_ROWS];
    for (int32_t done = 0; done < count; done += PROMPT_ROWS) {
        int32_t now = count - done < PROMPT_ROWS ? count - done : PROMPT_ROWS;
        for (int32_t i = 0; i < now; i++)
            rows[i] = (rt_row){.sequence = sequence, .token = token_at(b, done + i), .wants_logits = done + i == count - 1};
        if (rt_context_evaluate(b->context, rows, now, NULL) != RT_OK)
            return false;
    }
    return true;
}

static bool run_decode(model_bench *b, const rt_sequence *sequences, int32_t batch, int32_t steps)
{
    rt_row rows[MOST_BATCH];
    for (int32_t step = 0; step < steps; step++) {
        for (int32_t i = 0; i < batch; i++)
            rows[i] = (rt_row){.sequence = sequences[i], .token = token_at(b, step * 31 + i), .wants_logits = true};
        if (rt_context_evaluate(b->context, rows, batch, NULL) != RT_OK)
            return false;
    }
    return true;
}

typedef struct measurement {
    const char *name;
    int32_t prompt, batch, steps; // prompt tokens, then `steps` tokens of each of `batch` sequences
    bool times_prompt;
    bool on_request; // only where --only names it
} measurement;

static const measurement measurements[] = {
    {"pp128", 128, 0, 0, true, false},      {"pp512", 512, 0, 0, true, false},   {"tg64", 0, 1, 64, false, false},
    {"tg64_d512", 512, 1, 64, false, false}, {"batch2", 0, 2, 32, false, true},   {"batch4", 0, 4, 32, false, true},
    {"batch8", 0, 8, 32, false, false},      {"batch16", 0, 16, 32, false, true}, {"batch32", 0, 32, 32, false, false},
};

// Tokens a second of one run; negative: failed.
static double run_once(model_bench *b, const measurement *m)
{
    rt_sequence sequences[MOST_BATCH];
    int32_t count = m->batch > 0 ? m->batch : 1, made = 0;
    bool done = true;
    while (done && made < count)
        done = rt_sequence_create(b->context, &sequences[made]) == RT_OK && ++made;
    uint64_t start = clock_ns();
    done = done && run_prompt(b, sequences[0], m->prompt);
    uint64_t middle = clock_ns();
    done = done && run_decode(b, sequences, m->batch, m->steps);
    uint64_t end = clock_ns();
    while (made > 0)
        done = rt_sequence_destroy(b->context, sequences[--made]) == RT_OK && done;
    if (!done)
        return -1;
    return m->times_prompt ? m->prompt / ((double)(middle - start) * 1e-9)
                           : (double)(m->batch * m->steps) / ((double)(end - middle) * 1e-9);
}

static bool is_wanted(const model_bench *b, const measurement *m)
{
    const char *name = m->name;
    size_t length = strlen(name);
    for (const char *at = b->only; at && (at = strstr(at, name)); at += length)
        if ((at == b->only || at[-1] == ',') && (at[length] == ',' || !at[length]))
            return true;
    return !b->only && !m->on_request;
}

// Whether each of the names in --only is that of a measurement, or "load".
static bool names_are_known(const char *only)
{
    for (const char *at = only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t length = strcspn(at, ",");
        bool known = length == 4 && strncmp(at, "load", 4) == 0;
        for (size_t i = 0; i < sizeof measurements / sizeof measurements[0]; i++)
            known |= strlen(measurements[i].name) == length && strncmp(at, measurements[i].name, length) == 0;
        if (!known)
            return false;
    }
    return true;
}

static int measure(model_bench *b)
{
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof measurements / sizeof measurements[0]; i++) {
        const measurement *m = &measurements[i];
        samples s = {0};
        if (!is_wanted(b, m))
            continue;
        for (int64_t run = -1; run < b->runs; run++) { // the first warms up
            double speed = run_once(b, m);
            if (speed < 0) {
                json_decref(out);
                samples_free(&s);
                return failure("bench model", NULL);
            }
            if (run >= 0)
                samples_add(&s, speed);
        }
        double median = samples_quantile(&s, 0.5);
        json_object_set_new(out, m->name, json_figure(median));
        if (!b->json)
            printf("%-10s %8.1f tokens/s   (%.1f to %.1f)\n", m->name, median, samples_quantile(&s, 0.0), samples_quantile(&s, 1.0));
        fflush(stdout);
        samples_free(&s);
    }
    rt_model_info info;
    rt_model_get_info(rt_context_model(b->context), &info);
    json_object_set_new(out, "backend", json_string(info.backend));
    json_object_set_new(out, "isa", json_string(rt_isa_name(info.isa)));
    json_object_set_new(out, "precision", json_string(info.precision == RT_PRECISION_EXACT ? "exact" : "fast"));
    json_object_set_new(out, "threads", json_integer(b->model.threads));
    json_object_set_new(out, "runs", json_integer(b->runs));
    json_object_set_new(out, "load_ms", json_figure((double)info.load_microseconds * 1e-3));
    json_object_set_new(out, "file_bytes", json_integer((json_int_t)info.file_bytes));
    json_object_set_new(out, "resident_bytes", json_figure(process_bytes("RssAnon")));
    json_object_set_new(out, "peak_bytes", json_figure(process_bytes("VmHWM")));
    json_object_set_new(out, "packed_bytes", json_integer((json_int_t)info.packed_bytes));
    json_object_set_new(out, "bytes_per_token", json_integer((json_int_t)info.bytes_per_token));
    if (b->json)
        return print_answer("bench model", out);
    json_decref(out);
    return EXIT_DONE;
}

int command_bench_model(int argc, char **argv)
{
    model_bench b = {.model = {.threads = 1}, .runs = 5};
    const option options[] = {
        MODEL_OPTIONS(b.model),
        {"precision", OPTION_CHOICE, &b.precision, "fast|exact", "of activations, default fast", 0, 0},
        {"only", OPTION_TEXT, &b.only, "NAMES", "of pp128,pp512,tg64,tg64_d512,batch2,batch4,batch8,batch16,batch32; load: none",
         0, 0},
        {"runs", OPTION_INTEGER, &b.runs, "N", "the median of these counts, default 5", 1, 1000},
        {"json", OPTION_FLAG, &b.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "bench model",
        .usage = "[OPTION]...",
        .about = "How fast a model reads (pp: prompts) and writes (tg: token after token), in tokens a second.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!names_are_known(b.only))
        return usage_error("bench model", "--only: '%s': names of what is measured, parted by commas", b.only);
    b.model.exact = b.precision && strcmp(b.precision, "exact") == 0;
    rt_model *model;
    exit_code = open_model("bench model", &b.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    rt_model_info info;
    rt_model_get_info(model, &info);
    b.vocabulary = info.vocab_size;
    rt_context_def def = rt_default_context_def();
    def.host = cli_host();
    def.model = model;
    def.max_rows = PROMPT_ROWS;
    def.max_logits_rows = MOST_BATCH;
    def.max_sequences = MOST_BATCH;
    def.max_passes = 1;
    def.kv_tokens = MOST_BATCH * 2 * RT_KV_BLOCK_TOKENS;
    def.worker_count = b.model.threads > 1 ? (int32_t)b.model.threads - 1 : 0;
    exit_code = rt_context_create(&def, &b.context) == RT_OK ? measure(&b) : failure("bench model", NULL);
    rt_context_destroy(b.context);
    rt_model_close(model);
    return exit_code;
}
