// From text to grammar, whole or in steps.
// SPDX-License-Identifier: MIT
#include "grammar/schema.h"
#include "grammar/trigger.h"

#include <string.h>

#define DEF_COOKIE 0x72746764u
enum { TOKENS_AT_ONCE = 256 };

typedef enum phase { PHASE_READ, PHASE_START, PHASE_OPEN, PHASE_FINISH, PHASE_WARM, PHASE_DONE } phase;

struct rt_grammar_compilation {
    rt_host host;
    rt_grammar *grammar;
    rti_pool pool; // everything that the grammar does not need later
    rti_compiler compiler;
    phase phase;
    uint32_t warm; // terminals looked at
    char *text;
    size_t text_size;
    rt_result failed;
};

rt_grammar_def rt_default_grammar_def(void)
{
    return (rt_grammar_def){
        .cookie = DEF_COOKIE,
        .kind = RT_GRAMMAR_JSON_SCHEMA,
        .spacing = RT_JSON_SPACED,
        .max_states = 1000000,
        .max_memory_bytes = (size_t)256 << 20,
        .max_depth = 512,
    };
}

static rt_result check_def(rt_vocabulary *vocabulary, const rt_grammar_def *def)
{
    if (def == NULL || def->cookie != DEF_COOKIE) {
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "grammar: the def did not come from rt_default_grammar_def()");
    }
    const rt_host *host = &def->host;
    if (vocabulary == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "grammar: vocabulary is NULL");
    if (def->text == NULL) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "grammar: text is NULL");
    if ((unsigned)def->kind > RT_GRAMMAR_TRIGGERED) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "grammar: kind %d", (int)def->kind);
    if ((unsigned)def->spacing > RT_JSON_FLEXIBLE) return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "grammar: spacing %d", (int)def->spacing);
    if (def->max_depth < 1 || def->max_depth > 100000 || def->max_states < 16 || def->max_memory_bytes < 65536) {
        return rti_fail(host, RT_ERROR_INVALID_ARGUMENT, "grammar: max_depth, max_states or max_memory_bytes is out of range");
    }
    return RT_OK;
}

static void free_grammar(rt_grammar *g)
{
    rt_host host = g->host;
    if (g->lock_ready) pthread_mutex_destroy(&g->lock);
    rti_pool_end(&g->pool);
    rt_vocabulary_release(g->vocabulary);
    rti_release(&host, g, sizeof *g);
}

void rt_grammar_compilation_destroy(rt_grammar_compilation *x)
{
    if (x == NULL) return;
    rt_host host = x->host;
    if (x->grammar != NULL) free_grammar(x->grammar);
    rti_pool_end(&x->pool);
    rti_release(&host, x->text, x->text_size + 1);
    rti_release(&host, x, sizeof *x);
}

static void begin(rt_grammar_compilation *x, const rt_grammar_def *def)
{
    rt_grammar *g = x->grammar;
    rti_regexes_begin(&g->regexes, &g->pool, g->max_states);
    x->compiler.pool = &x->pool;
    if (g->kind == RT_GRAMMAR_TRIGGERED) rti_triggers_build(g, def);
    rti_compiler_begin(&x->compiler, g);
    x->compiler.plain_integers = def->plain_integers;
    if (g->kind != RT_GRAMMAR_REGEX) rti_json_begin(&x->compiler.json, &x->pool, x->text, x->text_size, def->max_depth);
}

// Runs with both pools' way out at `way_out`; the result of the one that failed.
#define GUARDED(x, statement)                                                                                          \
    do {                                                                                                               \
        jmp_buf way_out_;                                                                                              \
        (x)->pool.way_out = (x)->grammar->pool.way_out = &way_out_;                                                    \
        (x)->pool.result = (x)->grammar->pool.result = RT_OK;                                                          \
        if (setjmp(way_out_) == 0) {                                                                                   \
            statement;                                                                                                 \
        } else {                                                                                                       \
            (x)->failed = (x)->pool.result != RT_OK ? (x)->pool.result : (x)->grammar->pool.result;                    \
        }                                                                                                              \
        (x)->pool.way_out = (x)->grammar->pool.way_out = NULL;                                                         \
    } while (0)

rt_result rt_grammar_compilation_begin(rt_vocabulary *vocabulary, const rt_grammar_def *def, rt_grammar_compilation **compilation)
{
    if (compilation == NULL) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "grammar: compilation is NULL");
    *compilation = NULL;
    rt_result result = check_def(vocabulary, def);
    if (result != RT_OK) return result;
    rt_host host = rti_host_or_default(&def->host);
    rt_grammar_compilation *x = rti_allocate_zeroed(&host, sizeof *x);
    rt_grammar *g = rti_allocate_zeroed(&host, sizeof *g);
    char *text = rti_copy_text(&host, def->text, def->text_size);
    if (x == NULL || g == NULL || text == NULL) {
        rti_release(&host, x, sizeof *x);
        rti_release(&host, g, sizeof *g);
        rti_release(&host, text, def->text_size + 1);
        return rti_fail(&host, RT_ERROR_OUT_OF_MEMORY, "grammar: no memory for a compilation");
    }
    x->host = g->host = host;
    x->grammar = g;
    x->text = text;
    x->text_size = def->text_size;
    rti_pool_begin(&x->pool, &host, def->max_memory_bytes);
    rti_pool_begin(&g->pool, &host, def->max_memory_bytes);
    atomic_init(&g->references, 1);
    g->vocabulary = rt_vocabulary_retain(vocabulary);
    g->kind = def->kind;
    g->spacing = def->spacing;
    g->any_order = def->any_property_order;
    g->max_states = (uint32_t)RTI_MIN(def->max_states, (size_t)UINT32_MAX / 8);
    g->max_depth = (uint32_t)def->max_depth;
    g->lock_ready = pthread_mutex_init(&g->lock, NULL) == 0;
    GUARDED(x, begin(x, def));
    if (x->failed != RT_OK) {
        result = x->failed;
        rt_grammar_compilation_destroy(x);
        return result;
    }
    *compilation = x;
    return RT_OK;
}

static void make_regex(rt_grammar_compilation *x)
{
    rt_grammar *g = x->grammar;
    rti_regex term = rti_regex_parse(&g->regexes, x->text, x->text_size, false, "grammar");
    rti_lexer *lexer = rti_lexer_new(&g->regexes, term, g->max_states);
    if (!rti_lexer_is_live(lexer, RTI_LEXER_START)) rti_pool_fail(&g->pool, RT_ERROR_REJECTED, "grammar: regular expression: no text matches it");
    g->root = rti_plain_terminal(g, lexer, true);
}

static void make_choices(rt_grammar_compilation *x)
{
    rti_compiler *c = &x->compiler;
    const rti_json_value *list = &c->json.values[0];
    if (list->kind != RTI_JSON_ARRAY || list->count == 0) rti_pool_fail(&x->pool, RT_ERROR_BAD_TEXT, "grammar: choices must be a JSON array of strings, not empty");
    for (uint32_t i = list->first; i != RTI_JSON_NONE; i = c->json.values[i].next) {
        const rti_json_value *v = &c->json.values[i];
        if (v->kind != RTI_JSON_STRING || v->text_size == 0) rti_pool_fail(&x->pool, RT_ERROR_BAD_TEXT, "grammar: choices must be a JSON array of strings, none empty");
        rti_literal_add(c, &x->grammar->root, c->json.text + v->text, v->text_size, 0);
    }
}

// Automata with complements are the ones whose first mask would be slow: what their start can do is found
// out now. True: done.
static bool warm_one(rt_grammar_compilation *x)
{
    const rt_grammar *g = x->grammar;
    while (x->warm < g->terminals_count) {
        rti_lexer *lexer = g->terminals[x->warm++].lexer;
        const rti_lexer_state *start = rti_lexer_at(lexer, RTI_LEXER_START);
        if (!g->regexes.nodes[lexer->term].has_not || atomic_load_explicit(&start->safety, memory_order_relaxed) != NULL) continue;
        rti_lexer_safety_of(lexer, RTI_LEXER_START, g->vocabulary->weights, false);
        return false;
    }
    return true;
}

static const char *where(void *user)
{
    return rti_where(user);
}

static void step(rt_grammar_compilation *x)
{
    rt_grammar_kind kind = x->grammar->kind;
    switch (x->phase) {
    case PHASE_READ:
        if (kind == RT_GRAMMAR_REGEX) {
            make_regex(x);
            x->phase = PHASE_DONE;
        } else if (rti_json_step(&x->compiler.json, TOKENS_AT_ONCE)) {
            x->phase = PHASE_START;
        }
        break;
    case PHASE_START:
        if (kind == RT_GRAMMAR_CHOICES) {
            make_choices(x);
            x->phase = PHASE_DONE;
        } else {
            rti_compiler_start(&x->compiler);
            x->pool.where = x->grammar->pool.where = where;
            x->pool.where_user = x->grammar->pool.where_user = &x->compiler;
            x->phase = PHASE_OPEN;
        }
        break;
    case PHASE_OPEN:
        if (rti_compiler_step(&x->compiler)) x->phase = PHASE_FINISH;
        break;
    case PHASE_FINISH:
        rti_compiler_finish(&x->compiler);
        x->phase = PHASE_WARM;
        break;
    case PHASE_WARM:
        if (warm_one(x)) x->phase = PHASE_DONE;
        break;
    default: break;
    }
}

static void steps(rt_grammar_compilation *x, uint64_t until)
{
    while (x->phase != PHASE_DONE) {
        step(x);
        if (until != UINT64_MAX && rti_now_ns() >= until) return;
    }
}

rt_result rt_grammar_compilation_step(rt_grammar_compilation *x, uint32_t budget_us, bool *done, rt_grammar **grammar)
{
    if (x == NULL || done == NULL || grammar == NULL) {
        return rti_fail(x != NULL ? &x->host : NULL, RT_ERROR_INVALID_ARGUMENT, "rt_grammar_compilation_step: a pointer is NULL");
    }
    *grammar = NULL;
    *done = true;
    if (x->failed != RT_OK) return x->failed;
    if (x->grammar == NULL) return rti_fail(&x->host, RT_ERROR_BUSY, "grammar: this compilation has given its grammar already");
    uint64_t until = budget_us == UINT32_MAX ? UINT64_MAX : rti_now_ns() + (uint64_t)budget_us * 1000;
    GUARDED(x, steps(x, until));
    if (x->failed != RT_OK) return x->failed;
    *done = x->phase == PHASE_DONE;
    if (!*done) return RT_OK;
    x->grammar->pool.where = NULL;
    *grammar = x->grammar;
    x->grammar = NULL;
    return RT_OK;
}

rt_result rt_grammar_create(rt_vocabulary *vocabulary, const rt_grammar_def *def, rt_grammar **grammar)
{
    if (grammar == NULL) return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rt_grammar_create: grammar is NULL");
    *grammar = NULL;
    rt_grammar_compilation *compilation;
    rt_result result = rt_grammar_compilation_begin(vocabulary, def, &compilation);
    if (result != RT_OK) return result;
    bool done;
    result = rt_grammar_compilation_step(compilation, UINT32_MAX, &done, grammar);
    rt_grammar_compilation_destroy(compilation);
    return result;
}

rt_grammar *rt_grammar_retain(rt_grammar *grammar)
{
    if (grammar != NULL) atomic_fetch_add(&grammar->references, 1);
    return grammar;
}

void rt_grammar_release(rt_grammar *grammar)
{
    if (grammar != NULL && atomic_fetch_sub(&grammar->references, 1) == 1) free_grammar(grammar);
}

size_t rt_grammar_memory(const rt_grammar *grammar)
{
    return sizeof *grammar + atomic_load(&grammar->pool.held);
}
