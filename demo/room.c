// room.c - puts the painted layers together, moves people and lights.
// SPDX-License-Identifier: MIT
#include "room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where the base of each neck is, and how large the figure.
static const struct {
    float x, y, scale;
} places[PEOPLE] = {{960, 292, 0.94f}, {395, 404, 0.92f}, {1480, 416, 0.9f}};
enum { NECK_X = FIGURE_WIDTH / 2, NECK_Y = 204 };

SDL_Texture *texture_of(SDL_Renderer *renderer, const canvas *c)
{
    int pitch = c->width * 4;
    uint8_t *pixels = malloc((size_t)pitch * (size_t)c->height);
    SDL_Texture *texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STATIC, c->width, c->height);
    if (pixels && texture) {
        canvas_read(c, pixels, pitch);
        SDL_UpdateTexture(texture, NULL, pixels, pitch);
        SDL_SetTextureBlendMode(texture, SDL_BLENDMODE_BLEND);
    }
    free(pixels);
    return texture;
}

typedef void painter(canvas *c);

static SDL_Texture *painted(SDL_Renderer *renderer, int width, int height, painter *by)
{
    canvas c;
    if (!canvas_create(&c, width, height)) {
        return NULL;
    }
    by(&c);
    SDL_Texture *texture = texture_of(renderer, &c);
    canvas_destroy(&c);
    return texture;
}

static void paint_glow(canvas *c)
{
    ellipse(c, 64, 64, 64, 64);
    fill(c, (paint){.kind = 2, .x0 = 64, .y0 = 64, .x1 = 64, .y1 = 1, .stops = 4, .at = {0, 0.25f, 0.6f, 1},
                    .colours = {rgba(0xFFFFFF, 1), rgba(0xFFFFFF, 0.42f), rgba(0xFFFFFF, 0.1f), rgba(0xFFFFFF, 0)}});
}

static void paint_vignette(canvas *c)
{
    rectangle(c, 0, 0, VIEW_WIDTH, VIEW_HEIGHT);
    fill(c, (paint){.kind = 2, .x0 = 640, .y0 = 336, .x1 = 820, .y1 = 0.68f, .stops = 3, .at = {0.45f, 0.8f, 1},
                    .colours = {rgba(0x080302, 0), rgba(0x080302, 0.34f), rgba(0x050201, 0.74f)}});
}

// A tongue of fire: the same drop again and again, smaller and hotter.
static void paint_flame(canvas *c)
{
    static const uint32_t heat[4] = {0xB02A06, 0xF06A10, 0xFFB030, 0xFFF0B0};
    for (int i = 0; i < 14; i++) {
        float s = 1 - (float)i / 15, t = (float)i / 13 * 3, top = 128 - 124 * s * (0.8f + 0.2f * s), w = 25 * s;
        int k = t >= 3 ? 2 : (int)t;
        colour hot = mix(rgb(heat[k]), rgb(heat[k + 1]), t - (float)k);
        hot.a = 0.17f;
        float drop[] = {32 + 3 * s, top, 32 + w * 0.5f, 128 - 62 * s, 32 + w, 128 - 26 * s, 32 + w * 0.62f, 116 + 3 * (1 - s), 32, 119,
                        32 - w * 0.62f, 116 + 3 * (1 - s), 32 - w, 128 - 26 * s, 32 - w * 0.42f, 128 - 58 * s};
        blob(c, drop, 8);
        fill(c, solid(hot));
    }
}

static void paint_note(canvas *c)
{
    ellipse(c, 9, 25, 6.5f, 5);
    fill(c, solid(rgb(0xFFE9A8)));
    stroke_line(c, 15, 24, 15, 5, 2.4f, solid(rgb(0xFFE9A8)));
    float flag[] = {15, 5, 21, 9, 23, 16};
    brush(c, flag, 3, 4, 1.5f, solid(rgb(0xFFE9A8)));
}

static void paint_ale(canvas *c)
{
    paint_mug(c, 0);
}

static void paint_mead(canvas *c)
{
    paint_mug(c, 1);
}

static void paint_wine(canvas *c)
{
    paint_mug(c, 2);
}

bool room_open(room *r, SDL_Renderer *renderer)
{
    memset(r, 0, sizeof(*r));
    r->renderer = renderer;
    r->seed = 7;
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    r->sky = painted(renderer, SKY_WIDTH, VIEW_HEIGHT, paint_sky);
    r->wall = painted(renderer, ROOM_WIDTH, VIEW_HEIGHT, paint_wall);
    r->bar = painted(renderer, ROOM_WIDTH, VIEW_HEIGHT, paint_bar);
    r->front = painted(renderer, FRONT_WIDTH, VIEW_HEIGHT, paint_front);
    r->glow = painted(renderer, 128, 128, paint_glow);
    r->vignette = painted(renderer, VIEW_WIDTH, VIEW_HEIGHT, paint_vignette);
    r->flame = painted(renderer, 64, 128, paint_flame);
    r->note = painted(renderer, 26, 32, paint_note);
    r->mug[0] = painted(renderer, MUG_WIDTH, MUG_HEIGHT, paint_ale);
    r->mug[1] = painted(renderer, MUG_WIDTH, MUG_HEIGHT, paint_mead);
    r->mug[2] = painted(renderer, MUG_WIDTH, MUG_HEIGHT, paint_wine);
    r->soup = painted(renderer, 72, 52, paint_soup);
    r->pixels = malloc((size_t)FIGURE_WIDTH * FIGURE_HEIGHT * 4);
    bool fine = canvas_create(&r->paper, FIGURE_WIDTH, FIGURE_HEIGHT) && r->pixels && r->sky && r->wall && r->bar && r->front
        && r->glow && r->vignette && r->flame && r->note && r->mug[0] && r->mug[1] && r->mug[2] && r->soup;
    for (int i = 0; i <= PEOPLE; i++) {
        SDL_Texture *texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STREAMING, FIGURE_WIDTH, FIGURE_HEIGHT);
        fine = fine && texture && SDL_SetTextureBlendMode(texture, SDL_BLENDMODE_BLEND) == 0;
        if (i < PEOPLE) {
            r->people[i] = texture;
            actor_start(&r->actors[i], 11u + 17u * (uint32_t)i);
        } else {
            r->player = texture;
        }
    }
    if (!fine) {
        room_close(r);
        return false;
    }
    SDL_SetTextureBlendMode(r->flame, SDL_BLENDMODE_ADD);
    return true;
}

void room_close(room *r)
{
    SDL_Texture *all[] = {r->sky, r->wall, r->bar, r->front, r->glow, r->vignette, r->flame, r->note, r->mug[0], r->mug[1], r->mug[2], r->soup,
                          r->people[0], r->people[1], r->people[2], r->player};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]) {
            SDL_DestroyTexture(all[i]);
        }
    }
    canvas_destroy(&r->paper);
    free(r->pixels);
    memset(r, 0, sizeof(*r));
}

// --- what moves ---------------------------------------------------------------------------------------------------------------

static float chance(room *r)
{
    return noise1(r->seed = r->seed * 1664525u + 1013904223u);
}

static void add_spark(room *r, int kind, float x, float y)
{
    for (int i = 0; i < MAX_SPARKS; i++) {
        spark *s = &r->sparks[i];
        if (s->life <= s->age) {
            *s = (spark){.x = x, .y = y, .kind = kind, .vx = (chance(r) - 0.5f) * (kind == 1 ? 30 : 22),
                         .vy = kind == 0 ? -60 - 70 * chance(r) : kind == 1 ? -34 - 20 * chance(r) : kind == 2 ? -22 : -3,
                         .life = kind == 0 ? 0.7f + chance(r) : kind == 1 ? 2.6f : kind == 2 ? 1.6f : 5 + 4 * chance(r)};
            return;
        }
    }
}

void room_advance(room *r, const game *g, double seconds)
{
    float dt = (float)seconds;
    for (int i = 0; i < PEOPLE; i++) {
        actor_advance(&r->actors[i], g, i, seconds);
    }
    for (int i = 0; i < MAX_SPARKS; i++) {
        spark *s = &r->sparks[i];
        s->age += dt;
        s->x += s->vx * dt + sinf(s->age * 7 + (float)i) * 8 * dt;
        s->y += s->vy * dt;
    }
    if (chance(r) < dt * 16) {
        add_spark(r, 0, 130 + 120 * chance(r), 548);
    }
    if (g->people[LYSA].music > 0 && chance(r) < dt * 3.2f) {
        add_spark(r, 1, 1440 + 120 * chance(r), 470);
    }
    if (g->has_soup && g->soup_age < 40 && chance(r) < dt * 5) {
        add_spark(r, 2, 872 + 40 * chance(r), COUNTER_Y - 34);
    }
    if (chance(r) < dt * 2) {
        add_spark(r, 3, g->camera_x + chance(r) * VIEW_WIDTH, 130 + 300 * chance(r));
    }
}

// One figure a frame is painted anew: at 60 frames a second each moves 15 times, as drawn animation does.
static void paint_somebody(room *r, const game *g)
{
    typedef void draw_person(canvas *, const pose *);
    static draw_person *const draw[PEOPLE] = {draw_marta, draw_harker, draw_lysa};
    bool first = g->frame <= 2;
    for (int k = 0; k <= PEOPLE; k++) {
        int i = first ? k : r->next;
        r->next = (r->next + 1) % (PEOPLE + 1);
        float x = i < PEOPLE ? places[i].x - g->camera_x : VIEW_WIDTH / 2;
        if (!first && (x < -170 || x > VIEW_WIDTH + 170)) {
            continue; // out of sight
        }
        canvas *c = &r->paper;
        canvas_clear(c);
        push(c);
        translate(c, NECK_X, NECK_Y);
        if (i < PEOPLE) {
            scale(c, places[i].scale, places[i].scale);
            draw[i](c, &r->actors[i].now);
        } else {
            scale(c, 0.86f, 0.86f);
            float moving = fabsf(g->player_speed) / 330;
            draw_player(c, g->player_step, moving > 1 ? 1 : moving, (float)g->time);
        }
        pop(c);
        canvas_read(c, r->pixels, FIGURE_WIDTH * 4);
        SDL_UpdateTexture(i < PEOPLE ? r->people[i] : r->player, NULL, r->pixels, FIGURE_WIDTH * 4);
        if (!first) {
            break;
        }
    }
}

// --- drawing ------------------------------------------------------------------------------------------------------------------

// Rows `top` to `bottom` of a layer that is scrolled by `offset`.
static void draw_layer(room *r, SDL_Texture *texture, float offset, int top, int bottom)
{
    int width;
    SDL_QueryTexture(texture, NULL, NULL, &width, NULL);
    int x = (int)(offset + 0.5f);
    x = x < 0 ? 0 : x > width - VIEW_WIDTH ? width - VIEW_WIDTH : x;
    SDL_Rect from = {x, top, VIEW_WIDTH, bottom - top}, to = {0, top, VIEW_WIDTH, bottom - top};
    SDL_RenderCopy(r->renderer, texture, &from, &to);
}

// The wall is opaque but for its windows, and only there is the night drawn and blended: without a GPU that is half the work.
static void draw_wall(room *r, const game *g)
{
    static const int edges[] = {0, 450, 640, 1270, 1460, ROOM_WIDTH};
    int camera = (int)(g->camera_x + 0.5f), night = (int)(60 + g->camera_x * 0.22f);
    for (int i = 0; i < 5; i++) {
        bool is_window = i & 1;
        int left = edges[i] > camera ? edges[i] : camera, right = edges[i + 1] < camera + VIEW_WIDTH ? edges[i + 1] : camera + VIEW_WIDTH;
        if (right <= left) {
            continue;
        }
        SDL_Rect from = {left, 0, right - left, VIEW_HEIGHT}, to = {left - camera, 0, right - left, VIEW_HEIGHT};
        if (is_window) {
            SDL_Rect behind = {night + to.x, 140, to.w, 250}, at = {to.x, 140, to.w, 250};
            SDL_SetTextureBlendMode(r->sky, SDL_BLENDMODE_NONE);
            SDL_RenderCopy(r->renderer, r->sky, &behind, &at);
        }
        SDL_SetTextureBlendMode(r->wall, is_window ? SDL_BLENDMODE_BLEND : SDL_BLENDMODE_NONE);
        SDL_RenderCopy(r->renderer, r->wall, &from, &to);
    }
}

static void draw_glow(room *r, float x, float y, float radius, uint32_t hex, float strength)
{
    if (x + radius < 0 || x - radius > VIEW_WIDTH) {
        return;
    }
    SDL_FRect to = {x - radius, y - radius, 2 * radius, 2 * radius};
    SDL_SetTextureBlendMode(r->glow, SDL_BLENDMODE_ADD);
    SDL_SetTextureColorMod(r->glow, (Uint8)(hex >> 16), (Uint8)(hex >> 8), (Uint8)hex);
    SDL_SetTextureAlphaMod(r->glow, (Uint8)(strength > 1 ? 255 : strength < 0 ? 0 : strength * 255));
    SDL_RenderCopyF(r->renderer, r->glow, NULL, &to);
}

static float flicker(double time, float seed)
{
    return 0.82f + 0.10f * sinf((float)time * 9.1f + seed) + 0.08f * sinf((float)time * 23.7f + seed * 2.3f);
}

static void draw_flame(room *r, float x, float y, float height, double time, float seed)
{
    float h = height * flicker(time, seed), w = height * (0.52f + 0.05f * sinf((float)time * 13 + seed * 3));
    float lean = 6 * sinf((float)time * 5.3f + seed);
    SDL_FRect to = {x - w / 2, y - h, w, h * 1.12f};
    SDL_FPoint base = {w / 2, h};
    if (x < -60 || x > VIEW_WIDTH + 60) {
        return;
    }
    if (height < 40) { // candles are too small to be seen leaning
        SDL_RenderCopyF(r->renderer, r->flame, NULL, &to);
    } else {
        SDL_RenderCopyExF(r->renderer, r->flame, NULL, &to, lean, &base, sinf(seed * 9) > 0 ? SDL_FLIP_HORIZONTAL : SDL_FLIP_NONE);
    }
}

static void draw_fire(room *r, const game *g)
{
    float x = 190 - g->camera_x, strength = flicker(g->time, 0);
    if (x < -480) {
        return;
    }
    for (int i = 0; i < 7; i++) {
        float s = (float)i, height = 118 + 44 * sinf(s * 1.9f + 1) + 22 * sinf((float)g->time * 5 + s * 3);
        draw_flame(r, x - 54 + 18 * s, 556 - (float)(i % 3) * 6, height, g->time, s * 1.7f);
    }
    draw_glow(r, x, 520, 150, 0xFF9A3C, 0.75f * strength);
    draw_glow(r, x + 30, 500, 270, 0xC85A18, 0.42f * strength);
}

static void draw_candles(room *r, const game *g, const float *places_of, int count)
{
    for (int i = 0; i < count; i++) {
        float x = places_of[2 * i] - g->camera_x, y = places_of[2 * i + 1], f = flicker(g->time, (float)i * 2.7f);
        if (x > -120 && x < VIEW_WIDTH + 120) {
            draw_flame(r, x, y + 2, 19, g->time, (float)i * 3.1f);
            draw_glow(r, x, y - 8, 46, 0xFFB860, 0.6f * f);
        }
    }
}

static void draw_lanterns(room *r, const game *g)
{
    static const float lamps[] = {660, 1240, 1560};
    SDL_SetRenderDrawBlendMode(r->renderer, SDL_BLENDMODE_BLEND);
    for (int i = 0; i < 3; i++) {
        float swing = sinf((float)g->time * 0.9f + (float)i * 2) * 4, x = lamps[i] - g->camera_x + swing, f = flicker(g->time * 0.5, (float)i * 5);
        if (x < -260 || x > VIEW_WIDTH + 260) {
            continue;
        }
        SDL_SetRenderDrawColor(r->renderer, 24, 14, 8, 255);
        SDL_RenderDrawLineF(r->renderer, lamps[i] - g->camera_x, 40, x, 132);
        SDL_RenderDrawLineF(r->renderer, lamps[i] - g->camera_x + 1, 40, x + 1, 132);
        SDL_FRect frame[] = {{x - 15, 130, 30, 6}, {x - 17, 176, 34, 6}, {x - 15, 134, 3, 44}, {x + 12, 134, 3, 44}, {x - 6, 124, 12, 7}};
        SDL_RenderFillRectsF(r->renderer, frame, 5);
        draw_flame(r, x, 174, 24, g->time, (float)i * 4.2f);
        draw_glow(r, x, 160, 62, 0xFFC878, 0.85f * f);
        draw_glow(r, x, 165, 120, 0xB87030, 0.5f * f);
    }
}

static void draw_person(room *r, const game *g, int i)
{
    SDL_FRect to = {places[i].x - g->camera_x - NECK_X, places[i].y - NECK_Y, FIGURE_WIDTH, FIGURE_HEIGHT};
    if (to.x + to.w < 0 || to.x > VIEW_WIDTH) {
        return;
    }
    if (i == MARTA) { // only what shows above the counter
        SDL_Rect from = {0, 0, FIGURE_WIDTH, (int)(COUNTER_Y + 30 - to.y)};
        to.h = (float)from.h;
        SDL_RenderCopyF(r->renderer, r->people[i], &from, &to);
    } else {
        SDL_RenderCopyF(r->renderer, r->people[i], NULL, &to);
    }
}

static void draw_cups(room *r, const game *g)
{
    for (int i = 0; i < g->cup_count; i++) {
        const cup *c = &g->cups[i];
        int drink = 0;
        while (drink < 2 && strcmp(game_drinks[drink], c->drink) != 0) {
            drink++;
        }
        if (c->age < 0) {
            continue;
        }
        float arrive = c->age < 0.35f ? c->age / 0.35f : 1, slide = (1 - arrive) * (1 - arrive) * 60;
        float x = c->x - g->camera_x - slide, y = COUNTER_Y + 12 - MUG_HEIGHT;
        int hidden = (int)((1 - c->fill) * 14); // the head of the drink rises over the rim
        SDL_Rect from = {0, hidden, MUG_WIDTH, MUG_HEIGHT - hidden};
        SDL_FRect to = {x, y + (float)hidden, MUG_WIDTH, (float)(MUG_HEIGHT - hidden)};
        SDL_SetTextureAlphaMod(r->mug[drink], (Uint8)(arrive * 255));
        SDL_RenderCopyF(r->renderer, r->mug[drink], &from, &to);
        if (c->fill > 0 && c->fill < 1) { // what is being poured
            static const SDL_Color streams[3] = {{240, 176, 64, 220}, {236, 206, 110, 220}, {140, 28, 56, 220}};
            SDL_SetRenderDrawBlendMode(r->renderer, SDL_BLENDMODE_BLEND);
            SDL_SetRenderDrawColor(r->renderer, streams[drink].r, streams[drink].g, streams[drink].b, streams[drink].a);
            SDL_FRect stream = {x + 20, y - 44, 4, 56};
            SDL_RenderFillRectF(r->renderer, &stream);
        }
        if (c->age < 2.4f) {
            draw_glow(r, x + 22, y + 26, 70, 0xFFC060, 0.6f * (1 - c->age / 2.4f));
        }
    }
    if (g->has_soup) {
        float rise = g->soup_age < 0.4f ? g->soup_age / 0.4f : 1;
        SDL_FRect to = {856 - g->camera_x, COUNTER_Y + 14 - 48 + (1 - rise) * 12, 72, 52};
        SDL_SetTextureAlphaMod(r->soup, (Uint8)(rise * 255));
        SDL_RenderCopyF(r->renderer, r->soup, NULL, &to);
    }
}

static void draw_sparks(room *r, const game *g)
{
    for (int i = 0; i < MAX_SPARKS; i++) {
        const spark *s = &r->sparks[i];
        if (s->age >= s->life) {
            continue;
        }
        float left = 1 - s->age / s->life, x = s->x - g->camera_x;
        if (s->kind == 1) {
            SDL_FRect to = {x, s->y, 26, 32};
            SDL_SetTextureAlphaMod(r->note, (Uint8)(255 * (left > 0.8f ? (1 - left) * 5 : left)));
            SDL_RenderCopyF(r->renderer, r->note, NULL, &to);
            draw_glow(r, x + 12, s->y + 18, 26, 0xFFC860, 0.4f * left);
        } else if (s->kind == 0) {
            draw_glow(r, x, s->y, 5 + 3 * left, 0xFFB050, left);
        } else if (s->kind == 2) {
            draw_glow(r, x, s->y, 16 + 14 * (1 - left), 0x8A8078, 0.22f * left);
        } else {
            draw_glow(r, x, s->y, 3.4f, 0xFFD9A0, 0.5f * sinf(left * 3.14159f));
        }
    }
}

void room_head(const game *g, int index, float *x, float *y)
{
    *x = places[index].x - g->camera_x;
    *y = places[index].y - 62 * places[index].scale;
}

void room_draw(room *r, const game *g)
{
    static const float wall_candles[] = {62, 287, 96, 299, 318, 291};
    static const float bar_candles[] = {822, COUNTER_Y - 35, 1222, COUNTER_Y - 27, 1640, 519};
    paint_somebody(r, g);
    draw_wall(r, g);
    draw_fire(r, g);
    draw_candles(r, g, wall_candles, 3);
    draw_lanterns(r, g);
    for (int i = 0; i < PEOPLE; i++) {
        draw_person(r, g, i);
    }
    draw_layer(r, r->bar, g->camera_x, 370, VIEW_HEIGHT);
    draw_cups(r, g);
    draw_candles(r, g, bar_candles, 3);
    draw_sparks(r, g);
    SDL_FRect player = {g->player_x - g->camera_x - NECK_X, 446 - NECK_Y + fabsf(sinf(g->player_step * 3.14159f)) * -5 * fabsf(g->player_speed) / 330, FIGURE_WIDTH, FIGURE_HEIGHT};
    SDL_RenderCopyF(r->renderer, r->player, NULL, &player);
    if (g->camera_x * 1.3f + VIEW_WIDTH > 1820) { // nothing stands there further left
        draw_layer(r, r->front, g->camera_x * 1.3f, 540, VIEW_HEIGHT);
    }
    SDL_RenderCopy(r->renderer, r->vignette, NULL, NULL);
}
