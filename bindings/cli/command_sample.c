// repartee sample: what a model (or mere chance) writes under the masks of many schemas, for a validator to judge.
//
// All samples are independent; so many of them run side by side in each pass, and which of them do changes no token.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "rt/context.h"
#include "rt/grammar.h"
#include "rt/sampler.h"
#include "shared.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 20, MOST_PROMPT = 24 }; // together no more than a pass takes

typedef struct sample_options {
    model_options model;
    const char *schemas, *prompt;
    int64_t samples, limit, tokens, seed;
    double temperature;
    bool random;
} sample_options;

// One sample being written.
typedef struct slot {
    json_t *id; // NULL: free
    int64_t index, written;
    uint64_t seed;
    rt_matcher *matcher;
    rt_sequence sequence;
    rt_token pending[MOST_PROMPT];
    int32_t pending_count;
    char *text;
    size_t size, capacity;
} slot;

typedef struct sampler {
    const sample_options *options;
    rt_tokenizer *tokenizer;
    rt_vocabulary *vocabulary;
    rt_context *context; // NULL: chance alone
    int32_t vocab_size;
    rt_token end, prompt[MOST_PROMPT];
    int32_t prompt_count;
    FILE *file;
    char *line;
    size_t line_capacity;
    json_t *id;          // of the schema whose samples are being handed out
    rt_grammar *grammar; // its
    int64_t next_sample, lines, schemas, refused, finished, unfinished;
    bool failed; // and why is on stderr
    slot slots[SLOTS];
    uint32_t *mask;
    float *logits;
    void *scratch;
} sampler;

static bool refuse_line(sampler *s, const char *why)
{
    failure("sample", "%s: line %lld: %s", s->options->schemas, (long long)s->lines, why);
    s->failed = true;
    return false;
}

// The next schema that compiles. False: there is none.
static bool next_schema(sampler *s)
{
    rt_grammar_release(s->grammar);
    json_decref(s->id);
    s->grammar = NULL;
    s->id = NULL;
    while (s->schemas < s->options->limit && getline(&s->line, &s->line_capacity, s->file) > 0) {
        json_error_t error;
        json_t *record = json_loads(s->line, JSON_ALLOW_NUL, &error);
        bool is_json = record || json_error_code(&error) == json_error_null_byte_in_key;
        s->lines++;
        if (!is_json || (record && !json_object_get(record, "schema"))) {
            json_decref(record);
            return refuse_line(s, is_json ? "an object with \"schema\" was expected" : error.text);
        }
        char *schema = json_dumps(json_object_get(record, "schema"), JSON_COMPACT | JSON_ENCODE_ANY);
        rt_grammar_def def = rt_default_grammar_def();
        def.text = schema ? schema : "";
        def.text_size = strlen(def.text);
        bool compiled = rt_grammar_create(s->vocabulary, &def, &s->grammar) == RT_OK;
        json_t *id = json_object_get(record, "id");
        if (compiled)
            s->id = id ? json_incref(id) : json_integer(s->lines);
        free(schema);
        json_decref(record);
        s->refused += !compiled;
        if (!compiled)
            continue;
        s->schemas++;
        s->next_sample = 0;
        return true;
    }
    return false;
}

// Gives a free slot its next sample. 1: done, 0: no more samples, -1: failed.
static int fill_slot(sampler *s, slot *x)
{
    if ((!s->grammar || s->next_sample == s->options->samples) && !next_schema(s))
        return s->failed ? -1 : 0;
    x->index = s->next_sample++;
    x->written = 0;
    x->size = 0;
    x->seed = (uint64_t)s->options->seed * 1000003u + (uint64_t)(s->schemas * s->options->samples + x->index);
    x->id = json_incref(s->id);
    memcpy(x->pending, s->prompt, sizeof s->prompt);
    x->pending_count = s->prompt_count;
    if (rt_matcher_create(s->grammar, NULL, &x->matcher) != RT_OK)
        return -1;
    return !s->context || rt_sequence_create(s->context, &x->sequence) == RT_OK ? 1 : -1;
}

static bool close_slot(sampler *s, slot *x, bool finished)
{
    s->finished += finished;
    s->unfinished += !finished;
    json_t *text = json_stringn(x->text ? x->text : "", x->size); // NULL: cut within a character
    bool written = print_json(json_pack("{s:O, s:I, s:b, s:I, s:o}", "id", x->id, "sample", (json_int_t)x->index, "finished", finished,
                                        "tokens", (json_int_t)x->written, "text", text ? text : json_null()));
    rt_matcher_destroy(x->matcher);
    if (s->context)
        rt_sequence_destroy(s->context, x->sequence);
    json_decref(x->id);
    x->matcher = NULL;
    x->id = NULL;
    if (!written) {
        failure("sample", "cannot write to stdout");
        s->failed = true;
    }
    return written;
}

static bool add_text(sampler *s, slot *x, rt_token token)
{
    const char *bytes;
    size_t size;
    if (!rt_tokenizer_bytes(s->tokenizer, token, &bytes, &size))
        return false;
    if (x->size + size > x->capacity) {
        size_t capacity = (x->size + size) * 2;
        char *grown = realloc(x->text, capacity);
        if (!grown)
            return false;
        x->text = grown;
        x->capacity = capacity;
    }
    memcpy(x->text + x->size, bytes, size);
    x->size += size;
    return true;
}

// Chance: every token as likely as another, give or take.
static void roll_logits(sampler *s, const slot *x, float *logits)
{
    uint64_t state = x->seed * 0x9E3779B97F4A7C15u + (uint64_t)x->written + 1;
    for (int32_t i = 0; i < s->vocab_size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        logits[i] = (float)(state >> 40) * (8.0f / 16777216.0f);
    }
}

static bool advance_slot(sampler *s, slot *x, const float *logits)
{
    rt_sampler_def def = {0};
    def = rt_default_sampler_def();
    def.temperature = (float)s->options->temperature;
    def.top_k = 0;
    def.top_p = 1;
    def.min_p = 0;
    def.repetition_penalty = 1;
    def.repetition_window = 0;
    def.seed = x->seed;
    rt_sample_request request = {.sampler = &def, .step = (uint64_t)x->written, .mask = s->mask};
    rt_token token;
    if (rt_matcher_mask(x->matcher, s->mask) != RT_OK ||
        rt_sample(logits, s->vocab_size, &request, s->scratch, &token) != RT_OK || rt_matcher_commit(x->matcher, token) != RT_OK)
        return false;
    if (token == s->end)
        return close_slot(s, x, true);
    x->written++;
    x->pending[0] = token;
    x->pending_count = 1;
    return add_text(s, x, token) && (x->written < s->options->tokens || close_slot(s, x, false));
}

// One token for each sample under way. 1: go on, 0: all are done, -1: failed.
static int step(sampler *s)
{
    rt_row rows[SLOTS * MOST_PROMPT];
    slot *active[SLOTS];
    int32_t row_count = 0, count = 0;
    for (int i = 0; i < SLOTS; i++) {
        slot *x = &s->slots[i];
        int filled = x->id ? 1 : fill_slot(s, x);
        if (filled < 0)
            return -1;
        if (filled == 0)
            continue;
        for (int32_t k = 0; k < x->pending_count; k++)
            rows[row_count++] = (rt_row){.sequence = x->sequence, .token = x->pending[k], .wants_logits = k + 1 == x->pending_count};
        active[count++] = x;
    }
    if (count == 0)
        return 0;
    if (s->context && rt_context_evaluate(s->context, rows, row_count, s->logits) != RT_OK)
        return -1;
    for (int32_t i = 0; i < count; i++) {
        float *logits = s->context ? s->logits + (size_t)i * (size_t)s->vocab_size : s->logits;
        if (!s->context)
            roll_logits(s, active[i], logits);
        if (!advance_slot(s, active[i], logits))
            return -1;
    }
    return 1;
}

static bool open_context(sampler *s, rt_model *model)
{
    rt_context_def def = rt_default_context_def();
    def.host = cli_host();
    def.model = model;
    def.max_sequences = SLOTS;
    def.max_passes = 1;
    def.max_rows = SLOTS * MOST_PROMPT;
    def.max_logits_rows = SLOTS;
    def.kv_tokens = (uint64_t)SLOTS * (uint64_t)(s->options->tokens + MOST_PROMPT + RT_KV_BLOCK_TOKENS);
    def.worker_count = s->options->model.threads > 1 ? (int32_t)s->options->model.threads - 1 : 0;
    return rt_context_create(&def, &s->context) == RT_OK;
}

static bool begin(sampler *s, rt_model *model)
{
    s->tokenizer = rt_model_tokenizer(model);
    s->vocab_size = rt_tokenizer_vocab_size(s->tokenizer);
    s->end = rt_tokenizer_eos(s->tokenizer);
    size_t count = 0;
    if (rt_tokenizer_adds_bos(s->tokenizer))
        s->prompt[count++] = rt_tokenizer_bos(s->tokenizer);
    size_t added = 0;
    rt_result result = rt_tokenizer_encode(s->tokenizer, s->options->prompt, strlen(s->options->prompt), false, s->prompt + count,
                                           MOST_PROMPT - count, &added);
    if ((result != RT_OK && result != RT_ERROR_TOO_LARGE) || count + added == 0 || count + added > MOST_PROMPT) {
        failure("sample", "--prompt: %zu tokens, where 1 to %d fit", count + added, MOST_PROMPT);
        s->failed = true;
        return false;
    }
    s->prompt_count = (int32_t)(count + added);
    s->mask = calloc((size_t)s->vocab_size / 32 + 1, sizeof *s->mask);
    s->logits = malloc((size_t)s->vocab_size * SLOTS * sizeof *s->logits);
    s->scratch = malloc(rt_sampler_scratch_bytes(s->vocab_size));
    return s->mask && s->logits && s->scratch && rt_vocabulary_create(s->tokenizer, NULL, &s->vocabulary) == RT_OK &&
           (s->options->random || open_context(s, model));
}

static void finish(sampler *s)
{
    for (int i = 0; i < SLOTS; i++) {
        rt_matcher_destroy(s->slots[i].matcher);
        json_decref(s->slots[i].id);
        free(s->slots[i].text);
    }
    rt_grammar_release(s->grammar);
    json_decref(s->id);
    rt_context_destroy(s->context);
    rt_vocabulary_release(s->vocabulary);
    if (s->file)
        fclose(s->file);
    free(s->line);
    free(s->mask);
    free(s->logits);
    free(s->scratch);
}

int command_sample(int argc, char **argv)
{
    sample_options o = {.model = {.threads = 1}, .prompt = "An example in JSON:\n", .samples = 5, .limit = 200, .tokens = 160,
                        .seed = 1, .temperature = 2};
    const option options[] = {
        MODEL_OPTIONS(o.model),
        {"schemas", OPTION_TEXT, &o.schemas, "FILE", "JSON lines {\"id\", \"schema\"}", 0, 0},
        {"samples", OPTION_INTEGER, &o.samples, "N", "of each schema, default 5", 1, 1000},
        {"limit", OPTION_INTEGER, &o.limit, "N", "schemas, from the first line on, default 200", 1, 1000000},
        {"max-tokens", OPTION_INTEGER, &o.tokens, "N", "of a sample, default 160", 1, 4096},
        {"temperature", OPTION_NUMBER, &o.temperature, "T", "default 2", 0, 10},
        {"seed", OPTION_INTEGER, &o.seed, "N", "default 1", 0, INT32_MAX},
        {"prompt", OPTION_TEXT, &o.prompt, "TEXT", "what the model reads before", 0, 0},
        {"random", OPTION_FLAG, &o.random, "", "random logits; the model only gives its tokens", 0, 0},
    };
    command_line line = {
        .command = "sample",
        .usage = "--schemas FILE [--model FILE] [--samples N] [--limit N] [--max-tokens N] [--temperature T]",
        .about = "Writes JSON under the masks of schemas: lines {\"id\", \"sample\", \"finished\", \"tokens\", \"text\"}. "
                 "Schemas that do not compile are passed over.",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    if (!o.schemas)
        return usage_error("sample", "--schemas is needed");
    rt_model *model;
    exit_code = open_model("sample", &o.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    sampler *s = calloc(1, sizeof *s);
    if (s) {
        s->options = &o;
        s->file = open_input("sample", o.schemas);
    }
    if (!s || !s->file) {
        exit_code = s ? EXIT_FAILED : failure("sample", "out of memory");
    } else if (!begin(s, model)) {
        exit_code = s->failed ? EXIT_FAILED : failure("sample", NULL);
    } else {
        int more = 1;
        while ((more = step(s)) > 0)
            continue;
        if (more < 0)
            exit_code = s->failed ? EXIT_FAILED : failure("sample", NULL);
        else if (s->lines == 0)
            exit_code = failure("sample", "%s: it has no lines", o.schemas);
        fprintf(stderr, "%lld schemas, %lld did not compile; %lld samples finished, %lld stopped by the limit on tokens\n",
                (long long)s->schemas, (long long)s->refused, (long long)s->finished, (long long)s->unfinished);
    }
    if (s)
        finish(s);
    free(s);
    rt_model_close(model);
    return exit_code;
}
