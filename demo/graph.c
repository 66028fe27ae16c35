// graph.c - the frame times, drawn.
// SPDX-License-Identifier: MIT
#include "panel.h"

#include <stdio.h>

enum { GRAPH_X = 950, GRAPH_Y = 14, GRAPH_W = 312, GRAPH_H = 126, BARS = 140 };

// Microseconds as a height: two frames fill the graph.
static float height_of(uint32_t us)
{
    float h = (float)us / 33333.0f * 70.0f;
    return h > 70 ? 70 : h;
}

static void line_at(panel *p, float y, SDL_Color c, bool dashed)
{
    SDL_SetRenderDrawColor(p->renderer, c.r, c.g, c.b, c.a);
    for (int x = GRAPH_X + 16; x < GRAPH_X + GRAPH_W - 16; x += dashed ? 8 : 4) {
        SDL_FRect part = {(float)x, y, dashed ? 4 : 4, 1};
        SDL_RenderFillRectF(p->renderer, &part);
    }
}

void graph_draw(panel *p, const frame_times *times, uint32_t budget_us)
{
    static const SDL_Color minds = {255, 176, 64, 255}, rest = {104, 148, 176, 255};
    float base = GRAPH_Y + 84;
    panel_box(p, p->box, GRAPH_X, GRAPH_Y, GRAPH_W, GRAPH_H, 235);
    SDL_SetRenderDrawBlendMode(p->renderer, SDL_BLENDMODE_BLEND);
    int count = times->count < BARS ? times->count : BARS;
    for (int i = 0; i < count; i++) {
        const frame_time *f = &times->frames[times->count - count + i];
        float x = GRAPH_X + 16 + 2 * (float)(BARS - count + i), low = height_of(f->minds_us), all = height_of(f->minds_us + f->rest_us);
        SDL_FRect a = {x, base - low, 2, low}, b = {x, base - all, 2, all - low};
        SDL_SetRenderDrawColor(p->renderer, minds.r, minds.g, minds.b, 235);
        SDL_RenderFillRectF(p->renderer, &a);
        SDL_SetRenderDrawColor(p->renderer, rest.r, rest.g, rest.b, 190);
        SDL_RenderFillRectF(p->renderer, &b);
    }
    line_at(p, base - height_of(16667), (SDL_Color){255, 120, 90, 200}, true);
    line_at(p, base - height_of(budget_us), (SDL_Color){255, 230, 170, 220}, true);
    percentiles m = times_percentiles(times, 600, 0), r = times_percentiles(times, 600, 1);
    char words[96];
    text_style style = {FACE_SANS, 13, {255, 196, 110, 255}};
    snprintf(words, sizeof(words), "minds  p50 %.1f  p99 %.1f ms", m.p50 / 1000, m.p99 / 1000);
    text_draw(p->text, style, GRAPH_X + 16, GRAPH_Y + 87, words);
    style.colour = (SDL_Color){150, 190, 214, 255};
    snprintf(words, sizeof(words), "the rest  p50 %.1f  p99 %.1f ms", r.p50 / 1000, r.p99 / 1000);
    text_draw(p->text, style, GRAPH_X + 16, GRAPH_Y + 103, words);
    style.colour = (SDL_Color){236, 214, 176, 255};
    snprintf(words, sizeof(words), "budget %.1f", budget_us / 1000.0);
    text_draw(p->text, style, GRAPH_X + GRAPH_W - 92, GRAPH_Y + 87, words);
    style.colour = (SDL_Color){255, 150, 120, 255};
    text_draw(p->text, style, GRAPH_X + GRAPH_W - 92, GRAPH_Y + 103, "frame 16.7");
}
