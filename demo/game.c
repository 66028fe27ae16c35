// game.c - the rules of the evening.
// SPDX-License-Identifier: MIT
#include "game.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const game_drinks[3] = {"ale", "mead", "wine"};

bool game_start(game *g)
{
    static const struct {
        const char *key, *name;
        float x;
    } people[PEOPLE] = {{"marta", "Marta", 960}, {"harker", "Captain Harker", 395}, {"lysa", "Lysa", 1480}};
    memset(g, 0, sizeof(*g));
    g->lines = calloc(MAX_LINES, sizeof(*g->lines));
    for (int i = 0; i < PEOPLE; i++) {
        g->people[i].key = people[i].key;
        snprintf(g->people[i].name, sizeof(g->people[i].name), "%s", people[i].name);
        snprintf(g->people[i].emotion, sizeof(g->people[i].emotion), "neutral");
        g->people[i].x = people[i].x;
        g->people[i].line = -1;
        g->people[i].quiet = 1e6;
    }
    g->player_x = 1215;
    g->player_left = true;
    g->camera_x = g->player_x - VIEW_WIDTH / 2;
    g->gold = 20;
    g->gold_shown = 20;
    g->stock[0] = 12;
    g->stock[1] = 6;
    g->stock[2] = 3;
    return g->lines != NULL;
}

void game_end(game *g)
{
    free(g->lines);
    g->lines = NULL;
}

// Moves `value` towards `target`, covering most of the way in `time` seconds.
static float towards(float value, float target, double seconds, double time)
{
    return value + (target - value) * (float)(1.0 - exp(-3.0 * seconds / time));
}

static void walk(game *g, double seconds, int direction)
{
    g->player_speed = towards(g->player_speed, (float)direction * 330.0f, seconds, 0.25);
    if (fabsf(g->player_speed) > 4.0f) {
        g->player_left = g->player_speed < 0;
        g->player_step += g->player_speed * (float)seconds / 60.0f;
    }
    g->player_x += g->player_speed * (float)seconds;
    if (g->player_x < 240 || g->player_x > ROOM_WIDTH - 220) {
        g->player_x = g->player_x < 240 ? 240 : ROOM_WIDTH - 220;
        g->player_speed = 0;
    }
    float target = g->player_x - VIEW_WIDTH / 2;
    target = target < 0 ? 0 : target > ROOM_WIDTH - VIEW_WIDTH ? ROOM_WIDTH - VIEW_WIDTH : target;
    g->camera_x = towards(g->camera_x, target, seconds, 0.7);
}

// Words become visible at a reading pace, and never behind what has come by more than a moment.
static void speak(person *p, double seconds)
{
    double waiting = (double)p->said_size - p->shown;
    p->quiet += seconds;
    if (waiting <= 0) {
        if (p->ends && p->mood == MOOD_SPEAKING) {
            p->mood = MOOD_IDLE;
        }
        return;
    }
    double pace = 34.0 + waiting * 1.5;
    size_t before = (size_t)p->shown;
    p->shown += pace * seconds;
    if (p->shown > (double)p->said_size) {
        p->shown = (double)p->said_size;
    }
    if ((size_t)p->shown > before) {
        p->quiet = 0;
    }
    p->mood = MOOD_SPEAKING;
}

void game_advance(game *g, double seconds, int direction)
{
    g->time += seconds;
    g->frame++;
    walk(g, seconds, direction);
    for (int i = 0; i < PEOPLE; i++) {
        speak(&g->people[i], seconds);
        if (g->people[i].music > 0) {
            g->people[i].music -= (float)seconds;
        }
    }
    for (int i = 0; i < g->cup_count; i++) {
        cup *c = &g->cups[i];
        c->age += (float)seconds;
        if (c->age > 0.5f && c->fill < 1) {
            c->fill = c->fill + (float)seconds / 1.1f > 1 ? 1 : c->fill + (float)seconds / 1.1f;
        }
    }
    for (int i = 0; i < g->toast_count; i++) {
        g->toasts[i].age += (float)seconds;
    }
    while (g->toast_count > 0 && g->toasts[g->toast_count - 1].age > 15) {
        g->toast_count--;
    }
    g->key_age += g->has_key ? (float)seconds : 0;
    g->map_age += g->has_map ? (float)seconds : 0;
    g->soup_age += g->has_soup ? (float)seconds : 0;
    g->gold_shown = towards(g->gold_shown, (float)g->gold, seconds, 0.8);
}

who game_nearest(const game *g)
{
    who best = NOBODY;
    float least = 260;
    for (int i = 0; i < PEOPLE; i++) {
        float away = fabsf(g->people[i].x - g->player_x);
        if (away < least) {
            least = away;
            best = (who)i;
        }
    }
    return best;
}

who game_find(const game *g, const char *key)
{
    for (int i = 0; i < PEOPLE; i++) {
        if (strcmp(g->people[i].key, key) == 0) {
            return (who)i;
        }
    }
    return NOBODY;
}

int game_add_line(game *g, int speaker, const char *name, bool ambient)
{
    if (g->line_count >= MAX_LINES) {
        return -1;
    }
    spoken_line *line = &g->lines[g->line_count];
    memset(line, 0, sizeof(*line));
    line->who = speaker;
    line->ambient = ambient;
    line->frame = g->frame;
    snprintf(line->speaker, sizeof(line->speaker), "%s", name);
    return g->line_count++;
}

void game_append(game *g, int line, const char *text, size_t size)
{
    if (line < 0) {
        return;
    }
    char *to = g->lines[line].text;
    size_t used = strlen(to);
    if (used + size < LINE_SIZE) {
        memcpy(to + used, text, size);
        to[used + size] = 0;
    }
}

toast *game_add_toast(game *g, const char *text)
{
    int keep = g->toast_count < MAX_TOASTS - 1 ? g->toast_count : MAX_TOASTS - 1;
    memmove(&g->toasts[1], &g->toasts[0], (size_t)keep * sizeof(g->toasts[0]));
    g->toast_count = keep + 1;
    memset(&g->toasts[0], 0, sizeof(g->toasts[0]));
    snprintf(g->toasts[0].text, sizeof(g->toasts[0].text), "%s", text);
    return &g->toasts[0];
}
