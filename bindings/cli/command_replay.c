// repartee replay: a recording played again, on this machine, to the same words.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "frames.h"
#include "options.h"

#include "repartee/record.h"

typedef struct replay_options {
    model_options model;
    const char *mode;
    int64_t budget;
    bool json;
} replay_options;

static int play(const replay_options *o, const char *path, rt_model *model)
{
    rp_world_def def = rp_default_world_def();
    def.host = cli_host();
    def.model = model;
    def.worker_count = o->model.threads > 1 ? (int32_t)o->model.threads - 1 : 0;
    if (o->mode)
        def.mode = o->mode[0] == 'b' ? RP_MODE_BACKGROUND : o->mode[0] == 'h' ? RP_MODE_HEADLESS : RP_MODE_INLINE;
    rp_replay replay;
    if (rp_recording_play(path, &def, o->budget > 0 ? (uint32_t)o->budget : RP_BUDGET_UNLIMITED, &replay) != RT_OK)
        return failure("replay", NULL);
    json_t *out = json_object();
    figure_count(out, "turns", (uint64_t)replay.turns);
    figure_count(out, "different", (uint64_t)replay.different);
    if (replay.different) {
        figure_count(out, "first_line", (uint64_t)replay.first_line);
        json_object_set_new(out, "recorded", json_string(replay.recorded));
        json_object_set_new(out, "played", json_string(replay.played));
    }
    int exit_code = figures_print("replay", out, o->json);
    return exit_code == EXIT_DONE && replay.different ? EXIT_FAILED : exit_code;
}

int command_replay(int argc, char **argv)
{
    replay_options o = {.model = {.threads = 1}};
    const char *path[1];
    const option options[] = {
        MODEL_OPTIONS(o.model),
        {"budget", OPTION_INTEGER, &o.budget, "US", "microseconds of each update, default: no limit", 50, 1000000},
        {"mode", OPTION_CHOICE, &o.mode, "inline|background|headless", "how the world works", 0, 0},
        {"json", OPTION_FLAG, &o.json, "", "one JSON object", 0, 0},
    };
    command_line line = {
        .command = "replay",
        .usage = "FILE.jsonl [--model FILE] [--budget US] [--threads N] [--isa NAME] [--mode MODE]",
        .about = "Plays the turns of a recording again and compares their words: they depend on the model and on what\n"
                 "was recorded, not on this machine. Fails where any are different.",
        OPTIONS(options),
        .least_operands = 1,
        .most_operands = 1,
        .operands = path,
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_model *model;
    exit_code = open_model("replay", &o.model, &model);
    if (exit_code != EXIT_DONE)
        return exit_code;
    exit_code = play(&o, path[0], model);
    rt_model_close(model);
    return exit_code;
}
