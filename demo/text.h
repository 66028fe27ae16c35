// text.h - words in any of the languages that the fonts know: shaping, fallback from font to font, wrapping, a cache.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_TEXT_H
#define GRIFFIN_TEXT_H

#include <SDL.h>
#include <stdbool.h>

typedef enum face { FACE_SERIF = 0, FACE_SANS, FACE_SERIF_ITALIC, FACE_MONO, FACE_NAMED } face;

typedef struct text_style {
    face face;
    int size;
    SDL_Color colour;
} text_style;

typedef struct text_drawer text_drawer;

// NULL: the fonts are missing; says where they were looked for on stderr.
text_drawer *text_open(SDL_Renderer *renderer);
void text_close(text_drawer *t);

int text_width(text_drawer *t, text_style style, const char *text);
int text_height(text_drawer *t, text_style style);
// At the left of the line's top. Returns the width.
int text_draw(text_drawer *t, text_style style, float x, float y, const char *text);
// Breaks `text` into lines of at most `width`: fills `starts` and `ends` (byte offsets), at most `capacity` of them. Breaks at spaces
// and between characters of scripts that have none.
int text_wrap(text_drawer *t, text_style style, const char *text, int width, int *starts, int *ends, int capacity);

// The length of the code point at `text`, 1 to 4 bytes.
int text_step(const char *text);

#endif
