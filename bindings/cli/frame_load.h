// frame_load.h - repartee frame --gpu-load: characters talking beside a real OpenGL load on the same GPU.
// SPDX-License-Identifier: MIT
#ifndef CLI_FRAME_LOAD_H
#define CLI_FRAME_LOAD_H

#include "stage.h"

typedef struct load_play {
    const stage_options *stage; // characters 0: 1, 8 and 32 in turn
    double weight_ms;           // GPU milliseconds that a frame wants alone
    int64_t frames;             // of each run
    const char *frames_path;    // a .csv of every frame, or NULL
    const char *picture_path;   // a .ppm of what is drawn, or NULL
} load_play;

// Plays the load alone, with characters under the pacer, and with a decode loop that knows no budget; prints the figures.
// Returns the exit code.
int frame_load_play(const load_play *play);

#endif
