// play.c - reads an evening and plays it.
// SPDX-License-Identifier: MIT
#include "play.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An answer that does not end (a model that cannot keep up with its budget) does not hold up the evening.
static const double MOST_PATIENCE = 90; // seconds

enum { STEP_WAIT, STEP_WALK, STEP_SAY, STEP_LISTEN, STEP_HEAR, STEP_MEANWHILE, STEP_PICTURE, STEP_KINDS, MAX_STEPS = 512 };

static const char *const step_names[STEP_KINDS] = {"wait", "walk", "say", "listen", "hear", "meanwhile", "picture"};

static bool read_step(play_step *step, const game *g, char *line, const char *path, int number)
{
    char *rest = line + strcspn(line, " \t");
    if (*rest) {
        *rest++ = 0;
        rest += strspn(rest, " \t");
    }
    step->kind = 0;
    while (step->kind < STEP_KINDS && strcmp(step_names[step->kind], line) != 0) {
        step->kind++;
    }
    if (step->kind == STEP_KINDS) {
        fprintf(stderr, "griffin: %s:%d: '%s' is no step: wait, walk, say, listen, hear, meanwhile and picture are\n", path, number, line);
        return false;
    }
    snprintf(step->text, sizeof(step->text), "%s", rest);
    step->seconds = (float)atof(rest);
    step->person = game_find(g, rest);
    if (step->kind == STEP_WALK && step->person == NOBODY) {
        fprintf(stderr, "griffin: %s:%d: nobody here is called '%s'\n", path, number, rest);
        return false;
    }
    if (step->kind == STEP_WAIT && !(step->seconds >= 0 && step->seconds < 3600)) {
        fprintf(stderr, "griffin: %s:%d: wait takes a number of seconds\n", path, number);
        return false;
    }
    return true;
}

bool play_open(play *p, const game *g, const char *path)
{
    memset(p, 0, sizeof(*p));
    FILE *file = fopen(path, "rb");
    p->steps = calloc(MAX_STEPS, sizeof(*p->steps));
    if (!file || !p->steps) {
        fprintf(stderr, "griffin: %s cannot be read: %s\n", path, strerror(errno));
        if (file) {
            fclose(file);
        }
        play_close(p);
        return false;
    }
    char line[600];
    bool fine = true;
    for (int number = 1; fine && p->count < MAX_STEPS && fgets(line, sizeof(line), file); number++) {
        line[strcspn(line, "\r\n")] = 0;
        char *begin = line + strspn(line, " \t");
        if (*begin && *begin != '#') {
            fine = read_step(&p->steps[p->count++], g, begin, path, number);
        }
    }
    if (ferror(file)) { // a folder, or a disk that fails
        fprintf(stderr, "griffin: %s cannot be read: %s\n", path, strerror(errno));
        fine = false;
    }
    fclose(file);
    if (!fine) {
        play_close(p);
    }
    return fine;
}

void play_close(play *p)
{
    free(p->steps);
    memset(p, 0, sizeof(*p));
}

bool play_is_over(const play *p)
{
    return p->at >= p->count;
}

// Where the player stands to talk to somebody: on the side that is nearer.
static int walk_direction(const game *g, who to)
{
    float x = g->people[to].x, side = g->player_x < x ? -1.0f : 1.0f;
    float away = x + side * 232.0f - g->player_x;
    if (fabsf(away) < 14) {
        return 0;
    }
    return away < 0 ? -1 : 1;
}

// Whether a few words of the answer can be read.
static bool has_spoken(const game *g)
{
    for (int i = 0; i < PEOPLE; i++) {
        const person *p = &g->people[i];
        if (p->focus && p->mood == MOOD_SPEAKING && (p->shown > 36 || p->ends)) {
            return true;
        }
    }
    return false;
}

// One step. True: it is over.
static bool take_step(play *p, minds *m, int *direction)
{
    const play_step *step = &p->steps[p->at];
    game *g = m->game;
    switch (step->kind) {
    case STEP_WALK:
        if (!p->begun) {
            minds_approach(m, step->person);
        }
        *direction = walk_direction(g, step->person);
        return *direction == 0 && fabsf(g->player_speed) < 8;
    case STEP_SAY:
        minds_say(m, game_nearest(g), step->text);
        return true;
    case STEP_LISTEN: return !minds_answering(m) || p->since > MOST_PATIENCE;
    case STEP_HEAR: return !minds_answering(m) || has_spoken(g) || p->since > MOST_PATIENCE;
    case STEP_MEANWHILE:
        for (int i = 0; i < PEOPLE; i++) {
            minds_chatter(m);
        }
        return true;
    case STEP_PICTURE:
        p->wants_picture = true;
        return true;
    default: return p->since >= step->seconds;
    }
}

int play_advance(play *p, minds *m, double seconds)
{
    int direction = 0;
    p->since += seconds;
    while (!play_is_over(p) && !p->wants_picture) {
        if (!take_step(p, m, &direction)) {
            p->begun = true;
            break;
        }
        p->at++;
        p->since = 0;
        p->begun = false;
    }
    return direction;
}
