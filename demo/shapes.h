// shapes.h - shapes as paths on a canvas. All but the last two only add to the path; fill() draws it.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_SHAPES_H
#define GRIFFIN_SHAPES_H

#include "vector.h"

void ellipse(canvas *c, float x, float y, float rx, float ry);
void rectangle(canvas *c, float x, float y, float w, float h);
void round_rectangle(canvas *c, float x, float y, float w, float h, float radius);
// A closed smooth shape through points (Catmull-Rom): x0, y0, x1, y1, ...
void blob(canvas *c, const float *points, int count);
// A line through points with round ends that is `w0` wide at its beginning and `w1` at its end, filled at once.
void brush(canvas *c, const float *points, int count, float w0, float w1, paint p);
void stroke_line(canvas *c, float x0, float y0, float x1, float y1, float width, paint p);

#endif
