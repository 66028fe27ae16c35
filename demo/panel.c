// panel.c - the words over the picture.
// SPDX-License-Identifier: MIT
#include "panel.h"
#include "room.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOX = 64, CORNER = 20, PANEL_X = 170, PANEL_Y = 556, PANEL_W = 940, PANEL_H = 148 };

static const SDL_Color cream = {252, 240, 214, 255}, gold = {246, 206, 120, 255}, dim = {206, 180, 140, 255};
static const text_style speech = {FACE_SERIF, 22, {252, 240, 214, 255}}, aside = {FACE_SERIF_ITALIC, 16, {214, 190, 152, 255}};
static const text_style small = {FACE_SANS, 14, {222, 206, 178, 255}}, name_style = {FACE_SERIF, 19, {255, 226, 160, 255}};
static const text_style bubble_style = {FACE_SERIF, 16, {56, 34, 20, 255}}, mono = {FACE_MONO, 15, {255, 226, 160, 255}};

// --- boxes and icons ------------------------------------------------------------------------------------------------------------

static SDL_Texture *box_texture(SDL_Renderer *renderer, colour top, colour bottom, colour edge)
{
    canvas c;
    if (!canvas_create(&c, BOX, BOX)) {
        return NULL;
    }
    round_rectangle(&c, 0.5f, 0.5f, BOX - 1, BOX - 1, 15);
    fill(&c, solid(edge));
    round_rectangle(&c, 2.2f, 2.2f, BOX - 4.4f, BOX - 4.4f, 13);
    fill(&c, solid((colour){0.09f, 0.05f, 0.03f, top.a}));
    round_rectangle(&c, 3, 3, BOX - 6, BOX - 6, 12);
    fill(&c, linear(0, 0, top, 0, BOX, bottom));
    SDL_Texture *texture = texture_of(renderer, &c);
    canvas_destroy(&c);
    return texture;
}

typedef void icon_painter(canvas *c);

static void paint_coin(canvas *c)
{
    for (int i = 2; i >= 0; i--) {
        float x = 17 + 3.0f * (float)i - 3, y = 27 - 7.0f * (float)(2 - i) * 0.8f;
        ellipse(c, x, y + 3, 12, 6);
        fill(c, solid(rgb(0x6A4410)));
        ellipse(c, x, y, 12, 6);
        fill(c, linear(x - 12, y, rgb(0xFFEFB0), x + 12, y, rgb(0xC08A28)));
        ellipse(c, x, y, 8, 3.6f);
        fill(c, linear(x - 8, y, rgb(0xD8A03C), x + 8, y, rgb(0xFFE08C)));
    }
}

static void paint_key(canvas *c)
{
    push(c);
    translate(c, 18, 18);
    rotate(c, -0.7f);
    ellipse(c, -8, 0, 8, 8);
    ellipse(c, -8, 0, 8, 8);
    fill(c, linear(-16, -8, rgb(0xFFE9A8), 0, 8, rgb(0x9A6A1C)));
    ellipse(c, -8, 0, 3.6f, 3.6f);
    fill(c, solid(rgb(0x2A180C)));
    stroke_line(c, -1, 0, 17, 0, 4, linear(0, -2, rgb(0xFFE9A8), 0, 2, rgb(0x9A6A1C)));
    stroke_line(c, 11, 0, 11, 7, 3.4f, solid(rgb(0xC9962F)));
    stroke_line(c, 16, 0, 16, 5.5f, 3.4f, solid(rgb(0xB8862A)));
    pop(c);
}

static void paint_map(canvas *c)
{
    float sheet[] = {4, 9, 13, 6, 23, 10, 32, 6, 31, 28, 22, 31, 13, 28, 5, 31};
    blob(c, sheet, 8);
    fill(c, linear(4, 6, rgb(0xF6E6BC), 32, 31, rgb(0xB08A50)));
    float path[] = {9, 25, 14, 19, 20, 21, 26, 13};
    brush(c, path, 4, 1.6f, 1.6f, solid(rgb(0x7A3A1E)));
    stroke_line(c, 24, 11, 29, 15, 2, solid(rgb(0xB02A20)));
    stroke_line(c, 29, 11, 24, 15, 2, solid(rgb(0xB02A20)));
}

static void paint_bowl(canvas *c)
{
    scale(c, 0.5f, 0.5f);
    translate(c, 1, 14);
    paint_soup(c);
}

static SDL_Texture *icon(SDL_Renderer *renderer, icon_painter *by)
{
    canvas c;
    if (!canvas_create(&c, 36, 36)) {
        return NULL;
    }
    by(&c);
    SDL_Texture *texture = texture_of(renderer, &c);
    canvas_destroy(&c);
    return texture;
}

bool panel_open(panel *p, SDL_Renderer *renderer)
{
    memset(p, 0, sizeof(*p));
    p->renderer = renderer;
    p->text = text_open(renderer);
    p->box = box_texture(renderer, rgba(0x3A2416, 0.93f), rgba(0x1C100A, 0.95f), rgba(0xC08A48, 0.9f));
    p->bubble = box_texture(renderer, rgba(0xFFF4DC, 0.95f), rgba(0xF0DAB0, 0.95f), rgba(0x8A5A2C, 0.9f));
    p->plate = box_texture(renderer, rgba(0x8A4A22, 1), rgba(0x4A220E, 1), rgba(0xE8BC6C, 1));
    p->coin = icon(renderer, paint_coin);
    p->key = icon(renderer, paint_key);
    p->map = icon(renderer, paint_map);
    p->soup = icon(renderer, paint_bowl);
    bool fine = p->text && p->box && p->bubble && p->plate && p->coin && p->key && p->map && p->soup;
    if (!fine) {
        panel_close(p);
    }
    return fine;
}

void panel_close(panel *p)
{
    SDL_Texture *all[] = {p->box, p->bubble, p->plate, p->coin, p->key, p->map, p->soup};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]) {
            SDL_DestroyTexture(all[i]);
        }
    }
    text_close(p->text);
    memset(p, 0, sizeof(*p));
}

void panel_box(panel *p, SDL_Texture *box, float x, float y, float w, float h, Uint8 alpha)
{
    const int from[4] = {0, CORNER, BOX - CORNER, BOX};
    float corner = w < 2 * CORNER || h < 2 * CORNER ? fminf(w, h) / 2 : CORNER;
    const float to_x[4] = {x, x + corner, x + w - corner, x + w}, to_y[4] = {y, y + corner, y + h - corner, y + h};
    SDL_SetTextureAlphaMod(box, alpha);
    for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 3; i++) {
            SDL_Rect part = {from[i], from[j], from[i + 1] - from[i], from[j + 1] - from[j]};
            SDL_FRect to = {to_x[i], to_y[j], to_x[i + 1] - to_x[i], to_y[j + 1] - to_y[j]};
            SDL_RenderCopyF(p->renderer, box, &part, &to);
        }
    }
}

// --- the line that is typed -----------------------------------------------------------------------------------------------------

void input_add(input_line *line, const char *text)
{
    size_t used = strlen(line->text);
    while (*text) { // whole characters or nothing; a line has no control characters
        int size = text_step(text);
        if (used + (size_t)size + 1 > INPUT_SIZE) {
            break;
        }
        if ((unsigned char)*text >= 0x20 && *text != 0x7F) {
            memcpy(line->text + used, text, (size_t)size);
            used += (size_t)size;
            line->text[used] = 0;
        }
        text += size;
    }
}

void input_erase(input_line *line)
{
    size_t used = strlen(line->text);
    while (used > 0 && ((unsigned char)line->text[used - 1] & 0xC0) == 0x80) {
        used--;
    }
    line->text[used > 0 ? used - 1 : 0] = 0;
}

SDL_Rect panel_input_place(void)
{
    return (SDL_Rect){PANEL_X + 24, PANEL_Y + PANEL_H - 34, PANEL_W - 48, 24};
}

// --- the conversation -------------------------------------------------------------------------------------------------------------

static void draw_lines(panel *p, text_style style, const char *text, float x, float y, int width, int most)
{
    int starts[64], ends[64], count = text_wrap(p->text, style, text, width, starts, ends, 64);
    int first = count > most ? count - most : 0, height = text_height(p->text, style);
    for (int i = first; i < count; i++) {
        char line[LINE_SIZE];
        int size = ends[i] - starts[i];
        memcpy(line, text + starts[i], (size_t)size);
        line[size] = 0;
        text_draw(p->text, style, x, y + (float)((i - first) * height), line);
    }
}

// What of a reply is visible: never half a character.
static void visible_text(const person *who_speaks, char out[LINE_SIZE])
{
    size_t size = (size_t)who_speaks->shown;
    while (size > 0 && size < who_speaks->said_size && ((unsigned char)who_speaks->said[size] & 0xC0) == 0x80) {
        size--;
    }
    memcpy(out, who_speaks->said, size);
    out[size] = 0;
}

static void draw_dots(panel *p, float x, float y, double time, SDL_Color colour_of)
{
    for (int i = 0; i < 3; i++) {
        float lift = sinf((float)time * 5 - (float)i * 0.9f);
        SDL_FRect dot = {x + 13 * (float)i, y - 3 * (lift > 0 ? lift : 0), 6, 6};
        SDL_SetRenderDrawBlendMode(p->renderer, SDL_BLENDMODE_BLEND);
        SDL_SetRenderDrawColor(p->renderer, colour_of.r, colour_of.g, colour_of.b, (Uint8)(150 + 100 * (lift > 0 ? lift : 0)));
        SDL_RenderFillRectF(p->renderer, &dot);
    }
}

static void draw_bubble(panel *p, const game *g, int index)
{
    const person *who_speaks = &g->people[index];
    char text[LINE_SIZE];
    float head_x, head_y;
    room_head(g, index, &head_x, &head_y);
    if (who_speaks->focus || head_x < -60 || head_x > VIEW_WIDTH + 60) {
        return;
    }
    bool thinking = who_speaks->mood == MOOD_THINKING;
    if (!thinking && (who_speaks->said_size == 0 || who_speaks->quiet > 4.5)) {
        return;
    }
    visible_text(who_speaks, text);
    int starts[64], ends[64], height = text_height(p->text, bubble_style);
    int lines = thinking ? 1 : text_wrap(p->text, bubble_style, text, 270, starts, ends, 64);
    lines = lines > 4 ? 4 : lines < 1 ? 1 : lines;
    float w = thinking ? 70 : lines > 1 ? 298 : (float)text_width(p->text, bubble_style, text) + 30, h = (float)(lines * height) + 16;
    w = w > 298 ? 298 : w < 60 ? 60 : w;
    float x = head_x + 52, y = head_y - 54 - h;
    x = x + w > VIEW_WIDTH - 8 ? VIEW_WIDTH - 8 - w : x < 8 ? 8 : x;
    y = y < 112 ? 112 : y;
    float fade = who_speaks->quiet > 3.8 ? (float)(4.5 - who_speaks->quiet) / 0.7f : 1;
    Uint8 alpha = (Uint8)(255 * (thinking ? 1 : fade));
    SDL_Color tail = {247, 231, 200, (Uint8)(alpha * 0.95f)};
    SDL_Vertex v[3] = {{{x + 18, y + h - 4}, tail, {0, 0}}, {{x + 40, y + h - 4}, tail, {0, 0}}, {{head_x + 44, head_y - 34}, tail, {0, 0}}};
    SDL_SetRenderDrawBlendMode(p->renderer, SDL_BLENDMODE_BLEND);
    SDL_RenderGeometry(p->renderer, NULL, v, 3, NULL, 0);
    panel_box(p, p->bubble, x, y, w, h, alpha);
    if (thinking) {
        draw_dots(p, x + 18, y + h / 2 - 2, g->time, (SDL_Color){120, 80, 44, 255});
    } else {
        text_style style = bubble_style;
        style.colour.a = alpha;
        draw_lines(p, style, text, x + 15, y + 7, 270, 4);
    }
}

static int focus_of(const game *g)
{
    int best = NOBODY;
    for (int i = 0; i < PEOPLE; i++) {
        if (g->people[i].focus && (g->people[i].mood != MOOD_IDLE || g->people[i].said_size > 0)) {
            if (best == NOBODY || g->people[i].mood != MOOD_IDLE || g->people[i].quiet < g->people[best].quiet) {
                best = i;
            }
        }
    }
    return best;
}

static void draw_conversation(panel *p, const game *g, const input_line *input, bool show_input)
{
    int index = focus_of(g);
    who near = game_nearest(g);
    panel_box(p, p->box, PANEL_X, PANEL_Y, PANEL_W, PANEL_H, 255);
    if (index != NOBODY) {
        const person *who_speaks = &g->people[index];
        char text[LINE_SIZE];
        float plate = (float)text_width(p->text, name_style, who_speaks->name) + 40;
        panel_box(p, p->plate, PANEL_X + 26, PANEL_Y - 20, plate, 38, 255);
        text_draw(p->text, name_style, PANEL_X + 46, PANEL_Y - 14, who_speaks->name);
        const spoken_line *asked = NULL;
        for (int i = 0; i < g->line_count; i++) {
            asked = g->lines[i].who == NOBODY ? &g->lines[i] : asked;
        }
        if (asked) {
            char quoted[LINE_SIZE + 16];
            snprintf(quoted, sizeof(quoted), "You: %s", asked->text);
            draw_lines(p, aside, quoted, PANEL_X + 26, PANEL_Y + 19, PANEL_W - 52, 1);
        }
        if (who_speaks->mood == MOOD_THINKING) {
            draw_dots(p, PANEL_X + 28, PANEL_Y + 62, g->time, gold);
        } else {
            visible_text(who_speaks, text);
            draw_lines(p, speech, text, PANEL_X + 26, PANEL_Y + 42, PANEL_W - 52, 2);
        }
    } else {
        draw_lines(p, speech, near == NOBODY ? "The fire crackles. Somebody laughs softly." : "", PANEL_X + 26, PANEL_Y + 26, PANEL_W - 52, 1);
    }
    SDL_SetRenderDrawBlendMode(p->renderer, SDL_BLENDMODE_BLEND);
    SDL_SetRenderDrawColor(p->renderer, gold.r, gold.g, gold.b, 60);
    SDL_RenderDrawLine(p->renderer, PANEL_X + 24, PANEL_Y + PANEL_H - 42, PANEL_X + PANEL_W - 24, PANEL_Y + PANEL_H - 42);
    float x = PANEL_X + 26, y = PANEL_Y + PANEL_H - 36;
    text_style typed = {FACE_SANS, 18, cream}, composing = {FACE_SANS, 18, gold}, hint = {FACE_SANS, 15, dim};
    if (show_input && (input->text[0] || input->composing[0])) {
        char shown[INPUT_SIZE];
        const char *from = input->text; // the end of a long line stays in sight
        while (text_width(p->text, typed, from) > PANEL_W - 120 && *from) {
            from += text_step(from);
        }
        snprintf(shown, sizeof(shown), "%s", from);
        x += (float)text_draw(p->text, typed, x, y, shown);
        if (input->composing[0]) {
            int w = text_draw(p->text, composing, x, y, input->composing);
            SDL_SetRenderDrawColor(p->renderer, gold.r, gold.g, gold.b, 220);
            SDL_RenderDrawLine(p->renderer, (int)x, (int)y + 23, (int)x + w, (int)y + 23);
            x += (float)w;
        }
    } else {
        char words[160];
        snprintf(words, sizeof(words), near == NOBODY ? "Walk with \xE2\x86\x90 and \xE2\x86\x92 to somebody" : "Type, and press Enter, to talk to %s", near == NOBODY ? "" : g->people[near].name);
        text_draw(p->text, hint, x + 8, y + 2, words);
    }
    if (show_input && fmod(input->blink, 1.0) < 0.55) {
        SDL_FRect caret = {x + 1, y + 2, 2, 20};
        SDL_SetRenderDrawColor(p->renderer, gold.r, gold.g, gold.b, 255);
        SDL_RenderFillRectF(p->renderer, &caret);
    }
}

static void draw_toasts(panel *p, const game *g)
{
    static const text_style results[4] = {{FACE_SERIF_ITALIC, 15, {222, 200, 160, 255}}, {FACE_SERIF_ITALIC, 15, {190, 226, 160, 255}},
                                          {FACE_SERIF_ITALIC, 15, {255, 190, 120, 255}}, {FACE_SERIF_ITALIC, 15, {255, 150, 130, 255}}};
    float y = 76;
    for (int i = 0; i < g->toast_count; i++) {
        const toast *t = &g->toasts[i];
        float in = t->age < 0.3f ? t->age / 0.3f : 1, out = t->age > 14.2f ? (15 - t->age) / 0.8f : 1, alpha = in * (out < 0 ? 0 : out);
        text_style call = mono, result = results[t->kind & 3];
        call.colour.a = result.colour.a = (Uint8)(255 * alpha);
        char words[420];
        snprintf(words, sizeof(words), "%s", t->kind == 0 ? "\xE2\x80\xA6 under way" : t->result);
        int starts[8], ends[8], lines = text_wrap(p->text, result, words, 330, starts, ends, 8);
        lines = lines > 2 ? 2 : lines;
        float w = (float)text_width(p->text, call, t->text), h = 34 + 19.0f * (float)lines;
        for (int k = 0; k < lines; k++) {
            char line[420];
            memcpy(line, words + starts[k], (size_t)(ends[k] - starts[k]));
            line[ends[k] - starts[k]] = 0;
            float lw = (float)text_width(p->text, result, line);
            w = lw > w ? lw : w;
        }
        float x = 18 - (1 - in) * 40;
        panel_box(p, p->box, x, y, w + 36, h, (Uint8)(235 * alpha));
        text_draw(p->text, call, x + 18, y + 7, t->text);
        for (int k = 0; k < lines; k++) {
            char line[420];
            memcpy(line, words + starts[k], (size_t)(ends[k] - starts[k]));
            line[ends[k] - starts[k]] = 0;
            text_draw(p->text, result, x + 18, y + 26 + 19 * (float)k, line);
        }
        y += h + 8;
    }
}

static void draw_purse(panel *p, const game *g)
{
    char words[32];
    panel_box(p, p->box, 18, 14, 232, 52, 235);
    SDL_FRect to = {28, 20, 38, 38};
    SDL_RenderCopyF(p->renderer, p->coin, NULL, &to);
    snprintf(words, sizeof(words), "%d", (int)(g->gold_shown + 0.5f));
    bool changing = fabsf(g->gold_shown - (float)g->gold) > 0.4f;
    text_style number = {FACE_SERIF, 22, changing ? (SDL_Color){255, 170, 110, 255} : gold};
    text_draw(p->text, number, 70, 24, words);
    const struct {
        SDL_Texture *texture;
        bool has;
        float age;
    } bag[3] = {{p->key, g->has_key, g->key_age}, {p->map, g->has_map, g->map_age}, {p->soup, g->has_soup, g->soup_age}};
    for (int i = 0; i < 3; i++) {
        SDL_FRect slot = {122 + 41 * (float)i, 21, 37, 37};
        SDL_SetRenderDrawBlendMode(p->renderer, SDL_BLENDMODE_BLEND);
        SDL_SetRenderDrawColor(p->renderer, 10, 5, 3, 150);
        SDL_RenderFillRectF(p->renderer, &slot);
        SDL_SetRenderDrawColor(p->renderer, 192, 138, 72, bag[i].has ? 220 : 80);
        SDL_RenderDrawRectF(p->renderer, &slot);
        if (bag[i].has) {
            float pop_up = bag[i].age < 0.5f ? 1 + 0.7f * sinf(bag[i].age / 0.5f * 3.14159f) : 1;
            SDL_FRect at = {slot.x + 18.5f - 18 * pop_up, slot.y + 18.5f - 18 * pop_up, 36 * pop_up, 36 * pop_up};
            SDL_RenderCopyF(p->renderer, bag[i].texture, NULL, &at);
        }
    }
}

void panel_draw(panel *p, const game *g, const input_line *input, bool show_input)
{
    for (int i = 0; i < PEOPLE; i++) {
        draw_bubble(p, g, i);
    }
    draw_conversation(p, g, input, show_input);
    draw_toasts(p, g);
    draw_purse(p, g);
    (void)small;
}
