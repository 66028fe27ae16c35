// repartee bench cache: what forks, shared prefixes and snapshots cost, beside computing the same tokens.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include <stdlib.h>

typedef struct cache_bench {
    model_options model;
    int64_t tokens, runs;
    const char *kv;
    bool json;
    rt_context *context;
    rt_token *ids;
} cache_bench;

typedef struct timings {
    double compute_us, fork_us, fork_write_us, reuse_us, save_us, restore_us;
    size_t snapshot_bytes;
} timings;

static double since_us(uint64_t start)
{
    return (double)(clock_ns() - start) * 1e-3;
}

static bool compute(cache_bench *b, rt_sequence sequence, const rt_token *ids, int64_t count)
{
    rt_row rows[128];
    for (int64_t done = 0; done < count; done += 128) {
        int64_t now = count - done < 128 ? count - done : 128;
        for (int64_t i = 0; i < now; i++)
            rows[i] = (rt_row){.sequence = sequence, .token = ids[done + i]};
        if (rt_context_evaluate(b->context, rows, (int32_t)now, NULL) != RT_OK)
            return false;
    }
    return true;
}

// The shortest of the runs for each: what the operation costs where nothing disturbs it.
static void keep_least(double *least, double value)
{
    if (*least == 0 || value < *least)
        *least = value;
}

static bool run_once(cache_bench *b, rt_sequence base, timings *t)
{
    rt_sequence fork, again, restored;
    uint64_t start = clock_ns();
    if (rt_sequence_fork(b->context, base, &fork) != RT_OK)
        return false;
    keep_least(&t->fork_us, since_us(start));
    start = clock_ns();
    if (!compute(b, fork, b->ids, 1))
        return false;
    keep_least(&t->fork_write_us, since_us(start));
    int32_t reused = 0;
    if (rt_sequence_create(b->context, &again) != RT_OK)
        return false;
    start = clock_ns();
    if (rt_sequence_reuse_prefix(b->context, again, b->ids, (int32_t)b->tokens, &reused) != RT_OK)
        return false;
    keep_least(&t->reuse_us, since_us(start));
    if (reused < b->tokens - 2 * RT_KV_BLOCK_TOKENS)
        return failure("bench cache", "only %d of %lld tokens were found again", (int)reused, (long long)b->tokens),
               false;
    size_t size = 0;
    if (rt_sequence_save(b->context, base, NULL, 0, &size) != RT_OK)
        return false;
    void *buffer = malloc(size);
    start = clock_ns();
    bool done = buffer && rt_sequence_save(b->context, base, buffer, size, &size) == RT_OK;
    keep_least(&t->save_us, since_us(start));
    rt_sequence_destroy(b->context, again);
    rt_sequence_destroy(b->context, fork);
    start = clock_ns();
    done = done && rt_sequence_restore(b->context, buffer, size, &restored) == RT_OK;
    keep_least(&t->restore_us, since_us(start));
    free(buffer);
    t->snapshot_bytes = size;
    return done && rt_sequence_destroy(b->context, restored) == RT_OK;
}

static bool measure(cache_bench *b, timings *t)
{
    rt_sequence base;
    if (rt_sequence_create(b->context, &base) != RT_OK)
        return false;
    uint64_t start = clock_ns();
    if (!compute(b, base, b->ids, b->tokens))
        return false;
    t->compute_us = since_us(start);
    for (int64_t i = 0; i < b->runs; i++)
        if (!run_once(b, base, t))
            return false;
    return true;
}

static int report(const cache_bench *b, const timings *t)
{
    json_t *out = json_pack("{s:I, s:I}", "tokens", (json_int_t)b->tokens, "snapshot_bytes",
                            (json_int_t)t->snapshot_bytes),
           *value;
    const struct {
        const char *key;
        double value;
    } figures[] = {{"compute_us", t->compute_us}, {"fork_us", t->fork_us}, {"fork_first_token_us", t->fork_write_us},
                   {"reuse_us", t->reuse_us},     {"save_us", t->save_us}, {"restore_us", t->restore_us}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        json_object_set_new(out, figures[i].key, json_figure(figures[i].value));
    if (b->json)
        return print_answer("bench cache", out);
    const char *key;
    json_object_foreach(out, key, value) printf("%-22s %.6g\n", key, json_number_value(value));
    json_decref(out);
    return EXIT_DONE;
}

int command_bench_cache(int argc, char **argv)
{
    cache_bench b = {.model = {.threads = 1}, .tokens = 512, .runs = 20};
    const option options[] = {
        MODEL_OPTIONS(b.model),
        {"tokens", OPTION_INTEGER, &b.tokens, "N", "of the prompt that is shared, default 512", 64, 100000},
        {"runs", OPTION_INTEGER, &b.runs, "N", "the fastest of these counts, default 20", 1, 100000},
        {"kv", OPTION_CHOICE, &b.kv, "f16|q8_0|f32", "type of the key-value cache, default f16", 0, 0},
        {"json", OPTION_FLAG, &b.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "bench cache",
        .usage = "[--model FILE] [--tokens N] [--kv TYPE] [--json]",
        .about = "Measures what it costs to fork a sequence, to find its prefix again, to save and to restore it, beside\n"
                 "computing the same tokens.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_context_def def = rt_default_context_def();
    exit_code = open_model("bench cache", &b.model, &def.model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    rt_model_info info;
    rt_model_get_info(def.model, &info);
    def.host = cli_host();
    def.max_rows = 128;
    def.kv_tokens = (uint64_t)b.tokens * 3 + 4 * RT_KV_BLOCK_TOKENS;
    def.kv_type = !b.kv || b.kv[1] == '1' ? RT_KV_F16 : b.kv[0] == 'q' ? RT_KV_Q8_0 : RT_KV_F32;
    def.worker_count = b.model.threads > 1 ? (int32_t)b.model.threads - 1 : 0;
    b.ids = malloc((size_t)b.tokens * sizeof *b.ids);
    for (int64_t i = 0; b.ids && i < b.tokens; i++)
        b.ids[i] = (rt_token)((uint64_t)i * 7919 % (uint64_t)info.vocab_size);
    timings t = {0};
    if (!b.ids || rt_context_create(&def, &b.context) != RT_OK || !measure(&b, &t))
        exit_code = failure("bench cache", NULL);
    else
        exit_code = report(&b, &t);
    free(b.ids);
    rt_context_destroy(b.context);
    rt_model_close(def.model);
    return exit_code;
}
