// repartee/character.h - who speaks: persona, tools, voice of the sampler, memory of the conversation.
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_CHARACTER_H
#define REPARTEE_CHARACTER_H

#include "repartee/ids.h"
#include "rt/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_character_def {
    uint32_t cookie;       // set by rp_default_character_def
    const char *name;      // unique in the world; shown to the model; at most 128 bytes
    const char *persona;   // who this is, in plain words; UTF-8; copied
    const char *knowledge; // further text for the prompt (lore that this character knows), or NULL
    const rp_tool_id *tools; // functions this character may call
    int32_t tool_count;      // at most 128
    // Names the character may show, the first one is the resting state; or NULL. Chosen before each reply by how well "makes
    // NAME feel ..." explains the player's line; RP_EVENT_EMOTION comes when it changes. Adjectives work best. At most 32.
    const char *const *emotions;
    int32_t emotion_count;
    rt_sampler_def sampler;  // its seed is mixed with the world's, the character's name and the number of the turn
    int32_t max_reply_tokens; // default 96; from three quarters on a reply ends with the sentence it is in
    int32_t max_history_turns; // turns kept in the prompt; older ones leave whole; 0: as many as fit (default)
    // Authored lines for when the model cannot serve (too much load, a device that was lost), or NULL; copied.
    const char *const *fallback_lines;
    int32_t fallback_line_count;
} rp_character_def;

RT_API rp_character_def rp_default_character_def(void);

// Copies the def. INVALID_ARGUMENT: no name, a name that is taken, text that is not UTF-8, a sampler out of range.
// All calls of this header: on the world's thread, not from inside a callback unless a comment says so.
RT_API rt_result rp_character_create(rp_world *world, const rp_character_def *def, rp_character_id *character);

// Safe at any time, also in the middle of a sentence: its turns end with RP_EVENT_TURN_CANCELLED, its memory is freed, its
// ids become stale. Allowed inside callbacks.
RT_API rt_result rp_character_destroy(rp_world *world, rp_character_id character);

RT_API rt_result rp_character_find(const rp_world *world, const char *name, rp_character_id *character);
// NULL for a stale id. Valid until the character is destroyed.
RT_API const char *rp_character_name(const rp_world *world, rp_character_id character);

// Replaces persona, knowledge or the list of tools from the next turn on; NULL leaves as it is.
RT_API rt_result rp_character_set_persona(rp_world *world, rp_character_id character, const char *persona);
RT_API rt_result rp_character_set_tools(rp_world *world, rp_character_id character, const rp_tool_id *tools, int32_t count);

// How the character's words are drawn, from the next turn on. INVALID_ARGUMENT names the field that is out of range.
RT_API rt_result rp_character_set_sampler(rp_world *world, rp_character_id character, const rt_sampler_def *sampler);
RT_API rt_result rp_character_get_sampler(const rp_world *world, rp_character_id character, rt_sampler_def *sampler);

// A line about the world right now ("It is night. The player carries 3 gold."), part of the prompt after the persona;
// replaces the last one. NULL clears.
RT_API rt_result rp_character_set_state(rp_world *world, rp_character_id character, const char *state);

// Forgets the conversation.
RT_API rt_result rp_character_clear_history(rp_world *world, rp_character_id character);

// Puts an exchange into the history as if it had been spoken (loading a game, authored openings). Either may be NULL.
RT_API rt_result rp_character_add_history(rp_world *world, rp_character_id character, const char *player, const char *reply);

// Computes the character's prompt up to the player's line ahead of time, at background priority: its next reply starts
// sooner. The player walking up is a good moment. OK also when there is nothing to do.
RT_API rt_result rp_character_warm(rp_world *world, rp_character_id character);

#ifdef __cplusplus
}
#endif
#endif
