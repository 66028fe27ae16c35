// repartee logits: what a model gives for known tokens, as float32 rows in an .npy file.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>

typedef struct logits_options {
    model_options model;
    const char *ids, *out, *kv;
    int64_t at, rows;
    bool all, json;
} logits_options;

static rt_kv_type kv_type(const logits_options *o)
{
    const char *name = o->kv ? o->kv : o->model.exact ? "f32" : "f16";
    return strcmp(name, "f32") == 0 ? RT_KV_F32 : strcmp(name, "q8_0") == 0 ? RT_KV_Q8_0 : RT_KV_F16;
}

// Passes of at most `rows` tokens; the logits that are wanted go to the file as they come.
static int evaluate(const logits_options *o, rt_context *context, const rt_token *ids, size_t count, uint64_t vocab,
                    npy_writer *writer)
{
    rt_sequence sequence;
    if (rt_sequence_create(context, &sequence) != RT_OK ||
        (o->at > 0 && rt_sequence_set_start(context, sequence, (int32_t)o->at) != RT_OK))
        return failure("logits", NULL);
    size_t chunk = (size_t)o->rows;
    float *logits = malloc((o->all ? chunk : 1) * vocab * sizeof *logits);
    rt_row *rows = calloc(chunk, sizeof *rows);
    int exit_code = logits && rows ? EXIT_DONE : failure("logits", "no memory for the logits");
    for (size_t done = 0; exit_code == EXIT_DONE && done < count; done += chunk) {
        size_t now = count - done < chunk ? count - done : chunk, wanted = 0;
        for (size_t i = 0; i < now; i++) {
            bool wants = o->all || done + i + 1 == count;
            rows[i] = (rt_row){.sequence = sequence, .token = ids[done + i], .wants_logits = wants};
            wanted += wants;
        }
        if (rt_context_evaluate(context, rows, (int32_t)now, wanted ? logits : NULL) != RT_OK)
            exit_code = failure("logits", NULL);
        else if (wanted && !npy_write(writer, logits, wanted))
            exit_code = EXIT_FAILED; // npy_end says so
    }
    free(logits);
    free(rows);
    return exit_code;
}

typedef struct measured {
    uint64_t context_bytes; // that rt_context_memory foretold
    double resident_before, resident_after, seconds;
} measured;

static int report(const measured *m, const rt_model_info *info, size_t count)
{
    json_t *out = json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "tokens", (json_int_t)count, "context_bytes",
                            (json_int_t)m->context_bytes, "kv_bytes_per_token_f16", (json_int_t)info->kv_bytes_per_token,
                            "resident_before_context", json_figure(m->resident_before), "resident_growth",
                            json_figure(m->resident_after - m->resident_before), "seconds", json_figure(m->seconds),
                            "tokens_per_second", json_figure((double)count / m->seconds));
    return print_answer("logits", out);
}

static int run(const logits_options *o, rt_model *model, const rt_token *ids, size_t count)
{
    measured m = {.resident_before = process_bytes("RssAnon")};
    rt_model_info info;
    rt_model_get_info(model, &info);
    rt_context_def def = rt_default_context_def();
    def.host = cli_host();
    def.model = model;
    def.max_sequences = 1;
    def.max_passes = 1;
    def.max_rows = (int32_t)o->rows;
    def.max_logits_rows = o->all ? (int32_t)o->rows : 1;
    def.kv_tokens = count + RT_KV_BLOCK_TOKENS;
    def.kv_type = kv_type(o);
    def.worker_count = o->model.threads > 1 ? (int32_t)o->model.threads - 1 : 0;
    rt_context *context;
    if (rt_context_memory(&def, &m.context_bytes) != RT_OK || rt_context_create(&def, &context) != RT_OK)
        return failure("logits", NULL);
    npy_writer writer;
    int exit_code;
    if (!npy_begin(&writer, "logits", o->out, o->all ? count : 1, (uint64_t)info.vocab_size)) {
        exit_code = EXIT_FAILED;
    } else {
        uint64_t start = clock_ns();
        exit_code = evaluate(o, context, ids, count, (uint64_t)info.vocab_size, &writer);
        m.seconds = (double)(clock_ns() - start) * 1e-9;
        m.resident_after = process_bytes("RssAnon");
        if (!npy_end(&writer))
            exit_code = EXIT_FAILED;
    }
    rt_context_destroy(context);
    return exit_code == EXIT_DONE && o->json ? report(&m, &info, count) : exit_code;
}

// The ids themselves, or those in the file behind an @. NULL: `problem` says why.
static rt_token *read_ids(const char *ids, size_t *count, char problem[128])
{
    if (ids[0] != '@')
        return parse_id_list(ids, count, 0, INT32_MAX, problem);
    FILE *file = fopen(ids + 1, "rb");
    size_t size;
    char *text = file ? read_all(file, &size) : NULL;
    if (file)
        fclose(file);
    if (!text) {
        snprintf(problem, 128, "%.90s: cannot be read", ids + 1);
        return NULL;
    }
    rt_token *tokens = parse_id_list(text, count, 0, INT32_MAX, problem);
    free(text);
    return tokens;
}

int command_logits(int argc, char **argv)
{
    logits_options o = {.model = {.threads = 1}, .rows = 64};
    const option options[] = {
        MODEL_OPTIONS(o.model),
        {"ids", OPTION_TEXT, &o.ids, "\"1,2,3\"", "the tokens, or @FILE with such a list in it", 0, 0},
        {"at", OPTION_INTEGER, &o.at, "POS", "position of the first token, the cache before it empty; default 0", 0,
         1 << 30},
        {"all", OPTION_FLAG, &o.all, "", "a row for each token; without it: for the last one", 0, 0},
        {"exact", OPTION_FLAG, &o.model.exact, "", "float32 activations and key-value cache", 0, 0},
        {"kv", OPTION_CHOICE, &o.kv, "f16|q8_0|f32", "type of the key-value cache; default f16, with --exact f32", 0,
         0},
        {"rows", OPTION_INTEGER, &o.rows, "N", "tokens in one pass, default 64 (changes no bit)", 1, RT_MAX_PASS_ROWS},
        {"out", OPTION_TEXT, &o.out, "FILE.npy", "where the rows go: float32, [rows, vocabulary]", 0, 0},
        {"json", OPTION_FLAG, &o.json, "", "one JSON object: time, and memory as foretold and as taken", 0, 0},
    };
    command_line line = {
        .command = "logits",
        .usage = "--model FILE --ids \"1,2,3\" [--at POS] [--all] [--exact] --out FILE.npy",
        .about = "Computes the logits that follow the last token given, or each of them.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!o.ids || !o.out)
        return usage_error("logits", "--ids and --out are needed");
    rt_model *model;
    size_t count;
    char problem[128];
    rt_token *ids = read_ids(o.ids, &count, problem);
    if (!ids)
        return usage_error("logits", "--ids: %s", problem);
    exit_code = open_model("logits", &o.model, &model);
    if (exit_code == EXIT_DONE) {
        exit_code = run(&o, model, ids, count);
        rt_model_close(model);
    }
    free(ids);
    return exit_code;
}
