// game.h - the evening at the Gilded Griffin: who is there, what the player has, what was said and done.
//
// Plain data that minds.c changes as characters speak and call, and that the drawing reads. Nothing here knows how it looks.
//
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_GAME_H
#define GRIFFIN_GAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VIEW_WIDTH = 1280, // the picture, in logical pixels
    VIEW_HEIGHT = 720,
    ROOM_WIDTH = 1900, // the room is wider: the view follows the player
    PEOPLE = 3,
    MAX_CUPS = 6,
    MAX_TOASTS = 4,
    MAX_LINES = 128, // of the conversation
    MAX_CALLS = 64,
    LINE_SIZE = 2048,
};

typedef enum who { MARTA = 0, HARKER = 1, LYSA = 2, NOBODY = -1 } who;

// Where a character is with its words.
typedef enum mood {
    MOOD_IDLE = 0,
    MOOD_THINKING = 1, // a turn is under way, nothing was said yet
    MOOD_SPEAKING = 2,
} mood;

typedef struct person {
    const char *key;      // in the scripts
    char name[64];
    float x;              // in the room
    mood mood;
    char emotion[24];
    char said[LINE_SIZE]; // the reply as far as it came
    size_t said_size;
    double shown;         // bytes of it that are visible: words appear a little after one another
    double quiet;         // seconds since the last word was shown
    bool focus;           // answers the player (rather than the others)
    bool ends;            // the last word has come
    int line;             // of the conversation, or -1
    float music;          // seconds of music left (the bard)
} person;

typedef struct cup {
    char drink[24];
    float x;     // on the counter
    float fill;  // 0 to 1
    float age;
} cup;

typedef struct toast {
    char text[200], result[200];
    float age;
    int kind; // 0 under way, 1 answered, 2 vetoed, 3 failed
    uint32_t call_index, call_generation;
} toast;

typedef struct spoken_line {
    int who;              // NOBODY: the player
    bool ambient;
    char speaker[64];
    char text[LINE_SIZE];
    int frame;
} spoken_line;

typedef struct made_call {
    int who;
    char name[64], arguments[256], result[256];
    const char *status; // "answered", "later", "vetoed", "failed"
    int frame, answered_frame;
    uint32_t index, generation;
} made_call;

typedef struct game {
    double time;          // seconds since the doors opened
    int frame;
    float player_x, player_speed, player_step; // step: phase of the walk
    bool player_left;
    float camera_x;
    int gold;
    float gold_shown;     // runs after gold
    bool has_key, has_map, has_soup;
    float key_age, map_age, soup_age;
    int stock[3];         // of the cellar
    cup cups[MAX_CUPS];
    int cup_count;
    person people[PEOPLE];
    toast toasts[MAX_TOASTS]; // latest first
    int toast_count;
    spoken_line *lines;
    int line_count;
    made_call calls[MAX_CALLS];
    int call_count;
} game;

extern const char *const game_drinks[3];

// False: out of memory.
bool game_start(game *g);
void game_end(game *g);

// Lets `seconds` pass: walking, pouring, words that appear, toasts that go.
// `direction`: -1 to the left, 1 to the right, 0: the player stands.
void game_advance(game *g, double seconds, int direction);

// Who the player can talk to from here, or NOBODY.
who game_nearest(const game *g);
who game_find(const game *g, const char *key);

// Adds to the conversation; the index of the line, or -1 when there is no room left.
int game_add_line(game *g, int speaker, const char *name, bool ambient);
void game_append(game *g, int line, const char *text, size_t size);

toast *game_add_toast(game *g, const char *text);

#endif
