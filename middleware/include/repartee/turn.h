// repartee/turn.h - one utterance, from the player's line to the last word heard.
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_TURN_H
#define REPARTEE_TURN_H

#include "repartee/ids.h"

#ifdef __cplusplus
extern "C" {
#endif

// Who goes first. Within a class: earliest deadline, then shortest remaining work; waiting raises a turn's class slowly, so
// that nothing starves.
typedef enum rp_priority {
    RP_PRIORITY_FOCUS = 0,     // whoever the player talks to
    RP_PRIORITY_NEARBY = 1,    // heard by the player
    RP_PRIORITY_AMBIENT = 2,   // the crowd
    RP_PRIORITY_BACKGROUND = 3, // nobody waits for it
} rp_priority;

typedef struct rp_say {
    const char *text;     // what is said to the character. Player text: never syntax, invalid UTF-8 is replaced. Copied.
    size_t text_size;     // bytes; 0: text is zero-terminated
    const char *speaker;  // who says it, or NULL: the player
    rp_priority priority;
    uint64_t deadline_us; // drop the turn if it has not spoken this many microseconds from now; 0: never
    int32_t max_reply_tokens; // 0: the character's
    bool no_tools;            // speak only
} rp_say;

typedef enum rp_turn_state {
    RP_TURN_QUEUED = 0,
    RP_TURN_READING = 1,  // the prompt is processed
    RP_TURN_DECIDING = 2, // choosing a function, or none
    RP_TURN_CALLING = 3,  // waits for the game's answer
    RP_TURN_SPEAKING = 4,
    RP_TURN_DONE = 5,
} rp_turn_state;

// Queues a line. A character speaks one turn at a time; further ones wait in order. TOO_LARGE: the line is longer than the
// context has room for beside the persona.
RT_API rt_result rp_character_say(rp_world *world, rp_character_id character, const rp_say *say, rp_turn_id *turn);

// Ends a turn as if it had never been: no event follows but RP_EVENT_TURN_CANCELLED, the history does not have it. Calls
// already answered by the game stay done. Takes effect at once (a slice that runs on a GPU ends first). Allowed inside callbacks.
RT_API rt_result rp_turn_cancel(rp_world *world, rp_turn_id turn);

// Barge-in: ends a turn and keeps in the history what was heard of it, the first `heard_bytes` of the reply's text (cut back to a whole
// character). RP_EVENT_TURN_CANCELLED follows. Where nothing was heard and nothing was done, it is as if cancelled.
RT_API rt_result rp_turn_interrupt(rp_world *world, rp_turn_id turn, size_t heard_bytes);

// STALE_ID once a turn has ended and its last event was taken.
RT_API rt_result rp_turn_get_state(const rp_world *world, rp_turn_id turn, rp_turn_state *state);

// Raises or lowers a turn while it is under way.
RT_API rt_result rp_turn_set_priority(rp_world *world, rp_turn_id turn, rp_priority priority);

#ifdef __cplusplus
}
#endif
#endif
