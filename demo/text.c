// text.c - SDL_ttf with a chain of fonts: each run of characters is drawn with the first font that has them.
// SPDX-License-Identifier: MIT
#include "text.h"

#include <SDL_ttf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FALLBACKS = 12, SIZES = 8, CACHE = 192, RUN_SIZE = 512 };

static const char *const folders[] = {"assets/fonts", "/usr/share/fonts/truetype/noto", "/usr/share/fonts/opentype/noto",
                                      "/usr/share/fonts/noto", "/usr/share/fonts/noto-cjk", "/usr/share/fonts/google-noto"};
static const char *const first_choice[FACE_NAMED] = {"NotoSerif-Regular.ttf", "NotoSans-Regular.ttf", "NotoSerif-Italic.ttf",
                                                     "NotoSansMono-Regular.ttf"};
// After the first choice: Chinese, Japanese and Korean; Hindi; Arabic; Hebrew; Thai; Bengali; Tamil; Georgian; Armenian; symbols.
static const char *const fallbacks[FALLBACKS] = {
    "NotoSans-Regular.ttf",       "NotoSansCJK-Regular.ttc",   "NotoSansDevanagari-Regular.ttf", "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf", "NotoSansThai-Regular.ttf",  "NotoSansBengali-Regular.ttf",    "NotoSansTamil-Regular.ttf",
    "NotoSansGeorgian-Regular.ttf", "NotoSansArmenian-Regular.ttf", "NotoSansSymbols2-Regular.ttf", "NotoSansMath-Regular.ttf"};

typedef struct run {
    char text[RUN_SIZE];
    int key;              // font and colour
    uint32_t colour;
    SDL_Texture *texture; // NULL: not in use
    int width, height;
    uint64_t used;
} run;

struct text_drawer {
    SDL_Renderer *renderer;
    TTF_Font *fonts[FACE_NAMED + FALLBACKS][SIZES];
    bool missing[FACE_NAMED + FALLBACKS];
    int sizes[SIZES];
    run cache[CACHE];
    uint64_t clock;
};

static TTF_Font *open_font(text_drawer *t, int which, int size)
{
    int slot = 0;
    while (slot < SIZES && t->sizes[slot] != size && t->sizes[slot] != 0) {
        slot++;
    }
    if (slot == SIZES) {
        slot = SIZES - 1;
    }
    t->sizes[slot] = t->sizes[slot] ? t->sizes[slot] : size;
    if (t->fonts[which][slot] || t->missing[which]) {
        return t->fonts[which][slot];
    }
    const char *name = which < FACE_NAMED ? first_choice[which] : fallbacks[which - FACE_NAMED];
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", folders[i], name);
        FILE *file = fopen(path, "rb");
        if (!file) {
            continue;
        }
        fclose(file);
        t->fonts[which][slot] = TTF_OpenFont(path, t->sizes[slot]);
        if (t->fonts[which][slot]) {
            TTF_SetFontHinting(t->fonts[which][slot], TTF_HINTING_LIGHT);
            return t->fonts[which][slot];
        }
    }
    t->missing[which] = true;
    return NULL;
}

text_drawer *text_open(SDL_Renderer *renderer)
{
    if (TTF_Init() != 0) {
        fprintf(stderr, "griffin: SDL_ttf does not start: %s\n", TTF_GetError());
        return NULL;
    }
    text_drawer *t = calloc(1, sizeof(*t));
    if (!t) {
        return NULL;
    }
    t->renderer = renderer;
    if (!open_font(t, FACE_SANS, 18)) {
        fprintf(stderr, "griffin: %s is neither in assets/fonts nor in /usr/share/fonts: scripts/setup.sh installs the fonts "
                        "(Debian: fonts-noto-core, fonts-noto-cjk)\n", first_choice[FACE_SANS]);
        text_close(t);
        return NULL;
    }
    return t;
}

void text_close(text_drawer *t)
{
    if (!t) {
        return;
    }
    for (int i = 0; i < CACHE; i++) {
        if (t->cache[i].texture) {
            SDL_DestroyTexture(t->cache[i].texture);
        }
    }
    for (int i = 0; i < FACE_NAMED + FALLBACKS; i++) {
        for (int s = 0; s < SIZES; s++) {
            if (t->fonts[i][s]) {
                TTF_CloseFont(t->fonts[i][s]);
            }
        }
    }
    free(t);
    TTF_Quit();
}

int text_step(const char *text)
{
    unsigned char c = (unsigned char)*text;
    int size = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    for (int i = 1; i < size; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            return i;
        }
    }
    return size;
}

static uint32_t code_point(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    switch (text_step(text)) {
    case 1: return s[0] < 0x80 ? s[0] : 0xFFFD;
    case 2: return ((uint32_t)(s[0] & 0x1F) << 6) | (s[1] & 0x3Fu);
    case 3: return ((uint32_t)(s[0] & 0x0F) << 12) | ((uint32_t)(s[1] & 0x3F) << 6) | (s[2] & 0x3Fu);
    default: return ((uint32_t)(s[0] & 0x07) << 18) | ((uint32_t)(s[1] & 0x3F) << 12) | ((uint32_t)(s[2] & 0x3F) << 6) | (s[3] & 0x3Fu);
    }
}

// The font for a character: the one of its neighbour where that has it, so that runs stay long.
static int font_for(text_drawer *t, text_style style, uint32_t c, int last)
{
    if (last >= 0) {
        TTF_Font *font = open_font(t, last, style.size);
        if (font && (c <= ' ' || TTF_GlyphIsProvided32(font, c)) && (last >= FACE_NAMED || c <= 0x2AF)) {
            return last;
        }
    }
    TTF_Font *own = open_font(t, style.face, style.size);
    if (own && (c <= ' ' || TTF_GlyphIsProvided32(own, c))) {
        return style.face;
    }
    for (int i = 0; i < FALLBACKS; i++) {
        TTF_Font *font = open_font(t, FACE_NAMED + i, style.size);
        if (font && TTF_GlyphIsProvided32(font, c)) {
            return FACE_NAMED + i;
        }
    }
    return own ? (int)style.face : FACE_SANS;
}

// Sets how a run is laid out: its script, and right to left for Arabic and Hebrew. The same order as `fallbacks`.
static void set_direction(TTF_Font *font, int which)
{
    static const char *const scripts[FALLBACKS] = {"Latn", "Hani", "Deva", "Arab", "Hebr", "Thai", "Beng", "Taml", "Geor", "Armn", "Zyyy", "Zmth"};
    const char *script = which < FACE_NAMED ? "Latn" : scripts[which - FACE_NAMED];
    bool backwards = script[0] == 'A' ? script[2] == 'a' : script[0] == 'H' && script[1] == 'e';
    TTF_SetFontDirection(font, backwards ? TTF_DIRECTION_RTL : TTF_DIRECTION_LTR);
    TTF_SetFontScriptName(font, script);
}

// The next run of `text` in one font; its font.
static int next_run(text_drawer *t, text_style style, const char *text, char out[RUN_SIZE], int *bytes)
{
    int at = 0, which = -1;
    while (text[at] && at < RUN_SIZE - 5) {
        int found = font_for(t, style, code_point(text + at), which);
        if (which >= 0 && found != which) {
            break;
        }
        which = found;
        at += text_step(text + at);
    }
    // A space behind words that run to the left belongs to what follows, or it would stand before them.
    while ((which == FACE_NAMED + 3 || which == FACE_NAMED + 4) && text[at] && at > 1 && text[at - 1] == ' ') {
        at--;
    }
    memcpy(out, text, (size_t)at);
    out[at] = 0;
    *bytes = at;
    return which;
}

int text_height(text_drawer *t, text_style style)
{
    TTF_Font *font = open_font(t, style.face, style.size);
    font = font ? font : open_font(t, FACE_SANS, style.size);
    return font ? TTF_FontHeight(font) : style.size;
}

int text_width(text_drawer *t, text_style style, const char *text)
{
    char piece[RUN_SIZE];
    int width = 0, bytes;
    while (*text) {
        int which = next_run(t, style, text, piece, &bytes), w = 0;
        TTF_Font *font = open_font(t, which, style.size);
        if (font) {
            set_direction(font, which);
            TTF_SizeUTF8(font, piece, &w, NULL);
        }
        width += w;
        text += bytes;
    }
    return width;
}

static run *find_run(text_drawer *t, int which, text_style style, const char *text)
{
    uint32_t colour = ((uint32_t)style.colour.r << 24) | ((uint32_t)style.colour.g << 16) | ((uint32_t)style.colour.b << 8);
    int key = which * 1000 + style.size;
    run *oldest = &t->cache[0];
    for (int i = 0; i < CACHE; i++) {
        run *r = &t->cache[i];
        if (r->texture && r->key == key && r->colour == colour && strcmp(r->text, text) == 0) {
            r->used = ++t->clock;
            return r;
        }
        oldest = r->used < oldest->used ? r : oldest;
    }
    TTF_Font *font = open_font(t, which, style.size);
    if (!font) {
        return NULL;
    }
    set_direction(font, which);
    SDL_Color opaque = {style.colour.r, style.colour.g, style.colour.b, 255};
    SDL_Surface *surface = TTF_RenderUTF8_Blended(font, text, opaque);
    SDL_Texture *texture = surface ? SDL_CreateTextureFromSurface(t->renderer, surface) : NULL;
    if (!texture) {
        SDL_FreeSurface(surface);
        return NULL;
    }
    if (oldest->texture) {
        SDL_DestroyTexture(oldest->texture);
    }
    *oldest = (run){.key = key, .colour = colour, .texture = texture, .width = surface->w, .height = surface->h, .used = ++t->clock};
    snprintf(oldest->text, sizeof(oldest->text), "%s", text);
    SDL_FreeSurface(surface);
    return oldest;
}

int text_draw(text_drawer *t, text_style style, float x, float y, const char *text)
{
    char piece[RUN_SIZE];
    int bytes, width = 0, height = text_height(t, style);
    while (*text) {
        int which = next_run(t, style, text, piece, &bytes);
        run *r = find_run(t, which, style, piece);
        if (r) {
            SDL_Rect to = {(int)x + width, (int)y + (height - r->height) / 2, r->width, r->height};
            SDL_SetTextureAlphaMod(r->texture, style.colour.a);
            SDL_RenderCopy(t->renderer, r->texture, NULL, &to);
            width += r->width;
        }
        text += bytes;
    }
    return width;
}

// Scripts that are written without spaces may break between any two characters.
static bool breaks_anywhere(uint32_t c)
{
    return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xFF00 && c <= 0xFFEF) || (c >= 0x0E00 && c <= 0x0E7F);
}

int text_wrap(text_drawer *t, text_style style, const char *text, int width, int *starts, int *ends, int capacity)
{
    int lines = 0, start = 0, at = 0, last_break = -1, resume = 0;
    char piece[RUN_SIZE];
    while (lines < capacity && text[start]) {
        at = start;
        last_break = -1;
        int from = start; // measured so far
        float used = 0;
        while (text[at] && text[at] != '\n') {
            int size = text_step(text + at);
            uint32_t c = code_point(text + at);
            if (c == ' ' || breaks_anywhere(c)) { // measure up to here
                int end = c == ' ' ? at : at + size;
                int bytes = end - from < RUN_SIZE - 1 ? end - from : RUN_SIZE - 1;
                memcpy(piece, text + from, (size_t)bytes);
                piece[bytes] = 0;
                float w = (float)text_width(t, style, piece);
                if (used + w > (float)width && last_break > start) {
                    break;
                }
                used += w;
                from = end;
                last_break = end;
                resume = c == ' ' ? at + 1 : end;
            }
            at += size;
        }
        if (!text[at] || text[at] == '\n') { // the rest, if it fits
            int bytes = at - from < RUN_SIZE - 1 ? at - from : RUN_SIZE - 1;
            memcpy(piece, text + from, (size_t)bytes);
            piece[bytes] = 0;
            if (used + (float)text_width(t, style, piece) <= (float)width || last_break <= start) {
                last_break = at;
                resume = text[at] ? at + 1 : at;
            }
        }
        starts[lines] = start;
        ends[lines++] = last_break;
        start = resume;
    }
    return lines;
}
