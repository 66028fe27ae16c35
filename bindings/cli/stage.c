// SPDX-License-Identifier: MIT
#include "stage.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------------------------
// The cast
// ---------------------------------------------------------------------------------------------------------------------

static const char *const trades[] = {"innkeeper", "guard", "smith", "fisher", "herbalist", "bard", "baker", "ferryman"};
static const char *const tempers[] = {"dry and patient", "loud and cheerful", "suspicious of strangers",
                                      "kind but tired"};
static const char *const lines[] = {
    "Good evening. What news from the harbour?",
    "I lost a silver ring by the old mill. Have you seen it?",
    "How long have you lived in this town?",
    "They say the bridge is closed. Is that true?",
    "What would you do if a dragon came down from the hills?",
    "Can you tell me the way to the market square?",
    "I have three gold pieces. What can I buy for that?",
};

bool cast_create(cast *c, rp_world *world, int count)
{
    *c = (cast){.world = world, .count = count};
    c->ids = calloc((size_t)count, sizeof *c->ids);
    c->talking = calloc((size_t)count, sizeof *c->talking);
    if (!c->ids || !c->talking)
        return false;
    for (int i = 0; i < count; i++) {
        char name[32], persona[256];
        snprintf(name, sizeof name, "Villager %d", i + 1);
        snprintf(persona, sizeof persona,
                 "You are %s, a %s of the town of Harrowmere, %s. Answer in one or two short sentences, and never "
                 "leave your role.",
                 name, trades[i % 8], tempers[i / 8 % 4]);
        rp_character_def def = rp_default_character_def();
        def.name = name;
        def.persona = persona;
        def.max_history_turns = 4;
        def.max_reply_tokens = 48;
        if (rp_character_create(world, &def, &c->ids[i]) != RT_OK)
            return false;
    }
    return true;
}

void cast_say(cast *c, int index, rp_priority priority)
{
    rp_say say = {.text = lines[c->next_line++ % 7], .priority = priority};
    rp_turn_id turn;
    c->talking[index] = rp_character_say(c->world, c->ids[index], &say, &turn) == RT_OK;
    c->failures += !c->talking[index];
}

void cast_keep_talking(cast *c)
{
    for (int i = c->first_talker; i < c->count; i++)
        if (!c->talking[i])
            cast_say(c, i, i == 0 ? RP_PRIORITY_FOCUS : i < 4 ? RP_PRIORITY_NEARBY : RP_PRIORITY_AMBIENT);
}

static int index_of(const cast *c, rp_character_id id)
{
    for (int i = 0; i < c->count; i++)
        if (RP_ID_EQUAL(c->ids[i], id))
            return i;
    return -1;
}

void cast_take_event(cast *c, const rp_event *event)
{
    int index = index_of(c, event->character);
    bool over = event->kind == RP_EVENT_TURN_DONE || event->kind == RP_EVENT_TURN_FAILED ||
                event->kind == RP_EVENT_TURN_CANCELLED || event->kind == RP_EVENT_TURN_DROPPED;
    if (!over || index < 0)
        return;
    c->talking[index] = false;
    if (event->kind == RP_EVENT_TURN_DONE) {
        c->replies++;
        samples_add(&c->first_text, (double)event->first_text_us);
    } else if (event->kind != RP_EVENT_TURN_CANCELLED) {
        c->failures++;
    }
}

void cast_take_events(cast *c)
{
    rp_event event;
    while (rp_world_next_event(c->world, &event))
        cast_take_event(c, &event);
}

void cast_warm_up(cast *c, int rounds)
{
    uint64_t limit = clock_ns() + 30000000000u;
    while (c->replies < (uint64_t)rounds * (uint64_t)c->count && clock_ns() < limit && c->failures == 0) {
        cast_keep_talking(c);
        rp_world_update(c->world, 20000);
        cast_take_events(c);
    }
    c->first_text.count = 0;
    c->replies = 0;
}

void cast_destroy(cast *c)
{
    free(c->ids);
    free(c->talking);
    samples_free(&c->first_text);
    memset(c, 0, sizeof *c);
}

// ---------------------------------------------------------------------------------------------------------------------
// The stage
// ---------------------------------------------------------------------------------------------------------------------

int stage_begin(stage *s, const char *command, const stage_options *options)
{
    rt_model *model;
    *s = (stage){.command = command};
    int exit_code = open_model(command, &options->model, &model);
    return exit_code == EXIT_DONE ? stage_begin_with(s, command, options, model) : exit_code;
}

int stage_begin_with(stage *s, const char *command, const stage_options *options, rt_model *model)
{
    *s = (stage){.command = command, .model = model};
    frames_use_clock(options->clock);
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = s->model;
    def.lore = options->lore;
    def.worker_count = options->model.threads > 1 ? (int32_t)options->model.threads - 1 : 0;
    def.max_active_turns = options->characters < 8 ? 8 : options->characters > 32 ? 32 : (int32_t)options->characters;
    def.pacer.target_frame_us = (uint32_t)(1000000 / options->fps);
    def.clock_ns = frames_are_real() ? NULL : frames_clock;
    if (rp_world_create(&def, &s->world) != RT_OK || !cast_create(&s->cast, s->world, (int)options->characters))
        return failure(command, NULL);
    return EXIT_DONE;
}

int stage_report(const stage *s, const stage_options *options, json_t *figures)
{
    if (s->cast.failures == 0)
        return figures_print(s->command, figures, options->json);
    json_decref(figures);
    return failure(s->command, "%llu turns failed: %s", (unsigned long long)s->cast.failures, rt_error_message());
}

void stage_end(stage *s)
{
    cast_destroy(&s->cast);
    rp_world_destroy(s->world);
    rt_model_close(s->model);
}
