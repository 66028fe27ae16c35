// stage.h - a model, a world, and characters in it that never stop talking: what the frame commands play with.
// SPDX-License-Identifier: MIT
#ifndef CLI_STAGE_H
#define CLI_STAGE_H

#include "frames.h"

// N characters in a world, each given the next line as soon as it has answered.
typedef struct cast {
    rp_world *world;
    rp_character_id *ids;
    bool *talking;
    int count, next_line;
    int first_talker; // cast_keep_talking begins with this one
    samples first_text; // microseconds from the line to the first word
    uint64_t replies, failures;
} cast;
bool cast_create(cast *cast, rp_world *world, int count);
void cast_keep_talking(cast *cast);
void cast_say(cast *cast, int index, rp_priority priority); // the next line to one of them
void cast_take_event(cast *cast, const rp_event *event);
void cast_take_events(cast *cast);
// Updates with large budgets until everybody has answered `rounds` times on average (or 30 seconds are over): buffers have
// grown, the cost table has seen every kind of slice.
void cast_warm_up(cast *cast, int rounds);
void cast_destroy(cast *cast); // not the world

// The options that the frame commands have in common.
typedef struct stage_options {
    model_options model;
    const char *clock, *lore;
    int64_t characters, fps;
    bool json;
} stage_options;
#define STAGE_OPTIONS(options)                                                                                          \
    MODEL_OPTIONS((options).model),                                                                                     \
        {"characters", OPTION_INTEGER, &(options).characters, "N", "who talk all the time", 1, 256},                    \
        {"fps", OPTION_INTEGER, &(options).fps, "N", "frames a second of the display, default 60", 1, 1000},            \
        {"clock", OPTION_CHOICE, &(options).clock, "wall|thread", "thread: by processor time, without waiting", 0, 0},  \
    {                                                                                                                   \
        "json", OPTION_FLAG, &(options).json, "", "one JSON object", 0, 0                                               \
    }

typedef struct stage {
    const char *command;
    rt_model *model;
    rp_world *world;
    cast cast;
} stage;
// Opens the model and fills the world. Returns the exit code; what it could not do is said.
int stage_begin(stage *stage, const char *command, const stage_options *options);
// The same with a model that is open already, whose reference it takes.
int stage_begin_with(stage *stage, const char *command, const stage_options *options, rt_model *model);
// Prints the figures (takes the reference), unless a turn has failed. Returns the exit code.
int stage_report(const stage *stage, const stage_options *options, json_t *figures);
void stage_end(stage *stage); // after stage_begin, whatever came of it

#endif
