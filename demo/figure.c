// figure.c - a face, painted in layers: shape, light and shade inside it, then eyes, brows, nose and mouth that move.
// SPDX-License-Identifier: MIT
#include "figure.h"

#include <math.h>

static void draw_eye(canvas *c, const face_look *k, const pose *p, float x, float y, float side)
{
    float open = 1 - p->blink, top = 8.2f * open + 0.4f, low = 4.6f * open + 0.3f;
    top *= 1 + 0.16f * p->brow - 0.10f * (p->smile > 0 ? p->smile : 0);
    low *= 1 - 0.35f * (p->smile > 0 ? p->smile : 0);
    push(c);
    translate(c, x, y);
    scale(c, side, 1);
    ellipse(c, 0, -1, 16, 12); // the socket
    fill(c, shade(0, -1, 16, (colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.42f}));
    move_to(c, -11.5f, 1.5f);
    curve_to(c, -7, -top, 5, -top - 1.5f, 11.5f, -1.5f);
    curve_to(c, 7, low, -6, low + 0.8f, -11.5f, 1.5f);
    mask_begin(c);
    rectangle(c, -14, -14, 28, 28);
    fill(c, solid(rgb(0xF4ECE2)));
    float ix = side * p->look_x * 4.3f, iy = p->look_y * 2.6f - 0.6f;
    ellipse(c, ix, iy, 6.3f, 6.6f);
    fill(c, radial3(ix, iy + 2, 7, mix(k->iris, rgb(0xFFFFFF), 0.35f), 0.6f, k->iris, mix(k->iris, rgb(0x000000), 0.7f)));
    ellipse(c, ix, iy, 3.0f, 3.2f);
    fill(c, solid(rgb(0x140C0A)));
    ellipse(c, ix - 2.2f * side, iy - 2.4f, 1.6f, 1.6f);
    fill(c, solid(rgba(0xFFF6E0, 0.95f)));
    ellipse(c, ix + 1.8f * side, iy + 2.6f, 0.9f, 0.9f);
    fill(c, solid(rgba(0xFFE0B0, 0.55f)));
    rectangle(c, -14, -14, 28, 14);
    fill(c, linear(0, -10, rgba(0x2A1510, 0.62f), 0, 1, rgba(0x2A1510, 0)));
    mask_end(c);
    float lid[] = {-12.2f, 2.0f, -6, -top * 0.72f + 0.2f, 2, -top * 0.90f, 8.5f, -top * 0.55f - 0.6f, 13.0f, -2.6f + p->blink * 2.4f};
    brush(c, lid, 5, 1.6f, 2.8f, solid(mix(rgb(0x23130F), k->brow, 0.25f)));
    float crease[] = {-9, -top - 1.2f, 0, -top - 4.2f, 10, -top - 1.4f};
    brush(c, crease, 3, 0.6f, 1.3f, solid((colour){k->skin_dark.r * 0.8f, k->skin_dark.g * 0.7f, k->skin_dark.b * 0.7f, 0.7f}));
    float under[] = {-8, low + 2.4f, 1, low + 3.8f, 9, low + 1.2f};
    brush(c, under, 3, 0.5f, 1.0f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.4f + 0.3f * k->age}));
    if (k->age > 0.3f) { // crow's feet
        for (int i = 0; i < 3; i++) {
            float foot[] = {14, -1.0f + 3 * (float)i, 19 + 2 * (float)(i == 1), -3.5f + 5 * (float)i};
            brush(c, foot, 2, 0.9f, 0.4f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.55f * k->age}));
        }
    }
    float inner = -2.2f * p->brow_angle * 1.6f, rise = -5.0f * p->brow;
    float brow[] = {-12.0f, -16.0f + rise + inner, -4, -18.4f + rise + inner * 0.4f, 6, -18.6f + rise, 15, -13.4f + rise * 0.8f - inner * 0.3f};
    brush(c, brow, 4, 5.4f * k->brow_thickness, 2.0f * k->brow_thickness, solid(k->brow));
    pop(c);
}

static void draw_nose(canvas *c, const face_look *k, float x)
{
    float bridge[] = {x - 3, -12, x - 5.5f, 2, x - 7, 13};
    brush(c, bridge, 3, 1, 4, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.22f}));
    ellipse(c, x, 16, 12, 8);
    fill(c, shade(x + 2, 18, 12, (colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.55f}));
    ellipse(c, x, 14.5f, 7.6f, 6.6f);
    fill(c, radial(x - 1.5f, 11.5f, 10, mix(k->skin_light, k->blush, 0.25f), k->skin));
    ellipse(c, x - 6.4f, 16.5f, 3.6f, 3.2f);
    fill(c, solid(mix(k->skin, k->skin_dark, 0.35f)));
    ellipse(c, x + 6.4f, 16.5f, 3.6f, 3.2f);
    fill(c, solid(mix(k->skin, k->skin_dark, 0.5f)));
    ellipse(c, x - 4.2f, 18.6f, 2.2f, 1.2f);
    fill(c, solid((colour){0.22f, 0.08f, 0.06f, 0.75f}));
    ellipse(c, x + 4.2f, 18.6f, 2.2f, 1.2f);
    fill(c, solid((colour){0.22f, 0.08f, 0.06f, 0.75f}));
    ellipse(c, x - 2, 11, 2.6f, 3.4f);
    fill(c, shade(x - 2, 11, 3.6f, rgba(0xFFF2DC, 0.65f)));
}

static void draw_mouth(canvas *c, const face_look *k, const pose *p, float x)
{
    float w = 15.5f + 4.0f * p->wide + 3.2f * p->smile - 6.5f * p->round, up = -3.6f * p->smile, o = 11.5f * p->open;
    float top = 33 - 0.14f * o, corner = 34 + up, bottom = 34.5f + o;
    ellipse(c, x, bottom + 9, 14, 5); // under the lip
    fill(c, shade(x, bottom + 8, 13, (colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.45f}));
    // upper lip, then what is behind it, then the lower lip
    move_to(c, x - w, corner);
    curve_to(c, x - w * 0.5f, top - 4.6f, x - 4, top - 5.4f, x, top - 3.4f);
    curve_to(c, x + 4, top - 5.4f, x + w * 0.5f, top - 4.6f, x + w, corner);
    curve_to(c, x + w * 0.5f, top + 2.6f, x - w * 0.5f, top + 2.6f, x - w, corner);
    fill(c, linear(0, top - 5, mix(k->lip, k->skin, 0.25f), 0, top + 2, mix(k->lip, rgb(0x4A1512), 0.35f)));
    move_to(c, x - w, corner);
    curve_to(c, x - w * 0.6f, bottom + 4.2f, x - w * 0.3f, bottom + 6.4f, x, bottom + 6.2f);
    curve_to(c, x + w * 0.3f, bottom + 6.4f, x + w * 0.6f, bottom + 4.2f, x + w, corner);
    curve_to(c, x + w * 0.5f, bottom + 0.4f, x - w * 0.5f, bottom + 0.4f, x - w, corner);
    fill(c, linear(0, bottom, mix(k->lip, rgb(0x5A1A15), 0.2f), 0, bottom + 6, mix(k->lip, k->skin, 0.35f)));
    ellipse(c, x - 1, bottom + 3.4f, w * 0.38f, 1.3f);
    fill(c, shade(x - 1, bottom + 3.4f, w * 0.4f, rgba(0xFFE9DA, 0.5f)));
    move_to(c, x - w * 0.97f, corner);
    curve_to(c, x - w * 0.5f, top + 1.2f, x + w * 0.5f, top + 1.2f, x + w * 0.97f, corner);
    curve_to(c, x + w * 0.55f, bottom + 1.8f, x - w * 0.55f, bottom + 1.8f, x - w * 0.97f, corner);
    mask_begin(c);
    rectangle(c, x - 30, 10, 60, 60);
    fill(c, solid(rgb(0x3A100E)));
    if (o > 2) {
        round_rectangle(c, x - w * 0.62f, top - 2, w * 1.24f, 5.2f + o * 0.12f, 2);
        fill(c, solid(rgb(0xF2E9DC)));
        ellipse(c, x, bottom + 2.2f, w * 0.55f, o * 0.42f);
        fill(c, solid(rgb(0xA8443E)));
    }
    mask_end(c);
    float line[] = {x - w - 1, corner - 0.4f, x - w * 0.4f, top + 0.8f + (o < 1 ? 0.4f : 0), x, top + 0.4f, x + w * 0.4f, top + 0.8f, x + w + 1, corner - 0.4f};
    brush(c, line, 5, 1.2f, 1.2f, solid(rgba(0x4A1712, 0.8f)));
    for (int side = -1; side <= 1; side += 2) { // the corners and the folds beside them
        float s = (float)side;
        float fold[] = {x + s * 13, 17, x + s * (w + 4.5f), 25 + up * 0.4f, x + s * (w + 4), 35 + up * 0.3f};
        float strength = 0.10f + 0.35f * k->age + 0.28f * (p->smile > 0.3f ? p->smile : 0);
        brush(c, fold, 3, 0.8f, 2.0f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, strength}));
    }
}

void draw_face(canvas *c, const face_look *k, const pose *p)
{
    float w = k->width, h = k->height, jaw = k->jaw, t = p->turn * 6.5f, drop = 2.2f * p->open;
    float ears[2] = {-1, 1};
    for (int i = 0; i < 2; i++) {
        push(c);
        translate(c, ears[i] * 43 * w - t * 0.55f, 2);
        ellipse(c, 0, 0, 8, 14);
        fill(c, radial(ears[i] * -2, 2, 15, mix(k->skin, k->blush, 0.35f), mix(k->skin, k->skin_dark, 0.6f)));
        float fold[] = {ears[i] * 2, -8, ears[i] * 4.5f, 0, ears[i] * 1, 8};
        brush(c, fold, 3, 1, 1.4f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.7f}));
        pop(c);
    }
    float outline[] = {-41 * w, -24 * h, -42 * w, 0,           -39 * w * jaw, 22 * h,      -30 * w * jaw, 42 * h + drop, -14 * w, 56 * h + drop, 0, 59 * h + drop,
                       14 * w,  56 * h + drop, 30 * w * jaw, 42 * h + drop, 39 * w * jaw, 22 * h, 42 * w,        0,             41 * w,  -24 * h,       30 * w, -52 * h,
                       0,       -63 * h,     -30 * w,      -52 * h};
    int points = (int)(sizeof(outline) / sizeof(outline[0]) / 2);
    blob(c, outline, points);
    fill(c, radial3(-14 + t, -16, 92, k->skin_light, 0.5f, k->skin, k->skin_dark));
    blob(c, outline, points);
    mask_begin(c);
    ellipse(c, -25 + t, 20, 20, 17);
    fill(c, shade(-25 + t, 20, 20, (colour){k->blush.r, k->blush.g, k->blush.b, 0.55f}));
    ellipse(c, 25 + t, 20, 20, 17);
    fill(c, shade(25 + t, 20, 20, (colour){k->blush.r, k->blush.g, k->blush.b, 0.5f}));
    ellipse(c, 50, 10, 40, 80); // the side away from the light
    fill(c, shade(54, 10, 44, (colour){k->skin_dark.r * 0.8f, k->skin_dark.g * 0.75f, k->skin_dark.b * 0.8f, 0.75f}));
    ellipse(c, 0, -70, 70, 42); // under the hair
    fill(c, shade(0, -68, 46, (colour){k->skin_dark.r * 0.7f, k->skin_dark.g * 0.6f, k->skin_dark.b * 0.6f, 0.6f}));
    ellipse(c, t, 66, 44, 18); // under the chin
    fill(c, shade(t, 66, 34, (colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.65f}));
    ellipse(c, -24 + t, 10, 17, 11); // light on the cheek and the forehead
    fill(c, shade(-25 + t, 9, 17, (colour){k->skin_light.r, k->skin_light.g, k->skin_light.b, 0.5f}));
    ellipse(c, -8 + t, -36, 24, 13);
    fill(c, shade(-8 + t, -36, 24, (colour){k->skin_light.r, k->skin_light.g, k->skin_light.b, 0.5f}));
    if (k->age > 0.4f) {
        for (int i = 0; i < 3; i++) {
            float line[] = {-22 + t, -32 - 7 * (float)i - 3 * p->brow, t, -34 - 7 * (float)i - 4 * p->brow, 22 + t, -32 - 7 * (float)i - 3 * p->brow};
            brush(c, line, 3, 0.8f, 0.8f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.35f * k->age}));
        }
    }
    mask_end(c);
    draw_nose(c, k, t * 1.25f);
    draw_mouth(c, k, p, t * 1.05f);
    draw_eye(c, k, p, -18.5f * w + t, -5, -1);
    draw_eye(c, k, p, 18.5f * w + t, -5, 1);
}
