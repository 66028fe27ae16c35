// world/create.c - making and ending a world.
// SPDX-License-Identifier: MIT
#include "budget/pacer.h"
#include "character/character.h"
#include "core/core.h"
#include "schedule/pass.h"
#include "tool/tool.h"
#include "turn/record.h"
#include "turn/turn.h"
#include "world/world.h"

#include <string.h>

enum { WORLD_COOKIE = 0x52505744, LEAST_KV_TOKENS = 8192, TOKENS_A_TURN = 1024, MOST_LOGITS_ROWS = 128, SPARE_SLOTS = 1 };

rp_world_def rp_default_world_def(void)
{
    return (rp_world_def){
        .cookie = WORLD_COOKIE,
        .player_name = "player",
        .max_characters = 256,
        .max_active_turns = 8,
        .max_queued_turns = 1024,
        .kv_type = RT_KV_F16,
        .worker_spin_us = 50,
        .max_call_rounds = 4,
        .calibrate_choices = true,
        .max_prefill_rows = 128,
        .margin = 3.0f,
        .detail = { .slower_above = 24, .shorter_above = 48, .authored_above = 96 },
        .pacer = { .target_frame_us = 16667, .least_us = 100, .most_us = 8000 },
        .speculate = true,
    };
}

static rt_result check_def(const rp_world_def *def)
{
    const rt_host *host = &def->host;
    if (def->cookie != WORLD_COOKIE)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT,
                        "rp_world_create: the def did not come from rp_default_world_def");
    if (def->model == NULL)
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_world_create: no model: open one with rt_model_open");
    const struct { const char *name; double value, least, most; } ranges[] = {
        { "mode", def->mode, RP_MODE_INLINE, RP_MODE_HEADLESS },
        { "max_characters", def->max_characters, 1, 1 << 20 },
        { "max_active_turns", def->max_active_turns, 1, 256 },
        { "max_queued_turns", def->max_queued_turns, 1, 1 << 20 },
        { "worker_count", def->worker_count, 0, RT_MAX_WORKERS },
        { "max_call_rounds", def->max_call_rounds, 0, 64 },
        { "max_prefill_rows", def->max_prefill_rows, 1, RT_MAX_PASS_ROWS },
        { "margin", (double)def->margin, 0, 100 },
        { "pacer.target_frame_us", def->pacer.target_frame_us, 1, 1e9 },
        { "pacer.most_us", def->pacer.most_us, def->pacer.least_us, 1e9 },
        { "kv_tokens", (double)def->kv_tokens, 0, 1e9 },
    };
    for (size_t i = 0; i < RPI_COUNT(ranges); i++)
        if (!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most))
            return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_world_create: %s is %g: expected %g to %g",
                            ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most);
    if (def->lore != NULL && !rpi_utf8_is_valid(def->lore, strlen(def->lore)))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_world_create: lore is not UTF-8");
    if (def->player_name != NULL && !rpi_utf8_is_valid(def->player_name, strlen(def->player_name)))
        return rpi_fail(host, RT_ERROR_INVALID_ARGUMENT, "rp_world_create: player_name is not UTF-8");
    return RT_OK;
}

static rt_result copy_texts(rp_world *world)
{
    const rp_world_def *def = &world->def;
    const char *player = def->player_name != NULL ? def->player_name : "player";
    world->player_name = rpi_copy_text(&world->host, player, strlen(player));
    if (def->lore != NULL)
        world->lore = rpi_copy_text(&world->host, def->lore, strlen(def->lore));
    world->def.player_name = world->player_name;
    world->def.lore = world->lore;
    world->def.worker_cpus = NULL;
    bool copied = world->player_name != NULL && (world->lore != NULL || def->lore == NULL);
    return copied ? RT_OK : rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: texts: out of memory");
}

static void find_stops(rp_world *world)
{
    rt_token eos = rt_tokenizer_eos(world->tokenizer);
    if (eos != RT_TOKEN_NONE)
        world->stops[world->stop_count++] = eos;
    for (size_t i = 0; i < RPI_COUNT(world->format->stop); i++) {
        rt_token stop = world->format->stop[i] != NULL ? rt_tokenizer_special(world->tokenizer, world->format->stop[i])
                                                       : RT_TOKEN_NONE;
        if (stop != RT_TOKEN_NONE && stop != eos && world->stop_count < RPI_MAX_STOPS)
            world->stops[world->stop_count++] = stop;
    }
}

static rt_result create_context(rp_world *world, const int32_t *worker_cpus)
{
    const rp_world_def *def = &world->def;
    uint64_t kv_tokens = def->kv_tokens;
    if (kv_tokens == 0)
        kv_tokens = RPI_MAX((uint64_t)def->max_active_turns * TOKENS_A_TURN, (uint64_t)LEAST_KV_TOKENS);
    rt_context_def context = rt_default_context_def();
    context.host = world->host;
    context.model = world->model;
    // A turn holds its prompt, two sides of a choice and its arguments; candidates are forked as rows allow.
    context.max_sequences = (def->max_active_turns + SPARE_SLOTS) * 4 + MOST_LOGITS_ROWS * RPI_PASSES;
    context.max_rows = RPI_MIN(RPI_MAX(def->max_prefill_rows, 32) + def->max_active_turns + SPARE_SLOTS, RT_MAX_PASS_ROWS);
    context.max_passes = RPI_PASSES;
    context.max_logits_rows = RPI_MIN(RPI_MAX(64, def->max_active_turns + SPARE_SLOTS), MOST_LOGITS_ROWS);
    context.kv_tokens = kv_tokens;
    context.kv_type = def->kv_type;
    context.worker_count = def->worker_count;
    context.worker_cpus = worker_cpus;
    context.worker_spin_us = def->worker_spin_us;
    world->most_context_size = world->context_size = (int32_t)RPI_MIN((uint64_t)world->info.context_size, kv_tokens);
    world->max_rows = context.max_rows;
    world->max_logits_rows = context.max_logits_rows;
    return rt_context_create(&context, &world->context);
}

static rt_result create_tables(rp_world *world)
{
    const rp_world_def *def = &world->def;
    int32_t slots = def->max_active_turns + SPARE_SLOTS;
    world->turn_capacity = def->max_queued_turns + slots;
    world->characters = rpi_allocate_zeroed(&world->host, (size_t)def->max_characters * sizeof *world->characters);
    world->turns = rpi_allocate_zeroed(&world->host, (size_t)world->turn_capacity * sizeof *world->turns);
    world->slots = rpi_allocate_zeroed(&world->host, (size_t)slots * sizeof *world->slots);
    if (world->characters == NULL || world->turns == NULL || world->slots == NULL)
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: tables: out of memory");
    for (; world->slot_count < slots; world->slot_count++) {
        rt_result result = rpi_slot_create(world, &world->slots[world->slot_count], world->slot_count);
        if (result != RT_OK) {
            rpi_slot_destroy(world, &world->slots[world->slot_count]);
            return result;
        }
    }
    if (!rpi_events_reserve(world, 256, 64 * 1024))
        return rpi_fail(&world->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: events: out of memory");
    return rpi_scheduler_create(world);
}

static rt_result build(rp_world *world, const rp_world_def *def)
{
    world->def = *def;
    world->host = rpi_meter_host(&world->meter, &def->host);
    world->model = rt_model_retain(def->model);
    world->tokenizer = rt_model_tokenizer(world->model);
    rt_model_get_info(world->model, &world->info);
    world->format = def->format;
    if (world->tokenizer == NULL)
        return rpi_fail(&world->host, RT_ERROR_INVALID_ARGUMENT,
                        "rp_world_create: the model has no tokenizer: name one in rt_model_def.tokenizer_path");
    rt_result result = copy_texts(world);
    if (result == RT_OK && world->format == NULL)
        result = rp_format_detect(world->tokenizer, &world->format);
    if (result == RT_OK)
        result = create_context(world, def->worker_cpus);
    if (result == RT_OK)
        find_stops(world);
    if (result == RT_OK)
        result = rpi_call_style_create(world);
    if (result == RT_OK)
        result = create_tables(world);
    if (result == RT_OK)
        rpi_pacer_init(world->pacer, &world->def.pacer);
    if (result == RT_OK && def->mode == RP_MODE_BACKGROUND)
        result = rpi_background_create(world);
    return result;
}

// A world and the parts that its rooms keep, in one piece of memory.
typedef struct whole {
    rp_world world; // first: its address is the whole's
    rpi_grammar_cache grammars;
    rpi_call_style call_style;
    rpi_scheduler scheduler;
    rpi_pacer pacer;
    rpi_background background;
} whole;

static rp_world *allocate(const rt_host *host)
{
    whole *fresh = rpi_allocate_zeroed(host, sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    fresh->world.grammars = &fresh->grammars;
    fresh->world.call_style = &fresh->call_style;
    fresh->world.scheduler = &fresh->scheduler;
    fresh->world.pacer = &fresh->pacer;
    fresh->world.background = &fresh->background;
    return &fresh->world;
}

rt_result rp_world_create(const rp_world_def *def, rp_world **world)
{
    if (def == NULL || world == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_create: a null pointer");
    *world = NULL;
    rt_result result = check_def(def);
    if (result != RT_OK)
        return result;
    rp_world *fresh = allocate(&def->host);
    if (fresh == NULL)
        return rpi_fail(&def->host, RT_ERROR_OUT_OF_MEMORY, "rp_world_create: the world: out of memory");
    result = build(fresh, def);
    if (result != RT_OK) {
        rp_world_destroy(fresh);
        return result;
    }
    *world = fresh;
    return RT_OK;
}

rt_result rp_world_set_kv_tokens(rp_world *world, uint64_t kv_tokens)
{
    if (world == NULL)
        return rpi_fail(NULL, RT_ERROR_INVALID_ARGUMENT, "rp_world_set_kv_tokens: no world");
    rt_result result = rpi_world_check_idle(world, "rp_world_set_kv_tokens");
    if (result != RT_OK)
        return result;
    rpi_world_lock(world);
    for (int p = 0; p < RPI_PASSES; p++)
        rpi_pass_drop(world, &world->scheduler->passes[p], RT_OK);
    result = rt_context_set_kv_tokens(world->context, kv_tokens);
    if (result == RT_OK)
        world->context_size = (int32_t)RPI_MIN((uint64_t)world->most_context_size, kv_tokens);
    rpi_world_unlock(world);
    return result;
}

static void free_tables(rp_world *world)
{
    for (int32_t i = 0; i < world->slot_count; i++)
        rpi_slot_destroy(world, &world->slots[i]);
    for (int32_t i = 0; world->turns != NULL && i < world->turn_capacity; i++)
        if (world->turns[i].alive)
            rpi_turn_recycle(world, &world->turns[i]);
    for (int32_t i = 0; world->characters != NULL && i < world->def.max_characters; i++)
        rpi_character_free(world, &world->characters[i]);
    for (size_t i = 0; i < world->tool_count; i++)
        rpi_tool_free(world, &world->tools[i]);
    const rt_host *host = &world->host;
    rpi_release(host, world->slots, (size_t)(world->def.max_active_turns + SPARE_SLOTS) * sizeof *world->slots);
    rpi_release(host, world->turns, (size_t)world->turn_capacity * sizeof *world->turns);
    rpi_release(host, world->characters, (size_t)world->def.max_characters * sizeof *world->characters);
    rpi_release(host, world->tools, world->tool_capacity * sizeof *world->tools);
}

void rp_world_destroy(rp_world *world)
{
    if (world == NULL || rpi_world_check_idle(world, "rp_world_destroy") != RT_OK)
        return;
    rpi_background_destroy(world);
    rpi_scheduler_destroy(world); // abandons the passes, so that sequences can be given back
    free_tables(world);
    rpi_grammar_cache_free(world);
    rpi_call_style_free(world);
    rt_vocabulary_release(world->vocabulary);
    rt_context_destroy(world->context);
    rpi_events_free(world);
    rpi_trace_free(world);
    rpi_record_stop(world);
    rpi_release_text(&world->host, world->lore);
    rpi_release_text(&world->host, world->player_name);
    rt_model_close(world->model);
    rt_host game = world->meter.game;
    rpi_release(&game, world, sizeof(whole));
}

rt_model *rp_world_model(const rp_world *world)
{
    return world != NULL ? world->model : NULL;
}

const rp_format *rp_world_format(const rp_world *world)
{
    return world != NULL ? world->format : NULL;
}

bool rp_world_is_busy(const rp_world *world)
{
    if (world == NULL)
        return false;
    rpi_world_lock(world);
    bool busy = false;
    for (int32_t i = 0; i < world->turn_capacity && !busy; i++)
        busy = world->turns[i].alive && !world->turns[i].ended;
    rpi_world_unlock(world);
    return busy;
}
