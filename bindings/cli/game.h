// game.h - a stand-in for a game, so that scripts which call game.NAME(...) can be tried without one.
// SPDX-License-Identifier: MIT
#ifndef CLI_GAME_H
#define CLI_GAME_H

#include "repartee_lua/host.h"

#include <jansson.h>

typedef struct stand_in_game stand_in_game;

// `answers`: a file with a JSON object, "NAME" -> what game.NAME(...) returns (text, number, boolean, list of texts); under
// "speaker" an object: the fields of ctx.speaker. May be NULL. False: the problem is on stderr.
bool stand_in_create(const char *answers, stand_in_game **game);
// Registers every game.NAME that the script mentions; those without an answer return true.
bool stand_in_register(stand_in_game *game, rp_lua *lua, const char *script);
void stand_in_destroy(stand_in_game *game);

#endif
