// paint.c - colours, and what fills a shape: one of them, or a gradient of a few.
// SPDX-License-Identifier: MIT
#include "paint.h"

colour rgba(uint32_t hex, float alpha)
{
    return (colour){(float)((hex >> 16) & 255) / 255.0f, (float)((hex >> 8) & 255) / 255.0f, (float)(hex & 255) / 255.0f, alpha};
}

colour rgb(uint32_t hex)
{
    return rgba(hex, 1);
}

colour mix(colour a, colour b, float share)
{
    return (colour){a.r + (b.r - a.r) * share, a.g + (b.g - a.g) * share, a.b + (b.b - a.b) * share, a.a + (b.a - a.a) * share};
}

float noise1(uint32_t seed)
{
    seed = (seed ^ 61u) ^ (seed >> 16);
    seed *= 9u;
    seed ^= seed >> 4;
    seed *= 0x27d4eb2du;
    seed ^= seed >> 15;
    return (float)(seed & 0xFFFFFF) / 16777216.0f;
}

// --- paints -----------------------------------------------------------------------------------------------------------------

paint solid(colour c)
{
    return (paint){.kind = 0, .stops = 1, .colours = {c}};
}

paint linear(float x0, float y0, colour c0, float x1, float y1, colour c1)
{
    return (paint){.kind = 1, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1, .stops = 2, .at = {0, 1}, .colours = {c0, c1}};
}

paint linear3(float x0, float y0, colour c0, float middle, colour c1, float x1, float y1, colour c2)
{
    return (paint){.kind = 1, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1, .stops = 3, .at = {0, middle, 1}, .colours = {c0, c1, c2}};
}

paint radial(float x, float y, float radius, colour inside, colour outside)
{
    return (paint){.kind = 2, .x0 = x, .y0 = y, .x1 = radius, .y1 = 1, .stops = 2, .at = {0, 1}, .colours = {inside, outside}};
}

paint radial3(float x, float y, float radius, colour inside, float middle, colour between, colour outside)
{
    return (paint){.kind = 2, .x0 = x, .y0 = y, .x1 = radius, .y1 = 1, .stops = 3, .at = {0, middle, 1},
                   .colours = {inside, between, outside}};
}

paint shade(float x, float y, float radius, colour c)
{
    colour half = c, none = c;
    half.a *= 0.38f;
    none.a = 0;
    return radial3(x, y, radius, c, 0.5f, half, none);
}

paint glow(float x, float y, float radius, colour c)
{
    paint p = shade(x, y, radius, c);
    p.blend = BLEND_ADD;
    return p;
}

colour paint_at(const paint *p, float t)
{
    if (t <= p->at[0]) {
        return p->colours[0];
    }
    for (int i = 1; i < p->stops; i++) {
        if (t < p->at[i]) {
            float s = (t - p->at[i - 1]) / (p->at[i] - p->at[i - 1]);
            return mix(p->colours[i - 1], p->colours[i], s * s * (3 - 2 * s));
        }
    }
    return p->colours[p->stops - 1];
}
