// room.h - the tavern: painted once in layers, lit anew each frame.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_ROOM_H
#define GRIFFIN_ROOM_H

#include "figure.h"

#include <SDL.h>

enum { MAX_SPARKS = 72, FIGURE_WIDTH = 330, FIGURE_HEIGHT = 552 };

typedef struct spark {
    float x, y, vx, vy, age, life;
    int kind; // 0 ember, 1 note, 2 steam, 3 dust in the light
} spark;

typedef struct room {
    SDL_Renderer *renderer;
    SDL_Texture *sky, *wall, *bar, *front, *glow, *vignette, *flame, *note;
    SDL_Texture *mug[3], *soup;
    SDL_Texture *people[PEOPLE], *player;
    actor actors[PEOPLE];
    canvas paper;         // figures are painted here, one a frame
    int next;             // whose turn it is to be painted
    spark sparks[MAX_SPARKS];
    uint32_t seed;
    uint8_t *pixels;      // of one figure
} room;

// False: out of memory, or the renderer refused a texture.
bool room_open(room *r, SDL_Renderer *renderer);
void room_close(room *r);
void room_advance(room *r, const game *g, double seconds);
void room_draw(room *r, const game *g);
// Where somebody's head is in the picture: bubbles point there.
void room_head(const game *g, int index, float *x, float *y);

// paint_room.c: the layers.
void paint_sky(canvas *c);
void paint_wall(canvas *c);
void paint_bar(canvas *c);
void paint_front(canvas *c);
void paint_mug(canvas *c, int drink);
void paint_soup(canvas *c);

enum { SKY_WIDTH = 1500, FRONT_WIDTH = 2180, MUG_WIDTH = 48, MUG_HEIGHT = 60, COUNTER_Y = 446 };

// A canvas as a texture; NULL when there is none to be had.
SDL_Texture *texture_of(SDL_Renderer *renderer, const canvas *c);

#endif
