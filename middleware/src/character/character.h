// character/character.h - a character as the world keeps it: copies of its def, its conversation, its waiting turns.
// SPDX-License-Identifier: MIT
#ifndef RPI_CHARACTER_H
#define RPI_CHARACTER_H

#include "common/common.h"
#include "repartee/character.h"

enum { RPI_MAX_TOOLS = 128, RPI_MAX_EMOTIONS = 32 };

// One exchange: what was said to the character, what it did about it, what it said. Texts lie one after another in the
// history's bytes, in this order.
typedef struct rpi_exchange {
    uint32_t line_size;  // with the speaker's name in front where it was not the player
    uint32_t actions_size; // what was called and what came of it, see rpi_action; 0: nothing
    uint32_t reply_size;
} rpi_exchange;

// A queue of exchanges, oldest first, whose memory is only grown outside of frames.
typedef struct rpi_history {
    rpi_exchange *exchanges;
    size_t count, capacity;
    rpi_buffer bytes;
} rpi_history;

typedef struct rpi_exchange_text {
    rp_text line, actions, reply;
} rpi_exchange_text;

// One step of a turn that is not talk: a message of calls (a JSON array), or the result of one. Actions are kept one
// after another in bytes.
typedef struct rpi_action {
    bool is_result;
    uint32_t group, said; // calls only: those of one message have the same number; bytes of the reply said before
    rp_text content;
    rp_text name, call_id; // results only
} rpi_action;

bool rpi_action_add(const rt_host *host, rpi_buffer *actions, const rpi_action *action);
// The action at *at, which moves on; false at the end.
bool rpi_action_read(rp_text actions, size_t *at, rpi_action *action);
// Whether bytes from elsewhere are actions of a turn with such a reply: before anybody reads them.
bool rpi_actions_are_valid(rp_text actions, size_t reply_size);
// Leaves out a last call that was never answered.
void rpi_actions_settle(rpi_buffer *actions);

bool rpi_history_reserve(const rt_host *host, rpi_history *history, size_t bytes);
bool rpi_history_add(const rt_host *host, rpi_history *history, const rpi_exchange_text *text);
void rpi_history_drop_oldest(rpi_history *history, size_t count);
void rpi_history_clear(rpi_history *history);
void rpi_history_free(const rt_host *host, rpi_history *history);
// Reads the exchanges in order: start with *at = 0; the texts stay valid until the history changes.
rpi_exchange_text rpi_history_read(const rpi_history *history, size_t index, size_t *at);

struct rpi_turn;

typedef struct rpi_character {
    uint32_t index, generation;
    bool alive;
    char *name, *persona, *knowledge, *state; // state and knowledge may be NULL
    rp_tool_id *tools;        // RPI_MAX_TOOLS of them
    uint64_t *tool_ready_ns;  // when each may be used again
    int32_t tool_count;
    char **emotions;
    int32_t emotion_count, emotion; // `emotion`: the one shown now
    char **fallback_lines;
    int32_t fallback_line_count, next_fallback_line;
    rt_sampler_def sampler;
    int32_t max_reply_tokens, max_history_turns;
    uint64_t seed;        // of the world, the name and the sampler's own
    uint64_t turn_number; // exchanges that entered the history: the next turn's part of the seed
    rpi_history history;
    struct rpi_turn *first_turn, *last_turn; // in the order in which they were said; the first may be under way
} rpi_character;

// NULL for a stale id.
rpi_character *rpi_character_get(const rp_world *world, rp_character_id id);
void rpi_character_free(rp_world *world, rpi_character *character);
rp_character_id rpi_character_id(const rpi_character *character);

#endif
