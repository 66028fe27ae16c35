// panel.h - what lies over the picture: the conversation, bubbles, calls, purse and bag, the line being typed, frame times.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_PANEL_H
#define GRIFFIN_PANEL_H

#include "game.h"
#include "text.h"
#include "times.h"

enum { INPUT_SIZE = 512 };

// The line that the player types, as UTF-8, and what an input method is composing.
typedef struct input_line {
    char text[INPUT_SIZE];
    char composing[128];
    double blink;
} input_line;

typedef struct panel {
    SDL_Renderer *renderer;
    text_drawer *text;
    SDL_Texture *box, *bubble, *plate, *coin, *key, *map, *soup;
    char hint[96];
} panel;

bool panel_open(panel *p, SDL_Renderer *renderer);
void panel_close(panel *p);
void panel_draw(panel *p, const game *g, const input_line *input, bool show_input);
// The last frames, stacked: what the minds took and the rest, with the frame's limit and the minds' budget as lines.
void graph_draw(panel *p, const frame_times *times, uint32_t budget_us);

// Where the input method's window belongs.
SDL_Rect panel_input_place(void);

// Editing, whole code points at a time.
void input_add(input_line *line, const char *text);
void input_erase(input_line *line);

// A rounded box stretched to any size; its corners keep theirs.
void panel_box(panel *p, SDL_Texture *box, float x, float y, float w, float h, Uint8 alpha);

#endif
