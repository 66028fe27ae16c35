// vector.c - the rasteriser behind everything that is drawn in the tavern.
// SPDX-License-Identifier: MIT
#include "vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- the canvas -------------------------------------------------------------------------------------------------------------

bool canvas_create(canvas *c, int width, int height)
{
    memset(c, 0, sizeof(*c));
    c->width = width;
    c->height = height;
    c->pixels = calloc((size_t)width * (size_t)height, 4 * sizeof(float));
    c->cover = calloc((size_t)(width + 2) * (size_t)height, sizeof(float));
    c->mask_memory = calloc((size_t)width * (size_t)height, sizeof(float));
    c->m[0] = c->m[3] = 1;
    c->opacity = 1;
    c->left = c->top = 1e9f;
    c->right = c->bottom = -1e9f;
    if (!c->pixels || !c->cover || !c->mask_memory) {
        canvas_destroy(c);
        return false;
    }
    return true;
}

void canvas_destroy(canvas *c)
{
    free(c->pixels);
    free(c->cover);
    free(c->mask_memory);
    memset(c, 0, sizeof(*c));
}

void canvas_clear(canvas *c)
{
    memset(c->pixels, 0, (size_t)c->width * (size_t)c->height * 4 * sizeof(float));
}

void canvas_read(const canvas *c, uint8_t *bgra, int pitch)
{
    static const float pattern[16] = {0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5};
    for (int y = 0; y < c->height; y++) {
        const float *from = c->pixels + (size_t)y * (size_t)c->width * 4;
        uint8_t *to = bgra + (size_t)y * (size_t)pitch;
        for (int x = 0; x < c->width; x++, from += 4, to += 4) {
            float a = from[3] > 1 ? 1 : from[3];
            if (a < 0.002f) {
                to[0] = to[1] = to[2] = to[3] = 0;
                continue;
            }
            float dither = (pattern[(y & 3) * 4 + (x & 3)] + 0.5f) / 16.0f;
            float unpremultiply = a > 0.0001f ? 255.0f / a : 0;
            for (int k = 0; k < 3; k++) {
                float value = from[2 - k] * unpremultiply + dither;
                to[k] = (uint8_t)(value > 255 ? 255 : value < 0 ? 0 : value);
            }
            to[3] = (uint8_t)(a * 255 + 0.5f);
        }
    }
}

void push(canvas *c)
{
    if (c->depth < 8) {
        memcpy(c->saved[c->depth++], c->m, sizeof(c->m));
    }
}

void pop(canvas *c)
{
    if (c->depth > 0) {
        memcpy(c->m, c->saved[--c->depth], sizeof(c->m));
    }
}

static void multiply(canvas *c, float a, float b, float d, float e, float x, float y)
{
    const float *m = c->m;
    float r[6] = {m[0] * a + m[2] * b, m[1] * a + m[3] * b, m[0] * d + m[2] * e,
                  m[1] * d + m[3] * e, m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5]};
    memcpy(c->m, r, sizeof(r));
}

void translate(canvas *c, float x, float y)
{
    multiply(c, 1, 0, 0, 1, x, y);
}

void rotate(canvas *c, float radians)
{
    multiply(c, cosf(radians), sinf(radians), -sinf(radians), cosf(radians), 0, 0);
}

void scale(canvas *c, float x, float y)
{
    multiply(c, x, 0, 0, y, 0, 0);
}

// --- paths ------------------------------------------------------------------------------------------------------------------

// Adds the signed area that lies to the right of one edge.
static void edge(canvas *c, float x0, float y0, float x1, float y1)
{
    float direction = 1, limit = (float)c->width;
    if (y0 == y1) {
        return;
    }
    if (y0 > y1) {
        float swap = x0;
        x0 = x1, x1 = swap;
        swap = y0, y0 = y1, y1 = swap;
        direction = -1;
    }
    if (y1 <= 0 || y0 >= (float)c->height) {
        return;
    }
    float slope = (x1 - x0) / (y1 - y0);
    if (y0 < 0) {
        x0 -= y0 * slope;
        y0 = 0;
    }
    int last = (int)ceilf(y1 < (float)c->height ? y1 : (float)c->height);
    float x = x0;
    for (int row = (int)y0; row < last; row++) {
        float *line = c->cover + (size_t)row * (size_t)(c->width + 2);
        float bottom = (float)row + 1 < y1 ? (float)row + 1 : y1, top = (float)row > y0 ? (float)row : y0;
        float dy = bottom - top, next = x + slope * dy, d = dy * direction;
        float a = x < next ? x : next, b = x < next ? next : x;
        a = a < 0 ? 0 : a > limit ? limit : a;
        b = b < 0 ? 0 : b > limit ? limit : b;
        int first = (int)a, end = (int)ceilf(b);
        if (end <= first + 1) {
            float middle = 0.5f * (a + b) - (float)first;
            line[first] += d - d * middle;
            line[first + 1] += d * middle;
        } else {
            float s = 1.0f / (b - a), part = 1.0f - (a - (float)first);
            float area0 = 0.5f * s * part * part, rest = b - (float)end + 1.0f, area1 = 0.5f * s * rest * rest;
            line[first] += d * area0;
            if (end == first + 2) {
                line[first + 1] += d * (1.0f - area0 - area1);
            } else {
                float second = s * (1.5f - (a - (float)first));
                line[first + 1] += d * (second - area0);
                for (int i = first + 2; i < end - 1; i++) {
                    line[i] += d * s;
                }
                float sum = second + (float)(end - first - 3) * s;
                line[end - 1] += d * (1.0f - sum - area1);
            }
            line[end] += d * area1;
        }
        x = next;
    }
}

static void reach(canvas *c, float x, float y)
{
    c->left = x < c->left ? x : c->left;
    c->right = x > c->right ? x : c->right;
    c->top = y < c->top ? y : c->top;
    c->bottom = y > c->bottom ? y : c->bottom;
}

static void pen_to(canvas *c, float x, float y)
{
    edge(c, c->x, c->y, x, y);
    reach(c, x, y);
    c->x = x;
    c->y = y;
}

#define TRANSFORMED_X(c, px, py) ((c)->m[0] * (px) + (c)->m[2] * (py) + (c)->m[4])
#define TRANSFORMED_Y(c, px, py) ((c)->m[1] * (px) + (c)->m[3] * (py) + (c)->m[5])

void move_to(canvas *c, float x, float y)
{
    close_path(c);
    c->x = c->start_x = TRANSFORMED_X(c, x, y);
    c->y = c->start_y = TRANSFORMED_Y(c, x, y);
    reach(c, c->x, c->y);
}

void line_to(canvas *c, float x, float y)
{
    pen_to(c, TRANSFORMED_X(c, x, y), TRANSFORMED_Y(c, x, y));
}

void curve_to(canvas *c, float x1, float y1, float x2, float y2, float x, float y)
{
    float ax = c->x, ay = c->y, bx = TRANSFORMED_X(c, x1, y1), by = TRANSFORMED_Y(c, x1, y1);
    float cx = TRANSFORMED_X(c, x2, y2), cy = TRANSFORMED_Y(c, x2, y2), dx = TRANSFORMED_X(c, x, y), dy = TRANSFORMED_Y(c, x, y);
    float length = fabsf(bx - ax) + fabsf(by - ay) + fabsf(cx - bx) + fabsf(cy - by) + fabsf(dx - cx) + fabsf(dy - cy);
    int steps = 3 + (int)(sqrtf(length) * 0.9f);
    for (int i = 1; i <= steps; i++) {
        float t = (float)i / (float)steps, u = 1 - t;
        float k0 = u * u * u, k1 = 3 * u * u * t, k2 = 3 * u * t * t, k3 = t * t * t;
        pen_to(c, k0 * ax + k1 * bx + k2 * cx + k3 * dx, k0 * ay + k1 * by + k2 * cy + k3 * dy);
    }
}

void quad_to(canvas *c, float x1, float y1, float x, float y)
{
    // In the user's own coordinates the pen is not known: a quadratic is a cubic in transformed ones just as well.
    float ax = c->x, ay = c->y, bx = TRANSFORMED_X(c, x1, y1), by = TRANSFORMED_Y(c, x1, y1);
    float dx = TRANSFORMED_X(c, x, y), dy = TRANSFORMED_Y(c, x, y);
    int steps = 3 + (int)(sqrtf(fabsf(bx - ax) + fabsf(by - ay) + fabsf(dx - bx) + fabsf(dy - by)) * 0.9f);
    for (int i = 1; i <= steps; i++) {
        float t = (float)i / (float)steps, u = 1 - t;
        pen_to(c, u * u * ax + 2 * u * t * bx + t * t * dx, u * u * ay + 2 * u * t * by + t * t * dy);
    }
}

void close_path(canvas *c)
{
    if (c->right > -1e8f && (c->x != c->start_x || c->y != c->start_y)) {
        pen_to(c, c->start_x, c->start_y);
    }
}

// The pixels that the path can touch; false: none. Ends the path.
static bool path_bounds(canvas *c, int *x0, int *y0, int *x1, int *y1)
{
    close_path(c);
    *x0 = c->left < 0 ? 0 : c->left > (float)c->width ? c->width : (int)c->left;
    *y0 = c->top < 0 ? 0 : (int)c->top;
    *x1 = c->right + 1 > (float)c->width ? c->width : (int)c->right + 1;
    *y1 = c->bottom + 1 > (float)c->height ? c->height : (int)c->bottom + 1;
    bool any = c->right > -1e8f;
    c->left = c->top = 1e9f;
    c->right = c->bottom = -1e9f;
    c->x = c->y = c->start_x = c->start_y = 0;
    return any && *y0 < *y1;
}

static inline void blend_pixel(float *to, colour s, float a, blend how)
{
    if (how == BLEND_ADD) { // light: no more opaque than before
        to[0] += s.r * a;
        to[1] += s.g * a;
        to[2] += s.b * a;
    } else if (how == BLEND_MULTIPLY) {
        to[0] *= 1 - a + a * s.r;
        to[1] *= 1 - a + a * s.g;
        to[2] *= 1 - a + a * s.b;
    } else {
        to[0] = to[0] * (1 - a) + s.r * a;
        to[1] = to[1] * (1 - a) + s.g * a;
        to[2] = to[2] * (1 - a) + s.b * a;
        to[3] = to[3] * (1 - a) + a;
    }
}

// Where along a gradient a pixel lies: an affine function, or the length of one.
typedef struct gradient {
    float ux, uy, u0, vx, vy, v0;
    colour table[65];
} gradient;

static void prepare(const canvas *c, const paint *p, gradient *g)
{
    const float *m = c->m;
    float det = m[0] * m[3] - m[1] * m[2];
    det = fabsf(det) < 1e-9f ? 1e-9f : det;
    // The inverse of the transform takes pixels back to where the paint was described.
    float ix = m[3] / det, iy = -m[2] / det, jx = -m[1] / det, jy = m[0] / det;
    float x0 = -(ix * m[4] + iy * m[5]), y0 = -(jx * m[4] + jy * m[5]);
    if (p->kind == 1) {
        float dx = p->x1 - p->x0, dy = p->y1 - p->y0, length = dx * dx + dy * dy;
        length = length > 0 ? length : 1;
        g->ux = (ix * dx + jx * dy) / length;
        g->uy = (iy * dx + jy * dy) / length;
        g->u0 = ((x0 - p->x0) * dx + (y0 - p->y0) * dy) / length;
        g->vx = g->vy = g->v0 = 0;
    } else {
        g->ux = ix / p->x1, g->uy = iy / p->x1, g->u0 = (x0 - p->x0) / p->x1;
        g->vx = jx / (p->x1 * p->y1), g->vy = jy / (p->x1 * p->y1), g->v0 = (y0 - p->y0) / (p->x1 * p->y1);
    }
    for (int i = 0; i <= 64; i++) {
        g->table[i] = paint_at(p, (float)i / 64.0f);
    }
}

static colour gradient_colour(const paint *p, const gradient *g, float x, float y)
{
    float t = g->ux * x + g->uy * y + g->u0;
    if (p->kind == 2) {
        float v = g->vx * x + g->vy * y + g->v0;
        t = sqrtf(t * t + v * v);
    }
    if (t <= 0) {
        return g->table[0];
    }
    if (t >= 1) {
        return g->table[64];
    }
    int i = (int)(t * 64);
    return mix(g->table[i], g->table[i + 1], t * 64 - (float)i);
}

void fill(canvas *c, paint p)
{
    int x0, y0, x1, y1;
    gradient g = {.ux = 0};
    if (!path_bounds(c, &x0, &y0, &x1, &y1)) {
        return;
    }
    if (p.kind) {
        prepare(c, &p, &g);
    }
    for (int y = y0; y < y1; y++) {
        float *cover = c->cover + (size_t)y * (size_t)(c->width + 2);
        float *to = c->pixels + ((size_t)y * (size_t)c->width + (size_t)x0) * 4;
        const float *mask = c->mask ? c->mask + (size_t)y * (size_t)c->width : NULL;
        float sum = 0;
        bool outside = mask && (y < c->mask_top || y >= c->mask_bottom);
        for (int x = x0; x < x1 && !outside; x++, to += 4) {
            sum += cover[x];
            float a = fabsf(sum);
            if (a < 0.002f) {
                continue;
            }
            a = (a > 1 ? 1 : a) * c->opacity * (mask ? mask[x] : 1);
            if (a > 0) {
                colour s = p.kind ? gradient_colour(&p, &g, (float)x + 0.5f, (float)y + 0.5f) : p.colours[0];
                blend_pixel(to, s, a * s.a, p.blend);
            }
        }
        memset(cover + x0, 0, (size_t)(c->width + 2 - x0) * sizeof(float));
    }
}

void mask_begin(canvas *c)
{
    int x0, y0, x1, y1;
    c->mask = c->mask_memory; // all zero: mask_end leaves it so
    c->mask_top = c->mask_bottom = 0;
    if (!path_bounds(c, &x0, &y0, &x1, &y1)) {
        return;
    }
    c->mask_top = y0;
    c->mask_bottom = y1;
    for (int y = y0; y < y1; y++) {
        float *cover = c->cover + (size_t)y * (size_t)(c->width + 2), sum = 0;
        for (int x = x0; x < x1; x++) {
            sum += cover[x];
            c->mask[(size_t)y * (size_t)c->width + (size_t)x] = fabsf(sum) > 1 ? 1 : fabsf(sum);
        }
        memset(cover + x0, 0, (size_t)(c->width + 2 - x0) * sizeof(float));
    }
}

void mask_end(canvas *c)
{
    memset(c->mask_memory + (size_t)c->mask_top * (size_t)c->width, 0,
           (size_t)(c->mask_bottom - c->mask_top) * (size_t)c->width * sizeof(float));
    c->mask_top = c->mask_bottom = 0;
    c->mask = NULL;
}
