// people.c - Marta, Captain Harker, Lysa, and the player's back. Units are those of the head: it is about 125 high.
// SPDX-License-Identifier: MIT
#include "figure.h"

#include <math.h>

#define COUNT(points) ((int)(sizeof(points) / sizeof((points)[0]) / 2))

static void shape(canvas *c, const float *points, int count, paint p)
{
    blob(c, points, count);
    fill(c, p);
}

// Folds: soft dark strokes inside a garment.
static void fold(canvas *c, float x0, float y0, float x1, float y1, float x2, float y2, float width, colour shadow)
{
    float points[] = {x0, y0, x1, y1, x2, y2};
    brush(c, points, 3, width, width * 0.3f, solid(shadow));
}

static void draw_neck(canvas *c, const face_look *k, float turn)
{
    float neck[] = {-20, -34, -21, -8, -34, 14, 0, 30, 34, 14, 21, -8, 20, -34, 0, -40};
    shape(c, neck, COUNT(neck), linear(-20, 0, k->skin, 24, 0, k->skin_dark));
    ellipse(c, turn * 4, -22, 26, 15);
    fill(c, shade(turn * 4, -24, 26, (colour){k->skin_dark.r * 0.6f, k->skin_dark.g * 0.5f, k->skin_dark.b * 0.5f, 0.75f}));
}

static void draw_hand(canvas *c, const face_look *k, float x, float y, float angle)
{
    push(c);
    translate(c, x, y);
    rotate(c, angle);
    float palm[] = {-10, -9, -11, 6, -4, 14, 8, 13, 12, 3, 9, -9};
    shape(c, palm, COUNT(palm), radial(-3, -2, 22, k->skin_light, k->skin));
    for (int i = 0; i < 4; i++) {
        float finger[] = {-7 + 5.2f * (float)i, 9, -7.5f + 5.4f * (float)i, 17, -6 + 5 * (float)i, 22 - fabsf((float)i - 1.4f) * 2};
        brush(c, finger, 3, 5.6f, 4.6f, solid(mix(k->skin, k->skin_dark, 0.08f * (float)i)));
        if (i) {
            float gap[] = {-9.6f + 5.3f * (float)i, 10, -9.8f + 5.3f * (float)i, 18};
            brush(c, gap, 2, 0.8f, 0.8f, solid((colour){k->skin_dark.r, k->skin_dark.g, k->skin_dark.b, 0.6f}));
        }
    }
    float thumb[] = {9, -2, 15, 5, 14, 13};
    brush(c, thumb, 3, 6.5f, 5, solid(mix(k->skin, k->skin_dark, 0.12f)));
    pop(c);
}

// An arm from shoulder over elbow to wrist, in a sleeve.
static void draw_sleeve(canvas *c, const float *points, int count, float w0, float w1, colour light, colour dark)
{
    colour rim = mix(dark, rgb(0x000000), 0.35f);
    rim.a = 0.55f;
    brush(c, points, count, w0 + 2.2f, w1 + 2.2f, solid(rim));
    brush(c, points, count, w0, w1, linear(points[0] - w0 * 0.5f, points[1], light, points[0] + w0 * 0.6f, points[1] + 40, dark));
}

static void strand(canvas *c, float x0, float y0, float x1, float y1, float x2, float y2, float w, colour hair)
{
    float points[] = {x0, y0, x1, y1, x2, y2};
    brush(c, points, 3, w, w * 0.35f, solid(hair));
}

static const face_look marta_face = {
    .skin = {0.90f, 0.70f, 0.57f, 1}, .skin_dark = {0.62f, 0.38f, 0.30f, 1}, .skin_light = {0.99f, 0.85f, 0.72f, 1},
    .blush = {0.86f, 0.44f, 0.38f, 1}, .lip = {0.74f, 0.33f, 0.31f, 1}, .brow = {0.40f, 0.20f, 0.12f, 1}, .iris = {0.35f, 0.47f, 0.30f, 1},
    .width = 1.04f, .height = 0.98f, .jaw = 1.02f, .brow_thickness = 0.9f, .age = 0.35f};

static const face_look harker_face = {
    .skin = {0.82f, 0.60f, 0.48f, 1}, .skin_dark = {0.48f, 0.29f, 0.23f, 1}, .skin_light = {0.94f, 0.76f, 0.63f, 1},
    .blush = {0.80f, 0.36f, 0.28f, 1}, .lip = {0.62f, 0.33f, 0.29f, 1}, .brow = {0.80f, 0.78f, 0.74f, 1}, .iris = {0.33f, 0.50f, 0.62f, 1},
    .width = 1.0f, .height = 1.0f, .jaw = 1.05f, .brow_thickness = 1.5f, .age = 1.0f};

static const face_look lysa_face = {
    .skin = {0.60f, 0.40f, 0.29f, 1}, .skin_dark = {0.33f, 0.19f, 0.14f, 1}, .skin_light = {0.74f, 0.52f, 0.38f, 1},
    .blush = {0.72f, 0.34f, 0.28f, 1}, .lip = {0.62f, 0.26f, 0.27f, 1}, .brow = {0.14f, 0.08f, 0.07f, 1}, .iris = {0.36f, 0.22f, 0.12f, 1},
    .width = 0.95f, .height = 0.97f, .jaw = 0.9f, .brow_thickness = 0.85f, .age = 0.0f};

static void begin_head(canvas *c, const pose *p, float y)
{
    push(c);
    translate(c, p->turn * 2.5f, y + p->breath * 0.9f);
    rotate(c, p->tilt);
}

// --- Marta: blouse, laced bodice, apron, auburn hair under a kerchief; polishes a mug -------------------------------------------

static void marta_hair_back(canvas *c)
{
    float back[] = {-48, -30, -53, 2, -47, 30, -34, 44, 34, 44, 47, 30, 53, 2, 48, -30, 30, -64, -30, -64};
    shape(c, back, COUNT(back), radial(-10, -30, 90, rgb(0x7A3B1E), rgb(0x2C120A)));
    ellipse(c, 4, -84, 25, 21);
    fill(c, radial(-4, -92, 34, rgb(0xA4562B), rgb(0x3C190D)));
    strand(c, -14, -90, 2, -98, 20, -88, 3, rgba(0xD08A4A, 0.5f));
    strand(c, -16, -82, 4, -88, 24, -78, 2.4f, rgba(0xD08A4A, 0.4f));
}

static void marta_hair_front(canvas *c, const pose *p)
{
    float t = p->turn * 3;
    float left[] = {-2 + t, -62, -26 + t, -58, -43, -36, -47, -8, -43, 12, -38, -8, -32 + t, -28, -14 + t, -42, 4 + t, -47};
    float right[] = {-2 + t, -62, 22 + t, -58, 43, -38, 47, -8, 43, 14, 39, -6, 35 + t, -26, 20 + t, -41, 2 + t, -47};
    shape(c, right, COUNT(right), linear(0, -60, rgb(0x8A4520), 46, 10, rgb(0x421C0E)));
    shape(c, left, COUNT(left), linear(-6, -60, rgb(0xB5652F), -46, 10, rgb(0x5C2A13)));
    for (int i = 0; i < 5; i++) {
        float s = (float)i;
        strand(c, -4 + t - s, -59 + s * 2, -24 + t - s * 2, -50 + s * 3.4f, -42 + s * 0.6f, -18 + s * 5, 1.8f, rgba(0xE0A05E, 0.34f));
        strand(c, 2 + t + s, -59 + s * 2, 24 + t + s * 2, -50 + s * 3.4f, 42 - s * 0.6f, -16 + s * 5, 1.6f, rgba(0x2A0F06, 0.35f));
    }
    strand(c, -42, -6, -50, 16, -44, 34, 3.2f, rgb(0x8A4520));
    float kerchief[] = {-40, -52, -22 + t, -70, 0 + t, -76, 24 + t, -70, 41, -50, 26 + t, -60, 0 + t, -64, -24 + t, -60};
    shape(c, kerchief, COUNT(kerchief), linear(0, -76, rgb(0xC9543C), 0, -54, rgb(0x7A2A20)));
    for (int i = -3; i <= 3; i++) { // dots
        float x = (float)i * 10 + t;
        ellipse(c, x, -67.5f + x * x * 0.008f, 1.5f, 1.5f);
        fill(c, solid(rgba(0xFBE3C0, 0.85f)));
    }
}

static void marta_body(canvas *c, const pose *p)
{
    float b = p->breath * 1.6f;
    float skirt[] = {-58, 170, -92, 260, -96, 340, 96, 340, 92, 260, 58, 170};
    shape(c, skirt, COUNT(skirt), linear(-90, 200, rgb(0x4B5A3A), 90, 320, rgb(0x1D2618)));
    float blouse[] = {-26, 8, -66, 22 - b, -86, 48, -72, 112, -60, 180, 60, 180, 72, 112, 86, 48, 66, 22 - b, 26, 8, 0, 36};
    shape(c, blouse, COUNT(blouse), linear(-70, 10, rgb(0xFBF1DE), 70, 150, rgb(0xB79F82)));
    fold(c, -40, 22, -46, 50, -44, 82, 5, rgba(0x8A6A4C, 0.35f));
    fold(c, 40, 22, 48, 50, 46, 82, 6, rgba(0x6A4A34, 0.4f));
    fold(c, -20, 30, -26, 46, -22, 64, 4, rgba(0x8A6A4C, 0.3f));
    float bodice[] = {-50, 74 - b, -60, 120, -54, 186, 54, 186, 60, 120, 50, 74 - b, 30, 66 - b, 0, 84 - b, -30, 66 - b};
    shape(c, bodice, COUNT(bodice), linear3(-60, 90, rgb(0x8A4A2E), 0.5f, rgb(0x6B331F), 60, 170, rgb(0x2E120B)));
    blob(c, bodice, COUNT(bodice));
    mask_begin(c);
    ellipse(c, -24, 92, 30, 34);
    fill(c, shade(-26, 88, 32, rgba(0xD98B5A, 0.34f)));
    ellipse(c, 26, 118, 30, 44);
    fill(c, shade(30, 120, 36, rgba(0x1A0805, 0.4f)));
    mask_end(c);
    for (int i = 0; i < 5; i++) { // laces
        float y = 94 + 17 * (float)i;
        stroke_line(c, -9, y, 9, y + 12, 2.2f, solid(rgb(0xE9CFA2)));
        stroke_line(c, 9, y, -9, y + 12, 2.2f, solid(rgb(0xD8B986)));
        ellipse(c, -10, y, 2.2f, 2.2f);
        fill(c, solid(rgb(0xC9A24E)));
        ellipse(c, 10, y, 2.2f, 2.2f);
        fill(c, solid(rgb(0xC9A24E)));
    }
    float apron[] = {-44, 178, -62, 250, -64, 340, 64, 340, 62, 250, 44, 178};
    shape(c, apron, COUNT(apron), linear(-50, 180, rgb(0xEFE3CC), 50, 320, rgb(0x9A8567)));
    round_rectangle(c, -56, 172, 112, 13, 5);
    fill(c, linear(0, 172, rgb(0xF7ECD6), 0, 186, rgb(0xBCA684)));
    float collar[] = {-27, 6, -36, 22, -16, 40, 0, 48, 16, 40, 36, 22, 27, 6, 16, 26, 0, 34, -16, 26};
    shape(c, collar, COUNT(collar), linear(-30, 6, rgb(0xFFF8E8), 30, 40, rgb(0xC7B295)));
    ellipse(c, 0, 44, 4, 5); // a small brass griffin
    fill(c, radial(-1, 42, 6, rgb(0xFFE9A0), rgb(0x9A6A1C)));
}

void draw_marta(canvas *c, const pose *p)
{
    float polish = sinf(p->hand) * 7 * p->busy, lift = -3 * p->breath;
    begin_head(c, p, -66);
    marta_hair_back(c);
    pop(c);
    marta_body(c, p);
    draw_neck(c, &marta_face, p->turn);
    float right_arm[] = {58, 40, 104, 92, 84, 150 + lift, 40 + polish * 0.3f, 152 + lift};
    draw_sleeve(c, right_arm, 3, 50, 34, rgb(0xE9DAC0), rgb(0x8F7757));
    float fore_right[] = {92, 140 + lift, 66, 154 + lift, 34 + polish * 0.3f, 146 + lift};
    brush(c, fore_right, 3, 26, 18, linear(90, 140, marta_face.skin_dark, 40, 146, marta_face.skin));
    // the mug that she polishes, then the hand with the cloth over it
    push(c);
    translate(c, -6, 138 + lift);
    rotate(c, -0.12f);
    round_rectangle(c, -20, -24, 40, 50, 7);
    fill(c, linear3(-20, 0, rgb(0x5E6672), 0.35f, rgb(0xC9D0D6), 20, 0, rgb(0x39404A)));
    ellipse(c, 0, -23, 20, 6);
    fill(c, linear(-18, -23, rgb(0x22262C), 18, -23, rgb(0x6E7782)));
    round_rectangle(c, -21, -6, 42, 5, 2);
    fill(c, solid(rgba(0x2C3138, 0.6f)));
    pop(c);
    draw_hand(c, &marta_face, 26 + polish * 0.3f, 146 + lift, 1.9f);
    float left_arm[] = {-58, 40, -106, 92, -92, 150 + lift};
    draw_sleeve(c, left_arm, 3, 52, 36, rgb(0xFFF6E4), rgb(0xB49C7C));
    float cuff[] = {-108, 138 + lift, -92, 152 + lift, -76, 160 + lift};
    brush(c, cuff, 3, 40, 30, linear(-100, 130, rgb(0xFFF8EA), -80, 165, rgb(0xB9A07E)));
    float fore_left[] = {-86, 156 + lift, -58, 158 + lift, -26 + polish, 140 + lift};
    brush(c, fore_left, 3, 25, 18, linear(-86, 150, marta_face.skin_light, -26, 146, marta_face.skin));
    float cloth[] = {-30 + polish, 120 + lift, -14 + polish, 112 + lift, 6 + polish, 122 + lift, 8 + polish, 148 + lift, -4 + polish, 172 + lift, -22 + polish, 166 + lift, -34 + polish, 146 + lift};
    shape(c, cloth, COUNT(cloth), linear(-30, 116, rgb(0xF2E6CE), 8, 168, rgb(0xA88F6C)));
    fold(c, -24 + polish, 126 + lift, -12 + polish, 140 + lift, -14 + polish, 162 + lift, 3, rgba(0x7A5C3C, 0.4f));
    draw_hand(c, &marta_face, -20 + polish, 134 + lift, -1.2f);
    begin_head(c, p, -66);
    draw_face(c, &marta_face, p);
    marta_hair_front(c, p);
    for (int side = -1; side <= 1; side += 2) { // earrings
        ellipse(c, (float)side * 46 - p->turn * 3.5f, 20, 3, 4);
        fill(c, radial((float)side * 46 - 1, 18, 5, rgb(0xFFE9A0), rgb(0x9A6A1C)));
    }
    pop(c);
}

// --- Harker: navy coat with brass buttons, cap, a beard like the surf; sits with a pipe -------------------------------------------

static void harker_body(canvas *c, const pose *p)
{
    float b = p->breath * 1.5f;
    float legs[] = {-70, 210, -96, 262, -78, 330, 78, 330, 96, 262, 70, 210};
    shape(c, legs, COUNT(legs), linear(-80, 210, rgb(0x3A3430), 80, 320, rgb(0x14110F)));
    fold(c, 0, 232, 2, 280, 0, 330, 8, rgba(0x060404, 0.7f));
    float coat[] = {-28, 4, -72, 20 - b, -98, 56, -92, 130, -84, 236, 84, 236, 92, 130, 98, 56, 72, 20 - b, 28, 4};
    shape(c, coat, COUNT(coat), linear3(-95, 40, rgb(0x3D5C80), 0.45f, rgb(0x223854), 95, 190, rgb(0x0A121E)));
    blob(c, coat, COUNT(coat));
    mask_begin(c);
    ellipse(c, -64, 80, 34, 90);
    fill(c, shade(-78, 84, 56, rgba(0xE08A44, 0.34f))); // the fire
    ellipse(c, 60, 150, 50, 100);
    fill(c, shade(70, 150, 60, rgba(0x03060C, 0.5f)));
    mask_end(c);
    float shirt[] = {-22, 6, -28, 40, -14, 120, 14, 120, 28, 40, 22, 6};
    shape(c, shirt, COUNT(shirt), linear(-20, 10, rgb(0xE9DCC4), 20, 100, rgb(0x8C7B62)));
    float lapel_left[] = {-28, 2, -52, 26, -44, 60, -58, 72, -14, 140, -8, 120, -22, 60};
    float lapel_right[] = {28, 2, 52, 26, 44, 60, 58, 72, 14, 140, 8, 120, 22, 60};
    shape(c, lapel_left, COUNT(lapel_left), linear(-55, 10, rgb(0x4A6C94), -10, 130, rgb(0x1B2D45)));
    shape(c, lapel_right, COUNT(lapel_right), linear(10, 10, rgb(0x2B4462), 55, 130, rgb(0x0D1826)));
    for (int i = 0; i < 4; i++) {
        for (int side = -1; side <= 1; side += 2) {
            float x = (float)side * 26, y = 146 + 24 * (float)i;
            ellipse(c, x, y, 5.4f, 5.4f);
            fill(c, radial(x - 1.8f, y - 2, 8, rgb(0xFFE7A0), rgb(0x7A4E12)));
        }
    }
    fold(c, -60, 120, -66, 160, -58, 220, 6, rgba(0x060B14, 0.5f));
    fold(c, 62, 120, 68, 160, 60, 220, 6, rgba(0x000000, 0.5f));
    fold(c, 0, 140, 1, 190, 0, 236, 3, rgba(0x04080F, 0.8f));
    float epaulette[] = {-96, 42, -84, 26, -62, 20, -54, 30, -70, 40, -88, 56};
    shape(c, epaulette, COUNT(epaulette), linear(-90, 20, rgb(0xF4CF7A), -60, 50, rgb(0x8A5D1A)));
}

static void harker_beard(canvas *c, const pose *p)
{
    float t = p->turn * 5, d = 3.2f * p->open;
    colour light = rgb(0xF2EEE6), middle = rgb(0xBDB6AB), dark = rgb(0x6E675F);
    float beard[] = {-43, -2, -48, 24, -44, 56 + d, -28, 88 + d, 0 + t, 104 + d, 28, 88 + d, 44, 56 + d, 48, 24, 43, -2, 37, 18, 28 + t, 26,
                     18 + t, 44 + d, 0 + t, 49 + d, -18 + t, 44 + d, -28 + t, 26, -37, 18};
    shape(c, beard, COUNT(beard), linear3(-46, 10, light, 0.5f, middle, 46, 90, dark));
    for (int i = 0; i < 18; i++) {
        float s = (float)i / 17.0f * 2 - 1, wave = sinf((float)i * 2.3f) * 5;
        float y0 = 50 - 34 * s * s + d;
        strand(c, s * 38 + t * 0.6f, y0 - 2, s * 42 + wave, y0 + 22, s * 26 + t + wave * 0.5f, 100 - 34 * s * s + d, 3, i & 1 ? rgba(0xFFFFFF, 0.42f) : rgba(0x4C4640, 0.34f));
    }
    for (int side = -1; side <= 1; side += 2) { // the moustache, above a mouth that still shows
        float s = (float)side, up = -3.0f * p->smile;
        float half[] = {t, 21, t + s * 12, 20, t + s * 27, 27 + up, t + s * 35, 37 + up, t + s * 24, 35 + up, t + s * 12, 31, t, 28.5f};
        shape(c, half, COUNT(half), linear(t - 20, 20, light, t + 34, 38, side < 0 ? middle : dark));
        for (int i = 0; i < 4; i++) {
            strand(c, t + s * (3 + 3 * (float)i), 22 + (float)i, t + s * (14 + 4 * (float)i), 23 + (float)i, t + s * (24 + 3 * (float)i), 31 + up, 1.5f, rgba(0xFFFFFF, 0.5f));
        }
    }
}

static void harker_cap(canvas *c, const pose *p)
{
    float t = p->turn * 4;
    float side_left[] = {-40, -46, -48, -22, -46, 6, -41, -4, -38, -30};
    float side_right[] = {40, -46, 48, -22, 46, 6, 41, -4, 38, -30};
    shape(c, side_left, COUNT(side_left), linear(-48, -40, rgb(0xF2EEE6), -38, 0, rgb(0x9A938A)));
    shape(c, side_right, COUNT(side_right), linear(38, -40, rgb(0xA8A198), 48, 0, rgb(0x5A544E)));
    float top[] = {-44, -52, -56, -76, -34, -98, 0, -104, 36, -98, 57, -74, 44, -52, 0, -60};
    shape(c, top, COUNT(top), linear3(-50, -96, rgb(0x47658C), 0.5f, rgb(0x25405F), 50, -56, rgb(0x0B1523)));
    float band[] = {-45, -62, -47, -46, -24 + t, -40, t, -38, 24 + t, -40, 47, -46, 45, -62, 22, -56, 0, -54, -22, -56};
    shape(c, band, COUNT(band), linear(-46, -60, rgb(0x22344C), 46, -40, rgb(0x070D16)));
    float braid[] = {-45, -53, t, -45.5f, 45, -53};
    brush(c, braid, 3, 3.4f, 3.4f, linear(-45, 0, rgb(0xF8D98A), 45, 0, rgb(0x7A5216)));
    float brim[] = {-36, -45, -24 + t, -33, t, -29, 24 + t, -33, 36, -45, 18 + t, -41, t, -39, -18 + t, -41};
    shape(c, brim, COUNT(brim), linear(-30, -46, rgb(0x3A4656), 30, -28, rgb(0x05070B)));
    ellipse(c, t, -64, 9, 9); // an anchor
    fill(c, radial(t - 2, -67, 12, rgb(0xFFE7A0), rgb(0x8A5A16)));
    stroke_line(c, t, -70, t, -59, 2, solid(rgb(0x4A2E08)));
    float hook[] = {t - 5, -62, t, -57, t + 5, -62};
    brush(c, hook, 3, 1.8f, 1.8f, solid(rgb(0x4A2E08)));
}

void draw_harker(canvas *c, const pose *p)
{
    float lift = -2.5f * p->breath, puff = sinf(p->hand * 0.25f) * 3;
    harker_body(c, p);
    draw_neck(c, &harker_face, p->turn);
    float right[] = {66, 46, 116, 108, 104, 184 + lift, 66, 196 + lift};
    draw_sleeve(c, right, 4, 58, 38, rgb(0x2B4462), rgb(0x0A1320));
    float cuff_right[] = {86, 192 + lift, 66, 197 + lift};
    brush(c, cuff_right, 2, 42, 40, solid(rgb(0x16253A)));
    float gold_right[] = {78, 176 + lift, 72, 214 + lift};
    brush(c, gold_right, 2, 4, 4, solid(rgb(0xB98A32)));
    draw_hand(c, &harker_face, 50, 200 + lift, 1.5f);
    float left[] = {-66, 46, -120, 106, -108, 172 + lift, -74, 158 + lift + puff};
    draw_sleeve(c, left, 4, 58, 38, rgb(0x4A6C94), rgb(0x16263C));
    float gold_left[] = {-92, 142 + lift + puff, -84, 180 + lift + puff};
    brush(c, gold_left, 2, 5, 5, linear(-92, 140, rgb(0xFBE2A0), -84, 180, rgb(0xA87522)));
    // the pipe in his left hand, with a warm bowl
    float stem[] = {-60, 146 + lift + puff, -44, 136 + lift + puff, -22, 120 + lift + puff};
    brush(c, stem, 3, 7, 4.5f, linear(-60, 140, rgb(0x5A2E16), -20, 120, rgb(0x1C0E08)));
    float bowl[] = {-76, 122 + lift + puff, -77, 140 + lift + puff, -68, 152 + lift + puff, -57, 148 + lift + puff, -53, 134 + lift + puff, -55, 121 + lift + puff};
    shape(c, bowl, COUNT(bowl), linear(-77, 122, rgb(0xA0602E), -54, 150, rgb(0x3A1C0C)));
    ellipse(c, -65.5f, 122 + lift + puff, 10.5f, 3.6f);
    fill(c, radial(-65, 122 + lift + puff, 10, rgb(0xFF9A3A), rgb(0x3A1206)));
    draw_hand(c, &harker_face, -62, 154 + lift + puff, -2.0f);
    begin_head(c, p, -64);
    draw_face(c, &harker_face, p);
    harker_beard(c, p);
    harker_cap(c, p);
    pop(c);
}

// --- Lysa: teal tunic with gold, dark curls under a feathered hat, a lute ------------------------------------------------------------

static void curls(canvas *c, const float *places, int count, float phase)
{
    for (int i = 0; i < count; i++) {
        float x = places[3 * i], y = places[3 * i + 1], r = places[3 * i + 2], sway = sinf(phase + (float)i) * 0.8f;
        ellipse(c, x + sway, y, r, r * 0.95f);
        fill(c, radial3(x + sway - r * 0.35f, y - r * 0.4f, r * 1.5f, rgb(0x6A4030), 0.45f, rgb(0x2E1812), rgb(0x0E0606)));
        float curl[] = {x + sway - r * 0.6f, y, x + sway - r * 0.1f, y - r * 0.6f, x + sway + r * 0.5f, y - r * 0.1f};
        brush(c, curl, 3, 1.6f, 0.7f, solid(rgba(0x9A6A4A, 0.55f)));
    }
}

static void lysa_body(canvas *c, const pose *p)
{
    float b = p->breath * 1.5f;
    float legs[] = {-56, 196, -88, 250, -82, 330, 82, 330, 92, 252, 56, 196};
    shape(c, legs, COUNT(legs), linear(-80, 200, rgb(0x5A4030), 80, 320, rgb(0x1E1410)));
    float tunic[] = {-24, 8, -58, 22 - b, -74, 48, -62, 120, -66, 226, 66, 226, 62, 120, 74, 48, 58, 22 - b, 24, 8, 0, 40};
    shape(c, tunic, COUNT(tunic), linear3(-70, 20, rgb(0x2FA79A), 0.45f, rgb(0x1A6E6C), 70, 200, rgb(0x082F33)));
    blob(c, tunic, COUNT(tunic));
    mask_begin(c);
    ellipse(c, -36, 70, 30, 60);
    fill(c, shade(-40, 66, 40, rgba(0xFFD9A0, 0.25f)));
    ellipse(c, 48, 130, 40, 100);
    fill(c, shade(52, 130, 46, rgba(0x021214, 0.5f)));
    mask_end(c);
    float trim[] = {-26, 10, -18, 36, 0, 58, 18, 36, 26, 10};
    brush(c, trim, 5, 6, 6, linear(-26, 10, rgb(0xF8DA8C), 26, 40, rgb(0x9A6C20)));
    stroke_line(c, 0, 60, 0, 200, 4, linear(0, 60, rgb(0xE9C470), 0, 200, rgb(0x7A5216)));
    fold(c, -44, 120, -40, 160, -50, 214, 6, rgba(0x03181A, 0.45f));
    fold(c, 34, 110, 42, 160, 40, 214, 6, rgba(0x020E10, 0.5f));
    round_rectangle(c, -64, 186, 128, 14, 5);
    fill(c, linear(0, 186, rgb(0x7A4A26), 0, 200, rgb(0x3A2010)));
    ellipse(c, 0, 193, 10, 9);
    fill(c, radial(-3, 190, 13, rgb(0xFFE7A0), rgb(0x8A5A16)));
}

static void draw_lute(canvas *c, const pose *p)
{
    float tremble = sinf(p->hand * 2.6f) * 0.5f * p->busy;
    push(c);
    translate(c, 14, 150);
    rotate(c, -0.52f);
    round_rectangle(c, 52, -10, 128, 19, 4); // the neck
    fill(c, linear(0, -10, rgb(0x8A5228), 0, 9, rgb(0x3A1E0C)));
    for (int i = 0; i < 7; i++) {
        stroke_line(c, 70 + 15 * (float)i, -9, 70 + 15 * (float)i, 8, 1.3f, solid(rgba(0xE8C98A, 0.7f)));
    }
    push(c);
    translate(c, 178, 0);
    rotate(c, 0.75f);
    round_rectangle(c, -4, -11, 46, 20, 5); // the pegbox, bent back
    fill(c, linear(0, -10, rgb(0x6A3A1C), 0, 10, rgb(0x2A1408)));
    for (int i = 0; i < 4; i++) {
        ellipse(c, 6 + 10 * (float)i, -14, 3, 4);
        fill(c, solid(rgb(0x2A1810)));
        ellipse(c, 6 + 10 * (float)i, 12, 3, 4);
        fill(c, solid(rgb(0x2A1810)));
    }
    pop(c);
    float bowl[] = {66, 0, 52, -32, 14, -54, -36, -56, -72, -34, -84, 0, -72, 34, -36, 56, 14, 54, 52, 32};
    shape(c, bowl, COUNT(bowl), linear(-60, -50, rgb(0x6A3818), 20, 60, rgb(0x2A1206)));
    float face[] = {62, 0, 48, -29, 12, -50, -36, -51, -68, -31, -79, 0, -68, 31, -36, 51, 12, 50, 48, 29};
    shape(c, face, COUNT(face), radial3(-20, -22, 110, rgb(0xF0BC72), 0.5f, rgb(0xD08E46), rgb(0x84481C)));
    ellipse(c, 2, 0, 18, 18);
    fill(c, solid(rgb(0x6A3A18)));
    ellipse(c, 2, 0, 15, 15);
    fill(c, radial(4, 3, 16, rgb(0x1A0A04), rgb(0x3C1C0C)));
    for (int i = 0; i < 8; i++) { // the rose
        float a = (float)i * 0.785f;
        stroke_line(c, 2, 0, 2 + 13 * cosf(a), 13 * sinf(a), 1.6f, solid(rgba(0xC98A48, 0.7f)));
    }
    round_rectangle(c, -58, -22, 7, 44, 3);
    fill(c, solid(rgb(0x3A1C0C)));
    for (int i = 0; i < 6; i++) {
        float y = -9 + 3.4f * (float)i + (i & 1 ? tremble : -tremble);
        stroke_line(c, -54, y * 1.5f, 182, y * 0.72f, 0.9f, solid(rgba(0xFFF0CE, 0.8f)));
    }
    pop(c);
}

static void lysa_hat(canvas *c, const pose *p)
{
    float t = p->turn * 3, sway = sinf(p->hand * 0.35f) * 0.03f + p->tilt * 0.5f;
    push(c);
    translate(c, t - 2, -48);
    rotate(c, -0.16f);
    float crown[] = {-40, -4, -44, -30, -22, -48, 10, -50, 38, -38, 46, -8, 0, -2};
    shape(c, crown, COUNT(crown), linear3(-40, -46, rgb(0x9A4058), 0.5f, rgb(0x6A2038), 44, 0, rgb(0x260A16)));
    float brim[] = {-60, 6, -46, -10, 0, -14, 48, -12, 64, 2, 40, 6, 0, 4, -36, 10};
    shape(c, brim, COUNT(brim), linear(-60, -10, rgb(0xB5566E), 60, 8, rgb(0x32101C)));
    float band[] = {-42, -9, 0, -13, 44, -10};
    brush(c, band, 3, 6, 6, linear(-42, 0, rgb(0xF8DA8C), 44, 0, rgb(0x8A5E1A)));
    push(c);
    translate(c, 36, -12);
    rotate(c, sway);
    float feather[] = {0, 0, 10, -30, 36, -56, 74, -66, 60, -48, 44, -26, 20, -6};
    shape(c, feather, COUNT(feather), linear(0, 0, rgb(0xE8D9B0), 74, -66, rgb(0xFFFDF2)));
    float quill[] = {0, 2, 18, -24, 70, -64};
    brush(c, quill, 3, 2.4f, 0.8f, solid(rgb(0xA88A50)));
    for (int i = 0; i < 6; i++) {
        float s = 0.2f + 0.12f * (float)i;
        strand(c, 68 * s, -60 * s, 68 * s + 8, -60 * s + 3, 68 * s + 14, -60 * s + 9, 1.2f, rgba(0xA88A50, 0.5f));
    }
    pop(c);
    pop(c);
}

void draw_lysa(canvas *c, const pose *p)
{
    static const float back_curls[] = {-44, -34, 17, -50, -10, 16, -50, 16, 15, -46, 40, 15, -40, 62, 13, 44, -34, 17, 50, -10, 16,
                                       50, 16, 16, 46, 42, 15, 42, 66, 14, -30, -50, 15, 30, -50, 15, -34, 82, 11, 40, 86, 12};
    static const float front_curls[] = {-42, -26, 11, -46, -6, 10, -45, 14, 9, 42, -26, 11, 46, -6, 10, 45, 14, 9, -44, 32, 8, 44, 34, 8};
    float strum = sinf(p->hand) * 8 * p->busy, press = sinf(p->hand * 0.31f) * 9 * p->busy;
    begin_head(c, p, -64);
    float mane[] = {-46, -44, -60, 0, -54, 56, -34, 90, 34, 90, 54, 56, 60, 0, 46, -44, 0, -66};
    shape(c, mane, COUNT(mane), radial(0, 0, 96, rgb(0x2A1610), rgb(0x0C0505)));
    curls(c, back_curls, (int)(sizeof(back_curls) / sizeof(float) / 3), p->hand * 0.2f);
    pop(c);
    lysa_body(c, p);
    draw_neck(c, &lysa_face, p->turn);
    draw_lute(c, p);
    float right[] = {-48, 40, -98, 88, -96, 142, -58, 160};
    draw_sleeve(c, right, 4, 44, 30, rgb(0x3CC0B0), rgb(0x0F4C4C));
    float cuff[] = {-78, 152, -58, 160};
    brush(c, cuff, 2, 34, 32, linear(-80, 140, rgb(0xF8DA8C), -56, 170, rgb(0x8A5E1A)));
    float wrist[] = {-60, 160, -34, 164 + strum * 0.4f};
    brush(c, wrist, 2, 20, 17, linear(-60, 150, lysa_face.skin_light, -30, 170, lysa_face.skin));
    draw_hand(c, &lysa_face, -22, 168 + strum, -1.0f);
    float left[] = {48, 40, 106, 84, 128, 112, 116, 96};
    draw_sleeve(c, left, 3, 44, 32, rgb(0x1F8480), rgb(0x072A2C));
    float fore[] = {122, 116, 122, 96, 114 + press * 0.8f, 84 - press * 0.45f};
    brush(c, fore, 3, 32, 22, linear(100, 90, rgb(0x1F8480), 134, 110, rgb(0x072A2C)));
    draw_hand(c, &lysa_face, 112 + press * 0.8f, 76 - press * 0.45f, 2.6f);
    begin_head(c, p, -64);
    draw_face(c, &lysa_face, p);
    float fringe_left[] = {-2, -62, -30, -56, -44, -34, -46, -10, -37, -30, -22, -42, -6, -46};
    float fringe_right[] = {-6, -62, 26, -58, 44, -34, 46, -10, 37, -30, 24, -42, 4, -47};
    shape(c, fringe_left, COUNT(fringe_left), radial(-24, -50, 50, rgb(0x54301F), rgb(0x140908)));
    shape(c, fringe_right, COUNT(fringe_right), radial(16, -54, 50, rgb(0x40241A), rgb(0x0E0606)));
    curls(c, front_curls, (int)(sizeof(front_curls) / sizeof(float) / 3), p->hand * 0.2f + 1);
    lysa_hat(c, p);
    pop(c);
}

// --- the player, from behind -----------------------------------------------------------------------------------------------------------

void draw_player(canvas *c, float step, float moving, float time)
{
    float sway = sinf(step * 3.14159f) * 5 * moving, breath = sinf(time * 1.5f) * 1.5f;
    for (int side = -1; side <= 1; side += 2) { // boots
        float lift = sinf(step * 3.14159f + (side < 0 ? 0 : 3.14159f)) * 12 * moving;
        float boot[] = {(float)side * 26 - 18, 330 - (lift > 0 ? lift : 0), (float)side * 26 - 17, 250, (float)side * 26 + 17, 250, (float)side * 26 + 18, 330 - (lift > 0 ? lift : 0)};
        shape(c, boot, COUNT(boot), linear((float)side * 26 - 18, 260, rgb(0x3A2618), (float)side * 26 + 18, 330, rgb(0x0E0806)));
    }
    float cloak[] = {-30, -6, -72, 24 + breath, -88, 120, -96 + sway, 280, -50 + sway, 300, 0 + sway, 292, 52 + sway, 302, 98 + sway, 280, 88, 120, 72, 24 + breath, 30, -6};
    shape(c, cloak, COUNT(cloak), linear3(-95, 40, rgb(0x6A4A34), 0.4f, rgb(0x3C2A22), 95, 220, rgb(0x120B0A)));
    blob(c, cloak, COUNT(cloak));
    mask_begin(c);
    ellipse(c, -80, 120, 40, 160);
    fill(c, shade(-96, 110, 60, rgba(0xFFA858, 0.4f)));
    ellipse(c, 70, 170, 60, 150);
    fill(c, shade(80, 170, 70, rgba(0x050304, 0.6f)));
    for (int i = -2; i <= 2; i++) {
        fold(c, (float)i * 22, 50, (float)i * 30 + sway * 0.5f, 160, (float)i * 38 + sway, 296, 9, rgba(0x0C0706, 0.5f));
        fold(c, (float)i * 22 - 8, 60, (float)i * 30 - 10 + sway * 0.5f, 160, (float)i * 38 - 12 + sway, 290, 4, rgba(0xC98A58, 0.16f));
    }
    mask_end(c);
    float hood[] = {-30, 20, -54, -14, -52, -62, -30, -102, 0, -116, 30, -102, 52, -62, 54, -14, 30, 20, 0, 30};
    shape(c, hood, COUNT(hood), radial3(-20, -60, 110, rgb(0x7A563C), 0.5f, rgb(0x45301F), rgb(0x150D0A)));
    blob(c, hood, COUNT(hood));
    mask_begin(c);
    ellipse(c, -46, -50, 30, 70);
    fill(c, shade(-56, -50, 42, rgba(0xFFB060, 0.5f)));
    ellipse(c, 40, -20, 40, 90);
    fill(c, shade(48, -20, 46, rgba(0x040202, 0.6f)));
    fold(c, 2, -114, 8, -50, 0, 26, 4, rgba(0x0C0706, 0.3f));
    fold(c, -20, -96, -30, -40, -14, 18, 7, rgba(0x0C0706, 0.22f));
    fold(c, 22, -96, 34, -40, 16, 18, 8, rgba(0x0C0706, 0.25f));
    mask_end(c);
    float strap[] = {-60, 40, 0, 90, 66, 170};
    brush(c, strap, 3, 13, 13, linear(-60, 40, rgb(0x7A4A26), 66, 170, rgb(0x2A160A)));
    float bag[] = {52, 164, 96, 168, 104, 214, 88, 240, 50, 234, 42, 196};
    shape(c, bag, COUNT(bag), linear(44, 166, rgb(0x8A5A32), 104, 240, rgb(0x2E180A)));
}
