// paint_room.c - the layers of the tavern: night outside, walls and fireplace, the bar, and what stands close to the eye.
// SPDX-License-Identifier: MIT
#include "room.h"

#include <math.h>
#include <string.h>

#define COUNT(points) ((int)(sizeof(points) / sizeof((points)[0]) / 2))

enum { FLOOR_Y = 566 };

static void shape(canvas *c, const float *points, int count, paint p)
{
    blob(c, points, count);
    fill(c, p);
}

// Wood between two colours, with grain along its longer side.
static void wood(canvas *c, float x, float y, float w, float h, colour light, colour dark, uint32_t seed)
{
    bool upright = h > w;
    round_rectangle(c, x, y, w, h, 2);
    fill(c, upright ? linear3(x, y, mix(light, dark, 0.2f), 0.4f, light, x + w, y, dark)
                    : linear3(x, y, light, 0.5f, mix(light, dark, 0.4f), x, y + h, dark));
    int lines = (int)((upright ? w : h) / 3.2f);
    for (int i = 0; i < lines; i++) {
        float at = noise1(seed + (uint32_t)i * 7) * ((upright ? w : h) - 2) + 1, bend = (noise1(seed + (uint32_t)i * 13) - 0.5f) * 5;
        float from = noise1(seed + (uint32_t)i * 3) * 0.5f, to = from + 0.2f + noise1(seed + (uint32_t)i * 5) * 0.5f;
        to = to > 1 ? 1 : to;
        colour grain = noise1(seed + (uint32_t)i) > 0.4f ? (colour){0.05f, 0.02f, 0.01f, 0.22f} : (colour){1, 0.75f, 0.45f, 0.09f};
        if (upright) {
            float p[] = {x + at, y + h * from, x + at + bend, y + h * (from + to) / 2, x + at, y + h * to};
            brush(c, p, 3, 1.1f, 0.5f, solid(grain));
        } else {
            float p[] = {x + w * from, y + at, x + w * (from + to) / 2, y + at + bend * 0.4f, x + w * to, y + at};
            brush(c, p, 3, 1.1f, 0.5f, solid(grain));
        }
    }
}

static void stone(canvas *c, float x, float y, float w, float h, uint32_t seed, float warmth)
{
    float p[16];
    for (int i = 0; i < 8; i++) {
        float a = ((float)i + 0.5f) * 0.7854f, k = 0.88f + 0.16f * noise1(seed + (uint32_t)i);
        float ex = cosf(a), ey = sinf(a), s = 1 / fmaxf(fabsf(ex), fabsf(ey)) * 0.93f;
        p[2 * i] = x + w / 2 + ex * s * w / 2 * k;
        p[2 * i + 1] = y + h / 2 + ey * s * h / 2 * k;
    }
    float tone = noise1(seed + 31) * 0.35f;
    colour light = mix(mix(rgb(0x8C8078), rgb(0x6E645E), tone), rgb(0xD08A50), warmth), dark = mix(rgb(0x2E2826), rgb(0x4A2818), warmth);
    shape(c, p, 8, linear(x, y, light, x + w, y + h, dark));
    float edge[] = {x + 4, y + h * 0.55f, x + 6, y + 5, x + w * 0.6f, y + 3.5f};
    brush(c, edge, 3, 1, 2.2f, solid((colour){1, 0.85f, 0.65f, 0.16f + 0.2f * warmth}));
}

void paint_sky(canvas *c)
{
    float w = SKY_WIDTH;
    rectangle(c, 0, 0, w, VIEW_HEIGHT);
    fill(c, linear3(0, 80, rgb(0x060B1E), 0.55f, rgb(0x14244A), 0, 430, rgb(0x35486E)));
    for (uint32_t i = 0; i < 260; i++) {
        float r = 0.5f + 1.1f * noise1(i * 3 + 5);
        ellipse(c, noise1(i) * w, 60 + noise1(i + 999) * 280, r, r);
        fill(c, solid(rgba(0xE8EEFF, 0.25f + 0.7f * noise1(i + 77))));
    }
    ellipse(c, 520, 210, 90, 90);
    fill(c, glow(520, 210, 120, rgba(0xB8C8F0, 0.35f)));
    ellipse(c, 520, 210, 30, 30);
    fill(c, radial(512, 202, 44, rgb(0xFDF8E6), rgb(0xC8CCDA)));
    for (int layer = 0; layer < 3; layer++) { // roofs of the town, with lights
        float base = 330 + 26 * (float)layer;
        colour roof = mix(rgb(0x1B2A4A), rgb(0x0A0E1A), (float)layer / 2);
        for (int i = 0; i < 26; i++) {
            uint32_t s = (uint32_t)(layer * 100 + i);
            float x = (float)i * 62 + noise1(s) * 30, h = 30 + noise1(s + 7) * 60, half = 34;
            move_to(c, x - half, base + 200);
            line_to(c, x - half, base - h * 0.5f);
            line_to(c, x, base - h);
            line_to(c, x + half, base - h * 0.5f);
            line_to(c, x + half, base + 200);
            fill(c, solid(roof));
            if (noise1(s + 3) > 0.4f) {
                rectangle(c, x - 6, base - h * 0.3f, 9, 11);
                fill(c, solid(rgba(0xFFC870, 0.85f)));
                ellipse(c, x - 2, base - h * 0.3f + 5, 22, 22);
                fill(c, glow(x - 2, base - h * 0.3f + 5, 22, rgba(0xFFB050, 0.3f)));
            }
        }
    }
}

// Clears an arched hole into the wall, and frames it.
static void window_hole(canvas *c, float x, float y, float w, float h)
{
    int x0 = (int)x, x1 = (int)(x + w);
    float radius = w / 2;
    for (int py = (int)y; py < (int)(y + h); py++) {
        for (int px = x0; px < x1; px++) {
            float dx = (float)px + 0.5f - (x + radius), dy = y + radius - (float)py - 0.5f;
            float inside = dy <= 0 ? 1 : radius + 0.5f - sqrtf(dx * dx + dy * dy);
            inside = inside < 0 ? 0 : inside > 1 ? 1 : inside;
            float *to = c->pixels + ((size_t)py * (size_t)c->width + (size_t)px) * 4;
            for (int k = 0; k < 4; k++) {
                to[k] *= 1 - inside;
            }
        }
    }
    // frost and reflections on the panes, then lead and wood
    move_to(c, x, y + h);
    line_to(c, x, y + radius);
    curve_to(c, x, y - radius * 0.33f, x + w, y - radius * 0.33f, x + w, y + radius);
    line_to(c, x + w, y + h);
    fill(c, linear(x, y, rgba(0xFFB060, 0.05f), x + w, y + h, rgba(0xCFE0FF, 0.16f)));
    for (int i = 1; i < 4; i++) {
        stroke_line(c, x + w * (float)i / 4, y + (i == 2 ? 2 : 14), x + w * (float)i / 4, y + h, 2.6f, solid(rgb(0x1A0F0A)));
    }
    for (int i = 1; i < 6; i++) {
        float at = y + h * (float)i / 6 + 8;
        stroke_line(c, x, at, x + w, at, 2.6f, solid(rgb(0x1A0F0A)));
        stroke_line(c, x, at - 1.2f, x + w, at - 1.2f, 0.8f, solid(rgba(0x9FB4E0, 0.35f)));
    }
    for (int k = 0; k < 2; k++) {
        float inset = k ? 0.0f : 7.0f, t = k ? 9.0f : 16.0f;
        float arch[] = {x - inset, y + h, x - inset, y + radius, x + w * 0.15f, y + radius * 0.32f, x + w / 2, y - inset, x + w * 0.85f, y + radius * 0.32f, x + w + inset, y + radius, x + w + inset, y + h};
        brush(c, arch, 7, t, t, linear(x, y, k ? rgb(0x6A4526) : rgb(0x2A180E), x + w, y, k ? rgb(0x3A2212) : rgb(0x140A06)));
    }
    wood(c, x - 24, y + h - 4, w + 48, 18, rgb(0x7A5230), rgb(0x2E1A0E), 5);
    // snow on the ledge outside
    float snow[] = {x + 4, y + h - 4, x + 10, y + h - 13, x + w * 0.3f, y + h - 17, x + w * 0.6f, y + h - 12, x + w - 8, y + h - 15, x + w - 4, y + h - 4};
    shape(c, snow, COUNT(snow), linear(0, y + h - 18, rgb(0xDCE6FF), 0, y + h - 3, rgb(0x7F93C8)));
}

static void bottle(canvas *c, float x, float base, float h, int kind, uint32_t seed)
{
    static const uint32_t colours[] = {0x2F6B3A, 0x7A3A18, 0x23486E, 0x6E1E2E, 0x8A6A1E, 0x3A2A5A};
    colour glass = rgb(colours[(seed + (uint32_t)kind) % 6]);
    float w = 9 + 5 * noise1(seed);
    if (kind == 0) { // a round jug
        ellipse(c, x, base - h * 0.36f, w * 1.25f, h * 0.36f);
        fill(c, radial(x - w * 0.5f, base - h * 0.5f, w * 2, mix(rgb(0xB98A5A), glass, 0.2f), rgb(0x3A2414)));
        round_rectangle(c, x - 4, base - h, 8, h * 0.36f, 2);
        fill(c, linear(x - 4, 0, rgb(0xB98A5A), x + 4, 0, rgb(0x3A2414)));
    } else {
        float p[] = {x - w * 0.5f, base, x - w * 0.62f, base - h * 0.5f, x - 3.4f, base - h * 0.68f, x - 3, base - h, x + 3, base - h, x + 3.4f, base - h * 0.68f, x + w * 0.62f, base - h * 0.5f, x + w * 0.5f, base};
        shape(c, p, COUNT(p), linear3(x - w * 0.6f, 0, mix(glass, rgb(0xFFFFFF), 0.25f), 0.5f, glass, x + w * 0.6f, 0, mix(glass, rgb(0x000000), 0.7f)));
        if (noise1(seed + 4) > 0.4f) {
            rectangle(c, x - w * 0.5f, base - h * 0.42f, w, h * 0.22f);
            fill(c, solid(rgba(0xE8D4A8, 0.8f)));
        }
        round_rectangle(c, x - 3.4f, base - h - 3, 6.8f, 5, 1);
        fill(c, solid(rgb(0x8A5A30)));
    }
    stroke_line(c, x - w * 0.36f, base - h * 0.14f, x - w * 0.36f, base - h * 0.5f, 1.6f, solid(rgba(0xFFE9C0, 0.55f)));
}

static void candle(canvas *c, float x, float base, float h)
{
    round_rectangle(c, x - 5, base - h, 10, h, 3);
    fill(c, linear(x - 5, base - h, rgb(0xFFF1CE), x + 5, base, rgb(0xB98A52)));
    ellipse(c, x, base, 12, 3.5f);
    fill(c, linear(x - 12, 0, rgb(0xC9A24E), x + 12, 0, rgb(0x4A3010)));
    stroke_line(c, x, base - h, x, base - h - 5, 1.4f, solid(rgb(0x20140C)));
}

static void paint_shelves(canvas *c)
{
    round_rectangle(c, 742, 118, 436, 300, 6);
    fill(c, linear(742, 118, rgb(0x3A2212), 1178, 418, rgb(0x120905)));
    for (int i = 0; i < 9; i++) {
        wood(c, 752 + 47 * (float)i, 128, 44, 286, rgb(0x4A2C18), rgb(0x1C0E07), (uint32_t)i * 91);
    }
    for (int shelf = 0; shelf < 3; shelf++) {
        float y = 214 + 88 * (float)shelf;
        ellipse(c, 960, y - 40, 210, 50);
        fill(c, glow(960, y - 30, 200, rgba(0xFF9A40, 0.09f)));
        float x = 766;
        for (uint32_t i = 0; x < 1160; i++) {
            uint32_t s = (uint32_t)shelf * 50 + i;
            bottle(c, x, y, 38 + 26 * noise1(s + 11), (int)(noise1(s + 5) * 3), s);
            x += 19 + 15 * noise1(s + 2);
        }
        wood(c, 744, y, 432, 13, rgb(0x8A5A32), rgb(0x341C0C), (uint32_t)shelf + 400);
        rectangle(c, 744, y + 13, 432, 14);
        fill(c, linear(0, y + 13, rgba(0x000000, 0.55f), 0, y + 27, rgba(0x000000, 0)));
    }
    wood(c, 728, 104, 464, 20, rgb(0x9A6638), rgb(0x3A2010), 3);
    wood(c, 728, 110, 18, 320, rgb(0x8A5A32), rgb(0x2A1509), 4);
    wood(c, 1174, 110, 18, 320, rgb(0x7A4E2A), rgb(0x200F06), 6);
}

static void paint_sign(canvas *c)
{
    // the gilded griffin over the bar
    push(c);
    translate(c, 960, 80);
    scale(c, 0.8f, 0.8f);
    float board[] = {-92, -30, -100, 4, -80, 34, 0, 40, 80, 34, 100, 4, 92, -30, 0, -42};
    shape(c, board, COUNT(board), linear3(-90, -30, rgb(0x7A4A26), 0.5f, rgb(0x4A2A14), 90, 40, rgb(0x1E0F06)));
    float border[] = {-86, -26, 0, -36, 86, -26, 92, 4, 74, 29, 0, 34, -74, 29, -92, 4, -86, -26};
    brush(c, border, 9, 2.4f, 2.4f, linear(-90, 0, rgb(0xF8DA8C), 90, 0, rgb(0x7A5216)));
    paint gold = linear(-50, -28, rgb(0xFFE9A4), 40, 26, rgb(0xA06C1C));
    float body[] = {-34, 12, -22, 0, 2, -2, 22, 4, 34, 14, 30, 24, 10, 18, -12, 20, -30, 24};
    shape(c, body, COUNT(body), gold);
    float neck[] = {14, 6, 18, -12, 28, -22, 40, -20, 48, -13, 40, -10, 34, -2, 32, 12};
    shape(c, neck, COUNT(neck), gold);
    float wing[] = {-8, 4, -26, -12, -44, -30, -30, -26, -24, -31, -14, -24, -8, -28, 2, -18, 12, -4};
    shape(c, wing, COUNT(wing), gold);
    float tail[] = {-32, 16, -50, 12, -56, -2, -48, -12};
    brush(c, tail, 4, 4, 6, gold);
    for (int i = 0; i < 4; i++) {
        stroke_line(c, -26 + 17 * (float)i, 17, -28 + 17 * (float)i, 28, 4, gold);
    }
    ellipse(c, 37, -16, 1.4f, 1.4f);
    fill(c, solid(rgb(0x2A1408)));
    pop(c);
}

static void paint_fireplace(canvas *c)
{
    rectangle(c, 40, 40, 300, 540);
    fill(c, linear(40, 40, rgb(0x3A2E28), 340, 560, rgb(0x1A1210)));
    for (int row = 0; row < 17; row++) {
        float y = 30 + 33 * (float)row, x = 38 - (row & 1 ? 26.0f : 0.0f);
        for (int i = 0; x < 340; i++) {
            uint32_t s = (uint32_t)(row * 40 + i);
            float w = 42 + 26 * noise1(s), warmth = 0.5f - fabsf(x + w / 2 - 190) / 500 - fabsf(y - 470) / 500;
            warmth = warmth < 0 ? 0 : warmth;
            float right = x + w > 344 ? 344 : x + w, left = x < 36 ? 36 : x;
            if (right - left > 14) {
                stone(c, left, y, right - left - 2, 31, s * 17, warmth);
            }
            x += w;
        }
    }
    // the opening
    move_to(c, 92, 580);
    line_to(c, 92, 430);
    curve_to(c, 92, 352, 288, 352, 288, 430);
    line_to(c, 288, 580);
    fill(c, radial3(190, 560, 200, rgb(0x6A2408), 0.45f, rgb(0x2A0E06), rgb(0x080303)));
    for (int i = 0; i < 9; i++) { // the arch
        float a = 3.14159f * (1 + (float)i / 8), x = 190 + cosf(a) * 108, y = 436 + sinf(a) * 82;
        push(c);
        translate(c, x, y);
        rotate(c, a + 1.5708f);
        stone(c, -19, -15, 38, 30, (uint32_t)i * 7 + 3000, 0.42f);
        pop(c);
    }
    for (int i = 0; i < 3; i++) { // logs
        float log[] = {118 + 14 * (float)i, 570 - 13 * (float)i, 190, 556 - 15 * (float)i, 262 - 12 * (float)i, 571 - 14 * (float)i};
        brush(c, log, 3, 24, 22, linear(0, 540 - 14 * (float)i, rgb(0x7A4220), 0, 580 - 14 * (float)i, rgb(0x140805)));
        float ember[] = {130 + 14 * (float)i, 566 - 13 * (float)i, 190, 553 - 15 * (float)i, 250 - 12 * (float)i, 566 - 14 * (float)i};
        brush(c, ember, 3, 3, 3, solid(rgba(0xFF8A2A, 0.7f)));
    }
    wood(c, 22, 326, 336, 30, rgb(0xA06C3C), rgb(0x3A200F), 77); // the mantel
    rectangle(c, 40, 356, 300, 16);
    fill(c, linear(0, 356, rgba(0x000000, 0.6f), 0, 372, rgba(0x000000, 0)));
    candle(c, 62, 326, 34);
    candle(c, 96, 326, 22);
    candle(c, 318, 326, 30);
    // a ship in a bottle
    round_rectangle(c, 140, 284, 130, 42, 20);
    fill(c, linear(140, 284, rgba(0xBFE0E8, 0.34f), 140, 326, rgba(0x3A5A6A, 0.4f)));
    float hull[] = {172, 308, 182, 318, 228, 318, 240, 306, 206, 311};
    shape(c, hull, COUNT(hull), linear(172, 306, rgb(0x8A5026), 240, 320, rgb(0x3A1C0C)));
    for (int i = 0; i < 3; i++) {
        float x = 186 + 18 * (float)i, sail[] = {x, 290, x + 13, 296, x + 12, 305, x - 1, 307};
        shape(c, sail, COUNT(sail), linear(x, 290, rgb(0xFBF1DA), x + 13, 306, rgb(0xB09468)));
        stroke_line(c, x, 288, x, 312, 1.4f, solid(rgb(0x2A160A)));
    }
    stroke_line(c, 152, 290, 236, 288, 2, solid(rgba(0xFFFFFF, 0.5f)));
    round_rectangle(c, 266, 297, 20, 16, 4);
    fill(c, solid(rgb(0x8A5A30)));
}

static void paint_floor(canvas *c)
{
    rectangle(c, 0, FLOOR_Y, ROOM_WIDTH, VIEW_HEIGHT - FLOOR_Y);
    fill(c, linear(0, FLOOR_Y, rgb(0x2A170C), 0, VIEW_HEIGHT, rgb(0x5A3820)));
    for (int row = 0; row < 6; row++) {
        float y = FLOOR_Y + 4 + 5 * (float)row * (1 + 0.62f * (float)row), h = 6 + 7 * (float)row;
        float shift = noise1((uint32_t)row + 50) * 180;
        for (float x = -shift; x < ROOM_WIDTH; x += 190 + 20 * (float)row) {
            wood(c, x, y, 186 + 20 * (float)row, h, mix(rgb(0x6A4526), rgb(0x8A5C34), noise1((uint32_t)(x + 500 + (float)row * 77))), rgb(0x2A160B), (uint32_t)(x + 900) + (uint32_t)row);
        }
    }
    rectangle(c, 0, FLOOR_Y, ROOM_WIDTH, 40);
    fill(c, linear(0, FLOOR_Y, rgba(0x050201, 0.75f), 0, FLOOR_Y + 40, rgba(0x050201, 0)));
    ellipse(c, 250, 640, 330, 70); // firelight on the boards
    fill(c, (paint){.kind = 2, .x0 = 230, .y0 = 630, .x1 = 330, .y1 = 0.26f, .stops = 2, .at = {0, 1}, .colours = {rgba(0xFF8A30, 0.42f), rgba(0xFF8A30, 0)}, .blend = BLEND_ADD});
    ellipse(c, 1490, 668, 250, 40); // a rug
    fill(c, (paint){.kind = 2, .x0 = 1470, .y0 = 662, .x1 = 260, .y1 = 0.18f, .stops = 4, .at = {0, 0.7f, 0.78f, 1}, .colours = {rgb(0x7A2A2E), rgb(0x5A1C22), rgb(0xB98A3E), rgb(0x3A1216)}});
}

static void paint_door(canvas *c)
{
    wood(c, 1676, 150, 176, 430, rgb(0x3A2212), rgb(0x140A05), 9);
    for (int i = 0; i < 4; i++) {
        wood(c, 1690 + 37 * (float)i, 166, 36, 410, rgb(0x7A4E2A), rgb(0x2A160A), (uint32_t)i + 61);
    }
    for (int i = 0; i < 2; i++) {
        round_rectangle(c, 1686, 220 + 240 * (float)i, 130, 12, 4);
        fill(c, linear(0, 220, rgb(0x4A4A50), 0, 240, rgb(0x16161A)));
    }
    ellipse(c, 1706, 400, 9, 9);
    fill(c, radial(1703, 396, 13, rgb(0xE8C070), rgb(0x5A3A10)));
    wood(c, 1654, 130, 24, 450, rgb(0x6A4222), rgb(0x1E0F07), 15);
    wood(c, 1850, 130, 24, 450, rgb(0x6A4222), rgb(0x1E0F07), 16);
    wood(c, 1648, 116, 232, 28, rgb(0x8A5A30), rgb(0x2A1509), 17);
}

static void paint_chair(canvas *c)
{
    // Harker's armchair, its back
    float back[] = {282, 540, 270, 420, 288, 330, 330, 300, 395, 292, 460, 300, 502, 330, 520, 420, 508, 540, 395, 560};
    shape(c, back, COUNT(back), linear3(280, 310, rgb(0x9A4A30), 0.4f, rgb(0x6A2A1E), 510, 520, rgb(0x220B08)));
    float inner[] = {306, 530, 298, 420, 312, 348, 346, 326, 395, 320, 444, 326, 478, 348, 492, 420, 484, 530, 395, 548};
    shape(c, inner, COUNT(inner), radial3(350, 390, 210, rgb(0xB5603C), 0.5f, rgb(0x74301F), rgb(0x2E100A)));
    for (int row = 0; row < 3; row++) {
        for (int i = 0; i < 4 - (row & 1); i++) {
            float x = 338 + 38 * (float)i + (row & 1 ? 19.0f : 0.0f), y = 356 + 44 * (float)row;
            ellipse(c, x, y, 9, 9);
            fill(c, shade(x, y, 10, rgba(0x1A0604, 0.6f)));
            ellipse(c, x, y, 3.4f, 3.4f);
            fill(c, radial(x - 1, y - 1, 5, rgb(0xE8A870), rgb(0x5A2014)));
        }
    }
}

void paint_wall(canvas *c)
{
    rectangle(c, 0, 0, ROOM_WIDTH, FLOOR_Y + 4);
    fill(c, linear3(0, 0, rgb(0x4A3018), 0.5f, rgb(0x8A6236), 0, 420, rgb(0x5A3A1E)));
    for (uint32_t i = 0; i < 900; i++) { // plaster
        float x = noise1(i) * ROOM_WIDTH, y = 50 + noise1(i + 5000) * 380, r = 8 + 26 * noise1(i + 777);
        ellipse(c, x, y, r, r * 0.7f);
        fill(c, shade(x, y, r, noise1(i + 3) > 0.5f ? rgba(0xFFD9A0, 0.05f) : rgba(0x1A0C04, 0.07f)));
    }
    for (int i = 0; i < 46; i++) { // wainscot
        wood(c, (float)i * 42, 424, 40, FLOOR_Y - 424, mix(rgb(0x6E4626), rgb(0x5A381E), noise1((uint32_t)i)), rgb(0x241308), (uint32_t)i * 131);
    }
    wood(c, 0, 412, ROOM_WIDTH, 16, rgb(0x8E6036), rgb(0x341C0D), 21);
    wood(c, 0, FLOOR_Y - 16, ROOM_WIDTH, 20, rgb(0x5A3A20), rgb(0x1A0D06), 22);
    static const float posts[] = {380, 700, 1206, 1640};
    for (int i = 0; i < 4; i++) {
        wood(c, posts[i], 30, 34, FLOOR_Y - 30, rgb(0x8A5C34), rgb(0x24120A), (uint32_t)i + 500);
        float brace[] = {posts[i] + 17, 150, posts[i] + 40, 90, posts[i] + 96, 50};
        brush(c, brace, 3, 20, 20, linear(posts[i], 60, rgb(0x7A5030), posts[i] + 60, 140, rgb(0x241209)));
    }
    paint_floor(c);
    window_hole(c, 470, 160, 150, 210);
    window_hole(c, 1290, 150, 150, 220);
    paint_shelves(c);
    paint_sign(c);
    paint_fireplace(c);
    paint_door(c);
    paint_chair(c);
    for (int i = 0; i < 2; i++) { // barrels by the wall
        float x = 1590 - 74 * (float)i, y = 590;
        float barrel[] = {x - 32, y, x - 42, y - 56, x - 32, y - 112, x + 32, y - 112, x + 42, y - 56, x + 32, y};
        shape(c, barrel, COUNT(barrel), linear3(x - 42, 0, rgb(0x8A5A30), 0.4f, rgb(0x6A4020), x + 42, 0, rgb(0x1E0E06)));
        for (int k = 0; k < 3; k++) {
            float hoop[] = {x - 38, y - 20 - 36 * (float)k, x, y - 14 - 36 * (float)k, x + 38, y - 20 - 36 * (float)k};
            brush(c, hoop, 3, 6, 6, linear(x - 38, 0, rgb(0x7A7670), x + 38, 0, rgb(0x1E1C1A)));
        }
    }
    for (int i = 0; i < 8; i++) { // ceiling beams
        wood(c, (float)i * 270 - 40, 0, 60, 54, rgb(0x6A4222), rgb(0x1A0C05), (uint32_t)i + 800);
    }
    wood(c, 0, 0, ROOM_WIDTH, 34, rgb(0x5A381C), rgb(0x160A04), 30);
    rectangle(c, 0, 34, ROOM_WIDTH, 60);
    fill(c, linear(0, 34, rgba(0x000000, 0.6f), 0, 94, rgba(0x000000, 0)));
    static const float lamps[] = {660, 960, 1240, 1560};
    for (int i = 0; i < 4; i++) { // light on the wall behind the lanterns
        ellipse(c, lamps[i], 190, 230, 200);
        fill(c, glow(lamps[i], 190, 220, rgba(0xFFA850, 0.26f)));
    }
    ellipse(c, 190, 470, 360, 320);
    fill(c, glow(190, 480, 360, rgba(0xFF7A28, 0.42f)));
}

void paint_bar(canvas *c)
{
    for (int i = 0; i < 11; i++) {
        wood(c, 706 + 48 * (float)i, COUNTER_Y + 30, 46, 190, rgb(0x7E4E28), rgb(0x2A1409), (uint32_t)i + 1300);
    }
    for (int i = 0; i < 4; i++) {
        float x = 722 + 130 * (float)i;
        round_rectangle(c, x, COUNTER_Y + 54, 112, 140, 6);
        fill(c, linear(x, 0, rgb(0x241108), x + 112, 0, rgb(0x120804)));
        wood(c, x + 6, COUNTER_Y + 60, 100, 128, rgb(0x925C30), rgb(0x38200F), (uint32_t)i + 1400);
        stroke_line(c, x + 7, COUNTER_Y + 61, x + 105, COUNTER_Y + 61, 1.4f, solid(rgba(0xFFD9A0, 0.4f)));
    }
    wood(c, 700, COUNTER_Y + 206, 540, 18, rgb(0x5A341A), rgb(0x180B05), 1500);
    stroke_line(c, 706, COUNTER_Y + 190, 1236, COUNTER_Y + 190, 6, linear(0, COUNTER_Y + 186, rgb(0xF0CF84), 0, COUNTER_Y + 194, rgb(0x6A4414)));
    wood(c, 684, COUNTER_Y + 2, 572, 30, rgb(0xC08A52), rgb(0x4A2812), 1600);
    rectangle(c, 690, COUNTER_Y + 32, 560, 16);
    fill(c, linear(0, COUNTER_Y + 32, rgba(0x000000, 0.65f), 0, COUNTER_Y + 48, rgba(0x000000, 0)));
    stroke_line(c, 688, COUNTER_Y + 4, 1252, COUNTER_Y + 4, 2, solid(rgba(0xFFE6B8, 0.6f)));
    ellipse(c, 960, COUNTER_Y + 12, 230, 12);
    fill(c, glow(960, COUNTER_Y + 12, 200, rgba(0xFFC070, 0.2f)));
    // a tap, a ledger, a candle
    round_rectangle(c, 738, COUNTER_Y - 62, 52, 66, 8);
    fill(c, linear(738, 0, rgb(0x9A6636), 790, 0, rgb(0x2E180A)));
    for (int k = 0; k < 2; k++) {
        round_rectangle(c, 735, COUNTER_Y - 50 + 34 * (float)k, 58, 6, 2);
        fill(c, linear(735, 0, rgb(0x8A867E), 793, 0, rgb(0x2A2826)));
    }
    round_rectangle(c, 758, COUNTER_Y - 26, 12, 18, 3);
    fill(c, linear(758, 0, rgb(0xF8DA8C), 770, 0, rgb(0x7A5216)));
    stroke_line(c, 764, COUNTER_Y - 34, 764, COUNTER_Y - 24, 4, solid(rgb(0xB98A3E)));
    candle(c, 822, COUNTER_Y + 6, 36);
    candle(c, 1222, COUNTER_Y + 6, 28);
    float book[] = {1206, COUNTER_Y + 6, 1210, COUNTER_Y - 6, 1190, COUNTER_Y - 9, 1174, COUNTER_Y + 4};
    shape(c, book, COUNT(book), linear(858, COUNTER_Y - 8, rgb(0xF0E2C0), 906, COUNTER_Y + 6, rgb(0x8A6E44)));
    // Harker's armrests and cushion, and Lysa's stool, before their knees
    for (int side = -1; side <= 1; side += 2) {
        float x = 395 + (float)side * 118;
        float arm[] = {x - 26, 640, x - 30, 540, x - 22, 506, x, 498, x + 22, 506, x + 30, 540, x + 26, 640};
        shape(c, arm, COUNT(arm), linear3(x - 30, 500, side < 0 ? rgb(0xC06A40) : rgb(0x8A3E28), 0.5f, rgb(0x6A2A1C), x + 30, 640, rgb(0x1E0907)));
        ellipse(c, x, 516, 21, 15);
        fill(c, radial(x - 6, 510, 28, rgb(0xB5603C), rgb(0x4A1A10)));
    }
    float seat[] = {300, 700, 300, 622, 395, 612, 490, 622, 490, 700};
    shape(c, seat, COUNT(seat), linear(300, 616, rgb(0x8A3E28), 490, 690, rgb(0x220B08)));
    wood(c, 1420, 640, 120, 16, rgb(0x9A6A3A), rgb(0x38200F), 1700);
    for (int i = 0; i < 3; i++) {
        stroke_line(c, 1434 + 46 * (float)i, 652, 1426 + 54 * (float)i, 730, 10, linear(0, 650, rgb(0x7A5028), 0, 720, rgb(0x241208)));
    }
    // a small table with a candle
    ellipse(c, 1640, 560, 62, 13);
    fill(c, linear(1580, 548, rgb(0xB07C46), 1700, 572, rgb(0x4A2A14)));
    stroke_line(c, 1640, 570, 1640, 690, 14, linear(1632, 0, rgb(0x7A5028), 1648, 0, rgb(0x241208)));
    candle(c, 1640, 556, 32);
}

// Close to the eye, out of focus: a table's edge and a tankard.
void paint_front(canvas *c)
{
    float table[] = {1830, 720, 1838, 640, 1880, 628, 2060, 624, 2180, 630, 2180, 720};
    shape(c, table, COUNT(table), linear(1830, 624, rgb(0x1A0D07), 2180, 720, rgb(0x080403)));
    float mug[] = {1916, 636, 1910, 560, 1984, 560, 1978, 636};
    shape(c, mug, COUNT(mug), linear(1910, 0, rgb(0x2A160B), 1984, 0, rgb(0x080402)));
    float handle[] = {1982, 574, 2014, 578, 2012, 612, 1980, 618};
    brush(c, handle, 4, 9, 9, solid(rgb(0x140A05)));
    stroke_line(c, 1914, 566, 1918, 630, 3, solid(rgba(0xFF9A48, 0.25f)));
}

void paint_mug(canvas *c, int drink)
{
    static const uint32_t inside[] = {0xF0A838, 0xE8C860, 0x7A1630}, foam[] = {0xFFF6E0, 0xFFF0C8, 0x9A2A44};
    if (drink == 2) { // a goblet for wine
        float bowl[] = {9, 6, 10, 24, 18, 34, 30, 34, 38, 24, 39, 6};
        shape(c, bowl, COUNT(bowl), linear3(9, 0, rgba(0xFFFFFF, 0.55f), 0.5f, rgb(inside[2]), 39, 0, rgb(0x2A0610)));
        ellipse(c, 24, 8, 14.5f, 4);
        fill(c, solid(rgb(foam[2])));
        stroke_line(c, 24, 34, 24, 54, 4, linear(22, 0, rgb(0xE8E8F0), 26, 0, rgb(0x5A5A66)));
        ellipse(c, 24, 56, 13, 3.5f);
        fill(c, linear(11, 0, rgb(0xE8E8F0), 37, 0, rgb(0x4A4A56)));
        return;
    }
    float handle[] = {36, 20, 46, 22, 46, 40, 35, 44};
    brush(c, handle, 4, 6, 6, linear(36, 18, rgb(0xB07A44), 46, 44, rgb(0x3A200E)));
    round_rectangle(c, 7, 10, 31, 48, 4);
    fill(c, linear3(7, 0, rgb(0xC08A50), 0.4f, rgb(0x9A6432), 38, 0, rgb(0x38200F)));
    for (int i = 1; i < 4; i++) {
        stroke_line(c, 7 + 7.8f * (float)i, 12, 7 + 7.8f * (float)i, 57, 1, solid(rgba(0x1A0C04, 0.6f)));
    }
    for (int k = 0; k < 2; k++) {
        round_rectangle(c, 5.5f, 18 + 28 * (float)k, 34, 5, 1.5f);
        fill(c, linear(5, 0, rgb(0xD8D4CC), 40, 0, rgb(0x3A3834)));
    }
    ellipse(c, 22.5f, 10, 15.5f, 4.6f);
    fill(c, solid(rgb(inside[drink])));
    for (int i = 0; i < 6; i++) {
        float x = 11 + 4.8f * (float)i, y = 8 - 2.4f * sinf((float)i * 2.1f);
        ellipse(c, x, y, 5.2f, 4.4f);
        fill(c, radial(x - 1.5f, y - 2, 7, rgb(foam[drink]), mix(rgb(foam[drink]), rgb(0xB98A50), 0.5f)));
    }
}

void paint_soup(canvas *c)
{
    float bowl[] = {4, 22, 10, 40, 24, 48, 46, 48, 60, 40, 66, 22};
    shape(c, bowl, COUNT(bowl), linear3(4, 0, rgb(0xD8C0A0), 0.4f, rgb(0xA07C54), 66, 0, rgb(0x3A2616)));
    ellipse(c, 35, 22, 31, 8);
    fill(c, linear(4, 0, rgb(0xE8D4B4), 66, 0, rgb(0x6A4C30)));
    ellipse(c, 35, 22.5f, 27, 6);
    fill(c, radial(28, 20, 30, rgb(0xE8A048), rgb(0x9A4E18)));
    for (int i = 0; i < 5; i++) {
        ellipse(c, 18 + 8.5f * (float)i, 22 + 2 * sinf((float)i * 2), 3, 1.5f);
        fill(c, solid(i & 1 ? rgb(0x5A8A34) : rgb(0xF4C878)));
    }
}
