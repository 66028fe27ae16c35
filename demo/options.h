// options.h - how the evening was asked for.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_OPTIONS_H
#define GRIFFIN_OPTIONS_H

#include "minds.h"

typedef struct options {
    minds_def minds;
    const char *play, *report, *screenshot;
    uint32_t budget_us; // RP_BUDGET_PACED: what the frames allow
    int frames;         // 0: until it is over
    double load_ms;     // of OpenGL in each frame beside the demo's own, which is light
    bool headless, paced;
    bool verbose;
} options;

// True: go on. False: *exit_code says how to end: 0 after --help, 2 where something was not understood (and said on stderr).
bool options_read(options *o, int count, char **words, int *exit_code);

#endif
