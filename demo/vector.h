// vector.h - shapes with smooth edges on a canvas of floats: paths, gradients, strokes, masks.
//
// Coverage is exact: each edge adds its signed area to the pixels it crosses (the accumulation of Raph Levien's font-rs). Colours
// are premultiplied on the canvas.
//
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_VECTOR_H
#define GRIFFIN_VECTOR_H

#include "paint.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct canvas {
    int width, height;
    float *pixels;   // premultiplied r, g, b, a
    float *cover;    // what edges add to, (width + 2) a row
    float *mask;     // NULL: none
    float *mask_memory;
    int mask_top, mask_bottom; // rows of the mask that are not zero
    float m[6];      // x' = m0 x + m2 y + m4, y' = m1 x + m3 y + m5
    float saved[8][6];
    int depth;
    float x, y, start_x, start_y; // the pen, transformed
    float left, top, right, bottom; // of the path
    float opacity;
} canvas;

bool canvas_create(canvas *c, int width, int height);
void canvas_destroy(canvas *c);
void canvas_clear(canvas *c);
// To 8 bits a channel, b g r a in memory, with a fixed pattern of noise below one step that hides banding.
void canvas_read(const canvas *c, uint8_t *bgra, int pitch);

void push(canvas *c);
void pop(canvas *c);
void translate(canvas *c, float x, float y);
void rotate(canvas *c, float radians);
void scale(canvas *c, float x, float y);

// A path is filled (or becomes the mask) and is then gone.
void move_to(canvas *c, float x, float y);
void line_to(canvas *c, float x, float y);
void curve_to(canvas *c, float x1, float y1, float x2, float y2, float x, float y);
void quad_to(canvas *c, float x1, float y1, float x, float y);
void close_path(canvas *c);
void fill(canvas *c, paint p);
// From here on only inside the path, softly at its edge; until mask_end. Masks do not nest.
void mask_begin(canvas *c);
void mask_end(canvas *c);

#endif
