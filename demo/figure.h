// figure.h - the people of the tavern as layered shapes: heads with faces that move, and bodies that breathe.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_FIGURE_H
#define GRIFFIN_FIGURE_H

#include "game.h"
#include "shapes.h"

// What a face and a body are doing now. Everything eases towards its target.
typedef struct pose {
    float look_x, look_y;   // where the eyes look, -1 to 1
    float turn;             // of the head, -1 to 1
    float tilt;             // radians
    float blink;            // 0 open, 1 closed
    float brow, brow_angle; // raised (+) or lowered; inner ends up (+) or down
    float smile;            // -1 to 1
    float open, wide, round; // of the mouth
    float breath;           // -1 to 1
    float hand;             // phase of what the hands do
    float busy;             // 0 to 1: how much they do it
} pose;

// Keeps a pose alive between frames.
typedef struct actor {
    pose now;
    double next_blink, next_glance, glance_x, phase;
    float talk;
    uint32_t seed;
} actor;

void actor_start(actor *a, uint32_t seed);
// Moves the pose: breathing, blinking, looking at the player, the mouth to what is being said, the brows to the emotion.
void actor_advance(actor *a, const game *g, int index, double seconds);

typedef struct face_look {
    colour skin, skin_dark, skin_light, blush, lip, brow, iris;
    float width, height, jaw;  // shares of the usual face
    float brow_thickness;
    float age;                 // 0 to 1: lines
} face_look;

// A head around (0, 0) of about 100 by 125 units, without hair.
void draw_face(canvas *c, const face_look *look, const pose *p);

// Each around the base of its neck. The light comes from the fire, on the left (-1) or the right (1).
void draw_marta(canvas *c, const pose *p);
void draw_harker(canvas *c, const pose *p);
void draw_lysa(canvas *c, const pose *p);
// Seen from behind; `step` is the phase of the walk, `moving` how much it shows.
void draw_player(canvas *c, float step, float moving, float time);

#endif
