// play.h - an evening from a file: walks, lines and waits, one step after the other, for machines without a display.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_PLAY_H
#define GRIFFIN_PLAY_H

#include "minds.h"

typedef struct play_step {
    int kind;
    float seconds;
    who person;
    char text[512];
} play_step;

typedef struct play {
    play_step *steps;
    int count, at;
    double since;      // seconds in this step
    bool begun;
    bool wants_picture; // set by a `picture` step; whoever takes it clears it
} play;

// False: the reason, with file and line, is on stderr.
bool play_open(play *p, const game *g, const char *path);
void play_close(play *p);
// Takes the steps of this frame. Returns the direction in which the player walks.
int play_advance(play *p, minds *m, double seconds);
bool play_is_over(const play *p);

#endif
