// vector.h - shapes with smooth edges on a canvas of floats: paths, gradients, strokes, masks.
//
// Coverage is exact: each edge adds its signed area to the pixels it crosses (the accumulation of Raph Levien's font-rs). Colours
// are linear in nothing but themselves: sRGB values from 0 to 1, premultiplied on the canvas.
//
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_VECTOR_H
#define GRIFFIN_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct colour {
    float r, g, b, a;
} colour;

// "0xE8C39E" and an opacity.
colour rgb(uint32_t hex);
colour rgba(uint32_t hex, float alpha);
colour mix(colour a, colour b, float share);

typedef enum blend { BLEND_OVER = 0, BLEND_ADD, BLEND_MULTIPLY } blend;

typedef struct paint {
    int kind; // 0 one colour, 1 from (x0, y0) to (x1, y1), 2 around (x0, y0): radius x1, squeezed vertically by y1
    float x0, y0, x1, y1;
    int stops;
    float at[4];
    colour colours[4];
    blend blend;
} paint;

paint solid(colour c);
paint linear(float x0, float y0, colour c0, float x1, float y1, colour c1);
paint linear3(float x0, float y0, colour c0, float middle, colour c1, float x1, float y1, colour c2);
paint radial(float x, float y, float radius, colour inside, colour outside);
paint radial3(float x, float y, float radius, colour inside, float middle, colour between, colour outside);
paint glow(float x, float y, float radius, colour c); // fades to nothing, adds light
paint shade(float x, float y, float radius, colour c); // fades to nothing, covers

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

void ellipse(canvas *c, float x, float y, float rx, float ry);
void rectangle(canvas *c, float x, float y, float w, float h);
void round_rectangle(canvas *c, float x, float y, float w, float h, float radius);
// A closed smooth shape through points (Catmull-Rom): x0, y0, x1, y1, ...
void blob(canvas *c, const float *points, int count);
// A line through points with round ends that is `w0` wide at its beginning and `w1` at its end, filled at once.
void brush(canvas *c, const float *points, int count, float w0, float w1, paint p);
void stroke_line(canvas *c, float x0, float y0, float x1, float y1, float width, paint p);

// Pseudo-random, the same for the same number: 0 to 1.
float noise1(uint32_t seed);

#endif
