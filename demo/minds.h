// minds.h - Repartee in this game: the model, the world, the scripts; lines in, words and calls out.
// SPDX-License-Identifier: MIT
#ifndef GRIFFIN_MINDS_H
#define GRIFFIN_MINDS_H

#include "game.h"
#include "repartee_lua/host.h"

typedef struct minds_def {
    const char *model;   // a .gguf file or a folder
    const char *script;  // assets/demo/griffin.lua
    const char *lore;    // a text file that everybody in this world knows
    uint64_t seed;
    uint32_t frame_us;   // of the display; the minds get what it leaves
    int threads;         // that may work on a frame, the game's own included
    rt_backend_kind backend;
} minds_def;

typedef struct minds {
    game *game;
    rt_model *model;
    rp_world *world;
    rp_lua *lua;
    rp_character_id ids[PEOPLE];
    rp_turn_id turns[PEOPLE]; // the one each is heard with
    int speaking_line[PEOPLE];
    size_t heard[PEOPLE];     // bytes of the reply that the game took
    char *lore;
    char reply[256];          // texts that game functions return to scripts
    rp_text cellar[3];
    bool verbose;
} minds;

// Opens all of it. On failure says why on stderr, and leaves nothing behind.
bool minds_open(minds *m, const minds_def *def, game *g);
void minds_close(minds *m);

// The player speaks to somebody. A reply that is under way is interrupted where it was shown.
bool minds_say(minds *m, who to, const char *text);
// Somebody else does, for atmosphere.
bool minds_chat(minds *m, who to, const char *from, const char *text);
// The next exchange that the script knows for a quiet room.
bool minds_chatter(minds *m);
// The player walks up to somebody: the prompt is read ahead of time.
void minds_approach(minds *m, who to);

// Lets the minds work for at most `budget_us` microseconds of this frame (RP_BUDGET_PACED: what the frames allow), then brings
// what happened into the game.
void minds_update(minds *m, uint32_t budget_us, double seconds);

// Whether the player waits for an answer.
bool minds_answering(const minds *m);

#endif
