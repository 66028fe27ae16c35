// report.h - what happened, in words on stdout and as one JSON file.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_REPORT_H
#define GRIFFIN_REPORT_H

#include "minds.h"
#include "times.h"

#include "repartee_load/gpu_load.h"

typedef struct report_def {
    const char *path;     // of the JSON file, or NULL
    const char *picture;  // where the picture is, or NULL
    uint32_t budget_us;
    const gpu_load *load; // that was drawn beside the game, or NULL
} report_def;

void report_print(const report_def *def, const minds *m, const frame_times *times);
// False: the reason is on stderr.
bool report_write(const report_def *def, const minds *m, const frame_times *times);

#endif
