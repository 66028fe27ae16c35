// repartee/event.h - what happened, in order. Taken with rp_world_next_event after each update.
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_EVENT_H
#define REPARTEE_EVENT_H

#include "repartee/ids.h"
#include "repartee/tool.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_event_kind {
    RP_EVENT_TURN_STARTED = 1,   // the turn is being served
    RP_EVENT_TEXT = 2,           // more words: whole UTF-8 characters, to be appended
    RP_EVENT_SENTENCE = 3,       // a sentence is complete: for voices and subtitles; its text came as RP_EVENT_TEXT before
    RP_EVENT_EMOTION = 4,        // the character's expression changes; `text` is one of its emotions
    RP_EVENT_CALL = 5,           // a call was made; `text` its arguments
    RP_EVENT_CALL_RESULT = 6,    // the game's answer; `text`
    RP_EVENT_TURN_DONE = 7,      // the last word; `text` is the whole reply
    RP_EVENT_TURN_CANCELLED = 8, // by the game, or because the character went away
    RP_EVENT_TURN_DROPPED = 9,   // its deadline passed before it spoke
    RP_EVENT_TURN_FAILED = 10,   // `result` and `text` say why
    RP_EVENT_HISTORY_TRIMMED = 11, // oldest turns left the prompt; `count` of them
    RP_EVENT_DEGRADED = 12,      // level of detail changed; `count` is the new level, 0 the best
} rp_event_kind;

typedef struct rp_event {
    rp_event_kind kind;
    rp_character_id character;
    rp_turn_id turn;
    rp_text text;        // zero-terminated; valid until the next rp_world_update or rp_world_destroy
    rp_tool_id tool;     // CALL, CALL_RESULT
    rp_call_id call;
    rp_call_status call_status; // CALL_RESULT
    rt_result result;    // TURN_FAILED
    int32_t count;
    // TURN_DONE: what it took.
    int32_t prompt_tokens, reused_tokens, reply_tokens;
    uint64_t first_text_us; // from rp_character_say to the first word
    uint64_t duration_us;   // from rp_character_say to the last
} rp_event;

// Takes the oldest event; false when there is none. While more than 4,096 wait untaken (or 1 MiB of their texts), the world
// serves nothing.
RT_API bool rp_world_next_event(rp_world *world, rp_event *event);

#ifdef __cplusplus
}
#endif
#endif
