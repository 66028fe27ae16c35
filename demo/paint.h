// paint.h - colours, and what fills a shape. Colours are linear in nothing but themselves: sRGB values from 0 to 1.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_PAINT_H
#define GRIFFIN_PAINT_H

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
colour paint_at(const paint *p, float t); // of a gradient, t from 0 to 1

// Pseudo-random, the same for the same number: 0 to 1.
float noise1(uint32_t seed);

#endif
