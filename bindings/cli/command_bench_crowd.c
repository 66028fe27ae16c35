// repartee bench crowd: what many characters of one world share, and what each costs beside that.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "stage.h"

static const char LORE[] =
    "Harrowmere is a harbour town at the mouth of the river Ash. Two hundred people live here, most of them by fishing, "
    "some by the salt pans to the south. The old queen is dead, and nobody knows yet who will follow her: her nephew in "
    "the capital, or her daughter, who went to sea nine years ago and has not been heard of since. Until that is settled "
    "the bridge over the Ash is closed to wagons by order of the warden, a tired man named Orlan Pike, and what the town "
    "needs comes by boat. It has been raining for three days. The mill stands still because its wheel is broken, so "
    "bread is dear. On the hill behind the town stand the walls of an abbey in which nobody has lived since the fever; "
    "children say that a light is seen there at night. The market is held on the square every fifth day. Strangers are "
    "welcome as long as they pay, and are asked to leave their weapons with the warden. The inn is called the Gilded "
    "Griffin. Its cellar is almost empty, but the ale is good.";

typedef struct counts {
    uint64_t prompt_tokens, computed, reused, first_prompt;
    int32_t turns;
} counts;

static void take_events(cast *c, counts *n)
{
    rp_event event;
    while (rp_world_next_event(c->world, &event)) {
        if (event.kind == RP_EVENT_TURN_DONE) {
            n->prompt_tokens += (uint64_t)event.prompt_tokens;
            n->turns++;
        }
        cast_take_event(c, &event);
    }
}

// Everybody is spoken to at once, in frames; the lore is in nobody's cache yet.
static bool play(cast *c, uint32_t budget_us, counts *n)
{
    for (int i = 0; i < c->count; i++)
        cast_say(c, i, i == 0 ? RP_PRIORITY_FOCUS : RP_PRIORITY_NEARBY);
    while (rp_world_is_busy(c->world) && c->failures == 0) {
        if (rp_world_update(c->world, budget_us) != RT_OK)
            return false;
        take_events(c, n);
    }
    rp_stats stats;
    rp_world_get_stats(c->world, &stats);
    n->computed = stats.prefill_tokens;
    n->reused = stats.reused_tokens;
    return c->failures == 0;
}

static uint64_t count_lore(const rt_model *model)
{
    size_t count = 0;
    rt_tokenizer_encode(rt_model_tokenizer(model), LORE, sizeof LORE - 1, false, NULL, 0, &count);
    return count;
}

// Of a sequence as long as the lore: the median of many.
static double fork_us(rt_model *model, uint64_t tokens)
{
    rt_context_def def = rt_default_context_def();
    def.model = model;
    def.max_rows = 128;
    def.kv_tokens = tokens + 4 * RT_KV_BLOCK_TOKENS;
    rt_context *context;
    rt_sequence base, copy;
    samples times = {0};
    if (rt_context_create(&def, &context) != RT_OK)
        return -1;
    bool good = rt_sequence_create(context, &base) == RT_OK;
    for (uint64_t done = 0; good && done < tokens; done += 128) {
        rt_row rows[128];
        uint64_t count = tokens - done < 128 ? tokens - done : 128;
        for (uint64_t i = 0; i < count; i++)
            rows[i] = (rt_row){.sequence = base, .token = (rt_token)((done + i) % 1000)};
        good = rt_context_evaluate(context, rows, (int32_t)count, NULL) == RT_OK;
    }
    for (int i = 0; good && i < 1000; i++) {
        uint64_t start = clock_ns();
        good = rt_sequence_fork(context, base, &copy) == RT_OK;
        samples_add(&times, (double)(clock_ns() - start) * 1e-3);
        good = good && rt_sequence_destroy(context, copy) == RT_OK;
    }
    double median = good ? samples_quantile(&times, 0.5) : -1;
    samples_free(&times);
    rt_context_destroy(context);
    return median;
}

static json_t *report(const stage *s, const counts *n)
{
    rt_model_info info;
    rt_model_get_info(s->model, &info);
    rp_stats stats;
    rp_world_get_stats(s->world, &stats);
    double turns = n->turns, lore = (double)count_lore(s->model);
    double shared = (double)n->reused / (turns > 1 ? turns - 1 : 1); // what a prompt found already there
    json_t *out = json_object();
    figure_count(out, "characters", (uint64_t)s->cast.count);
    figure_set(out, "lore_tokens", lore);
    figure_set(out, "prompt_tokens", (double)n->prompt_tokens);
    figure_set(out, "computed_tokens", (double)n->computed);
    figure_set(out, "reused_tokens", (double)n->reused);
    figure_set(out, "shared_tokens_per_prompt", shared);
    // The last token of a prompt is computed with the reply.
    figure_set(out, "lore_computed_times",
               ((double)n->computed + turns - ((double)n->prompt_tokens - turns * shared)) / shared);
    figure_set(out, "tail_tokens_per_character", (double)n->prompt_tokens / turns - shared);
    figure_set(out, "tail_kib_per_character", ((double)n->prompt_tokens / turns - shared) *
                                                  (double)stats.cache.block_bytes / RT_KV_BLOCK_TOKENS / 1024);
    figure_set(out, "fork_us", fork_us(s->model, (uint64_t)lore));
    return out;
}

int command_bench_crowd(int argc, char **argv)
{
    stage_options o = {.model = {.threads = 1}, .characters = 32, .fps = 60, .lore = LORE};
    int64_t budget = 8000;
    const option options[] = {
        STAGE_OPTIONS(o),
        {"budget", OPTION_INTEGER, &budget, "US", "microseconds of each frame, default 8000", 50, 1000000},
    };
    command_line line = {
        .command = "bench crowd",
        .usage = "[--model FILE] [--characters N] [--budget US] [--json]",
        .about = "Speaks to all characters of a world at once, none of whom has spoken before, and counts which tokens were\n"
                 "computed and which were shared. (How fast rows are computed together: repartee bench model.)",
        OPTIONS(options),
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    stage s;
    counts n = {0};
    exit_code = stage_begin(&s, "bench crowd", &o);
    if (exit_code == EXIT_DONE)
        exit_code = play(&s.cast, (uint32_t)budget, &n) ? stage_report(&s, &o, report(&s, &n)) : failure("bench crowd", NULL);
    stage_end(&s);
    return exit_code;
}
