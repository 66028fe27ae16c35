// shapes.c - paths that are drawn often: ellipses, rectangles, blobs, strokes of a brush.
// SPDX-License-Identifier: MIT
#include "shapes.h"

#include <math.h>

void ellipse(canvas *c, float x, float y, float rx, float ry)
{
    const float k = 0.5522847f;
    move_to(c, x + rx, y);
    curve_to(c, x + rx, y + k * ry, x + k * rx, y + ry, x, y + ry);
    curve_to(c, x - k * rx, y + ry, x - rx, y + k * ry, x - rx, y);
    curve_to(c, x - rx, y - k * ry, x - k * rx, y - ry, x, y - ry);
    curve_to(c, x + k * rx, y - ry, x + rx, y - k * ry, x + rx, y);
}

void rectangle(canvas *c, float x, float y, float w, float h)
{
    move_to(c, x, y);
    line_to(c, x + w, y);
    line_to(c, x + w, y + h);
    line_to(c, x, y + h);
    close_path(c);
}

void round_rectangle(canvas *c, float x, float y, float w, float h, float radius)
{
    float r = radius, k = r * 0.4477f;
    move_to(c, x + r, y);
    line_to(c, x + w - r, y);
    curve_to(c, x + w - k, y, x + w, y + k, x + w, y + r);
    line_to(c, x + w, y + h - r);
    curve_to(c, x + w, y + h - k, x + w - k, y + h, x + w - r, y + h);
    line_to(c, x + r, y + h);
    curve_to(c, x + k, y + h, x, y + h - k, x, y + h - r);
    line_to(c, x, y + r);
    curve_to(c, x, y + k, x + k, y, x + r, y);
}

void blob(canvas *c, const float *p, int count)
{
    move_to(c, p[0], p[1]);
    for (int i = 0; i < count; i++) {
        const float *a = p + 2 * ((i + count - 1) % count), *b = p + 2 * i;
        const float *d = p + 2 * ((i + 1) % count), *e = p + 2 * ((i + 2) % count);
        curve_to(c, b[0] + (d[0] - a[0]) / 6, b[1] + (d[1] - a[1]) / 6, d[0] - (e[0] - b[0]) / 6, d[1] - (e[1] - b[1]) / 6, d[0], d[1]);
    }
    close_path(c);
}

// A point of the open curve through points, at t from 0 to 1.
static void along(const float *p, int count, float t, float *x, float *y)
{
    float at = t * (float)(count - 1);
    int i = (int)at;
    i = i > count - 2 ? count - 2 : i;
    float u = at - (float)i;
    const float *b = p + 2 * i, *d = b + 2, *a = i > 0 ? b - 2 : b, *e = i + 2 < count ? d + 2 : d;
    for (int k = 0; k < 2; k++) {
        float value = 0.5f * (2 * b[k] + (d[k] - a[k]) * u + (2 * a[k] - 5 * b[k] + 4 * d[k] - e[k]) * u * u
                              + (3 * b[k] - a[k] - 3 * d[k] + e[k]) * u * u * u);
        *(k ? y : x) = value;
    }
}

void brush(canvas *c, const float *points, int count, float w0, float w1, paint p)
{
    enum { STEPS = 24 };
    float left[STEPS + 1][2], right[STEPS + 1][2];
    for (int i = 0; i <= STEPS; i++) {
        float t = (float)i / STEPS, x, y, ax, ay, bx, by;
        along(points, count, t, &x, &y);
        along(points, count, t > 0.02f ? t - 0.02f : 0, &ax, &ay);
        along(points, count, t < 0.98f ? t + 0.02f : 1, &bx, &by);
        float dx = bx - ax, dy = by - ay, length = sqrtf(dx * dx + dy * dy);
        length = length > 0 ? length : 1;
        float w = 0.5f * (w0 + (w1 - w0) * t);
        left[i][0] = x - dy / length * w, left[i][1] = y + dx / length * w;
        right[i][0] = x + dy / length * w, right[i][1] = y - dx / length * w;
    }
    move_to(c, left[0][0], left[0][1]);
    for (int i = 1; i <= STEPS; i++) {
        line_to(c, left[i][0], left[i][1]);
    }
    float ex, ey;
    along(points, count, 1, &ex, &ey);
    float nx = left[STEPS][0] - ex, ny = left[STEPS][1] - ey; // round the end
    curve_to(c, left[STEPS][0] + ny * 1.33f, left[STEPS][1] - nx * 1.33f, right[STEPS][0] + ny * 1.33f,
             right[STEPS][1] - nx * 1.33f, right[STEPS][0], right[STEPS][1]);
    for (int i = STEPS - 1; i >= 0; i--) {
        line_to(c, right[i][0], right[i][1]);
    }
    float sx, sy;
    along(points, count, 0, &sx, &sy);
    nx = right[0][0] - sx, ny = right[0][1] - sy;
    curve_to(c, right[0][0] + ny * 1.33f, right[0][1] - nx * 1.33f, left[0][0] + ny * 1.33f, left[0][1] - nx * 1.33f, left[0][0],
             left[0][1]);
    fill(c, p);
}

void stroke_line(canvas *c, float x0, float y0, float x1, float y1, float width, paint p)
{
    float points[4] = {x0, y0, x1, y1};
    brush(c, points, 2, width, width, p);
}
