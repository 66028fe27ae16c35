// actor.c - how people hold themselves: small motions that never stop.
// SPDX-License-Identifier: MIT
#include "figure.h"

#include <math.h>
#include <string.h>

void actor_start(actor *a, uint32_t seed)
{
    memset(a, 0, sizeof(*a));
    a->seed = seed;
    a->next_blink = 0.7 + seed % 5 * 0.6;
    a->phase = seed % 7 * 0.9;
}

static float chance(actor *a)
{
    return noise1(a->seed = a->seed * 1664525u + 1013904223u);
}

static void ease(float *value, float target, double seconds, double time)
{
    *value += (target - *value) * (float)(1 - exp(-3 * seconds / time));
}

// The shape of the mouth for the letter that is being spoken.
static void mouth_for(const person *p, float *open, float *wide, float *round)
{
    size_t at = (size_t)p->shown;
    unsigned char letter = at > 0 && at <= p->said_size ? (unsigned char)p->said[at - 1] : 0;
    *open = 0.35f, *wide = 0.3f, *round = 0;
    switch (letter | 0x20) {
    case 'a': *open = 1.0f, *wide = 0.45f; break;
    case 'e': *open = 0.5f, *wide = 0.9f; break;
    case 'i': case 'y': *open = 0.35f, *wide = 1.0f; break;
    case 'o': *open = 0.8f, *wide = 0, *round = 0.9f; break;
    case 'u': case 'w': *open = 0.45f, *wide = 0, *round = 1.0f; break;
    case 'm': case 'b': case 'p': *open = 0, *wide = 0.2f; break;
    case 'f': case 'v': *open = 0.12f, *wide = 0.5f; break;
    case 'l': case 't': case 'd': case 'n': case 'r': *open = 0.4f, *wide = 0.5f; break;
    case 's': case 'z': case 'c': *open = 0.18f, *wide = 0.8f; break;
    default:
        if (letter == ' ' || letter == '.' || letter == ',' || letter == '!' || letter == '?') {
            *open = 0.06f, *wide = 0.2f;
        }
        break;
    }
}

static void express(const person *p, float *smile, float *brow, float *angle)
{
    static const struct {
        const char *name;
        float smile, brow, angle;
    } table[] = {{"amused", 0.75f, 0.35f, 0.1f}, {"warm", 0.6f, 0.1f, 0.35f}, {"happy", 0.8f, 0.4f, 0.1f}, {"stern", -0.35f, -0.6f, -0.8f},
                 {"sad", -0.55f, 0.1f, 0.9f},    {"angry", -0.5f, -0.8f, -1}, {"surprised", 0.1f, 1, 0.2f}};
    *smile = 0.22f, *brow = 0, *angle = 0.05f;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(p->emotion, table[i].name) == 0) {
            *smile = table[i].smile, *brow = table[i].brow, *angle = table[i].angle;
        }
    }
    if (p->mood == MOOD_SPEAKING && p->shown > 0) { // a question lifts the brows
        const char *end = strpbrk(p->said + (size_t)p->shown - 1, ".?!");
        *brow += end && *end == '?' ? 0.5f : end && *end == '!' ? 0.3f : 0;
    }
    if (p->mood == MOOD_THINKING) {
        *brow += 0.35f;
    }
}

void actor_advance(actor *a, const game *g, int index, double seconds)
{
    const person *p = &g->people[index];
    pose *n = &a->now;
    a->phase += seconds;
    n->breath = sinf((float)a->phase * 1.6f);
    a->next_blink -= seconds;
    if (a->next_blink < -0.16) {
        a->next_blink = 1.4 + 3.8 * chance(a);
    }
    n->blink = a->next_blink < 0 ? 1 - fabsf((float)a->next_blink + 0.08f) / 0.08f : 0;
    n->blink = n->blink < 0 ? 0 : n->blink;

    // Eyes on the player when near or spoken to; else somewhere in the room, and elsewhere a moment later.
    float away = g->player_x - p->x;
    bool attends = fabsf(away) < 420 || p->focus;
    a->next_glance -= seconds;
    if (a->next_glance < 0) {
        a->next_glance = 0.9 + 2.5 * chance(a);
        a->glance_x = chance(a) * 2 - 1;
    }
    float side = away / 260 > 1 ? 1 : away / 260 < -1 ? -1 : away / 260;
    float wanted_x = attends ? side : (float)a->glance_x, wanted_y = attends ? 0.25f : 0.1f;
    if (p->mood == MOOD_THINKING && sin(a->phase * 1.3) > 0.2) { // looks up for words
        wanted_x = 0.55f * (index == HARKER ? -1.0f : 1.0f);
        wanted_y = -0.8f;
    }
    ease(&n->look_x, wanted_x, seconds, 0.18);
    ease(&n->look_y, wanted_y, seconds, 0.18);
    ease(&n->turn, 0.75f * wanted_x, seconds, 0.9);

    bool speaking = p->mood == MOOD_SPEAKING && p->quiet < 0.25;
    float open = 0, wide = 0.25f, round = 0, smile, brow, angle;
    if (speaking) {
        mouth_for(p, &open, &wide, &round);
    }
    express(p, &smile, &brow, &angle);
    ease(&n->open, open, seconds, 0.09);
    ease(&n->wide, wide, seconds, 0.12);
    ease(&n->round, round, seconds, 0.12);
    ease(&n->smile, smile, seconds, 0.5);
    ease(&n->brow, brow, seconds, 0.35);
    ease(&n->brow_angle, angle, seconds, 0.4);
    ease(&a->talk, speaking ? 1 : 0, seconds, 0.4);
    ease(&n->tilt, 0.05f * n->turn + 0.03f * sinf((float)a->phase * 0.7f) + a->talk * 0.035f * sinf((float)a->phase * 5.1f), seconds, 0.25);
    float busy = index == LYSA ? (p->music > 0 ? 1.0f : 0.15f) : index == MARTA ? (p->mood == MOOD_IDLE ? 1.0f : 0.25f) : 0.4f;
    ease(&n->busy, busy, seconds, 0.5);
    n->hand += (float)seconds * (index == LYSA ? 9.0f : 3.2f) * (0.2f + n->busy);
}
