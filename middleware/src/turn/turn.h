// turn/turn.h - a turn in the queue, and the slot in which it is served.
//
// A turn is small and waits; a slot is large, made with the world and used again and again, so that serving allocates
// nothing once its buffers have grown. A slot goes through stages, see serve/serve.h.
// SPDX-License-Identifier: MIT
#ifndef RPI_TURN_H
#define RPI_TURN_H

#include "character/character.h"
#include "repartee/event.h"
#include "repartee/format.h"
#include "repartee/turn.h"
#include "rt/context.h"
#include "turn/decision.h"
#include "turn/native.h"

struct rpi_slot;

typedef struct rpi_turn {
    uint32_t index, generation;
    bool alive;
    bool ended;   // its last event was made, but not yet taken
    bool is_warm; // computes the prompt only, silently
    bool started; // its first event was made
    struct rpi_turn *next; // of the same character
    rpi_character *character;
    char *line;    // valid UTF-8
    char *speaker; // NULL: the player
    rp_priority priority;
    uint64_t said_ns, deadline_ns, first_text_ns; // 0: none
    int32_t max_reply_tokens;
    bool no_tools;
    struct rpi_slot *slot; // NULL while it waits
} rpi_turn;

typedef enum rpi_stage {
    RPI_STAGE_FREE = 0,
    RPI_STAGE_OFFER,   // chore on the game's thread: which tools, with which parameters
    RPI_STAGE_COMPILE, // chore: schemas that are not compiled yet
    RPI_STAGE_COMPOSE, // chore: messages to text
    RPI_STAGE_ENCODE,  // chores: the text to tokens, a piece at a time
    RPI_STAGE_PREPARE, // chore: the candidates of a choice
    RPI_STAGE_ATTACH,  // chore: a sequence with what the cache has of the prompt
    RPI_STAGE_READ,    // segments: the rest of the prompt
    RPI_STAGE_CHOOSE,  // segments: what explains the line best, see call/choose.c
    RPI_STAGE_ARGUE,   // segments and masks: the arguments of a call
    RPI_STAGE_WRITE,   // segments and masks: calls that the model writes itself, see turn/native.h
    RPI_STAGE_CALL,    // chore on the game's thread
    RPI_STAGE_WAIT,    // for rp_call_answer
    RPI_STAGE_ANOTHER, // chore, segments: does the line ask for one more call?
    RPI_STAGE_SPEAK,   // segments: the reply, a token at a time
    RPI_STAGE_ZOMBIE,  // ended, but a pass under way still has rows of it
} rpi_stage;

enum { RPI_MAX_SEGMENTS = RPI_MAX_CANDIDATES + 1 };

// Tokens to be computed on one sequence, in as many passes as it takes.
typedef struct rpi_segment {
    rt_sequence sequence; // {0}: forked from `source` when its first rows are put into a pass
    rt_sequence source;
    const rt_token *tokens;
    int32_t count, done, in_flight;
    int32_t logits_from; // rows from this one on want logits; count: none
    int32_t candidate;
    bool owned; // the sequence is destroyed when the segment is done
} rpi_segment;

typedef struct rpi_tokens {
    rt_token *ids;
    size_t count, capacity;
} rpi_tokens;

enum { RPI_DRAFT = 5 }; // rows of a speaking turn: the last token and the guesses behind it

typedef struct rpi_slot {
    int32_t number;
    rpi_stage stage, traced_stage;
    uint64_t stage_ns; // since when, for the trace
    rpi_turn *turn;
    rpi_character *character;
    uint64_t served_ns; // when it became active
    uint32_t blocks;    // of the cache that are set aside for it; 0 until it has its sequence
    int32_t passes;     // under way with rows of it
    struct rpi_slot *waits_for; // computes the beginning of this prompt just now
    uint32_t waits_turn;        // that slot's turn, by generation
    int32_t waits_length;       // positions until the wait is over

    // The prompt.
    rp_message *messages;
    size_t message_capacity;
    rpi_buffer text;   // the system text
    rpi_buffer notes;  // lines with what was done about them
    rpi_buffer record; // of a recording
    bool recorded;
    rpi_buffer scratch; // for whatever is being put together, never across chores
    rp_prompt prompt;
    size_t first_exchange, exchanges; // of the history: the oldest one in the prompt; how many there were
    size_t trimmed;                   // of these, by the prompt's length
    int32_t reused;    // prompt tokens found in the cache
    size_t system_bytes; // about, before it is written
    rt_sequence main;  // computed up to the prompt's last token but one, later with the reply
    int32_t main_length;

    rpi_segment segments[RPI_MAX_SEGMENTS];
    int32_t segment_count, segments_done;

    // Decisions and calls.
    rpi_offer offers[RPI_MAX_TOOLS];
    int32_t offer_count;
    rpi_buffer schemas;
    rt_grammar_compilation *compilation; // of offers[compiling]
    int32_t compiling;
    rpi_choice choice;
    rpi_buffer choice_rows; // floats: how likely each token of the line is behind each candidate
    rpi_another another;
    rpi_tokens candidates; // the head of a choice, then each candidate
    int32_t rounds;        // calls made in this turn
    int32_t chosen;        // index into offers
    rt_sequence argument_sequence, plain_sequence; // the arguments behind the conversation, behind the call alone
    rpi_argument argument; // the parameter that is being written
    rpi_shortlist shortlist;
    rt_matcher *matcher;
    rt_grammar *matcher_grammar; // the matcher keeps it alive
    uint32_t *mask;
    size_t mask_words;
    bool mask_ready;
    rpi_tokens argument_tokens;
    int32_t argument_prompt, argument_done, argument_steps; // of these: the prompt's; given to passes; sampled
    rt_token argument_token;
    rpi_buffer arguments;      // of the call under way: a JSON object
    rpi_buffer call_name;      // its tool's, as JSON
    rpi_buffer calls_made;     // in this turn, by choice: a JSON array, see rpi_source
    rpi_buffer actions;        // of this turn, as the history keeps them
    rpi_buffer answer;         // the game's
    bool answered;             // by rp_call_answer, to be taken at the next update
    rp_call_status answer_status;
    rp_call_id call;           // the last one
    uint32_t call_generation;  // 0: no call waits for an answer
    uint64_t call_deadline_ns;
    char call_key[RPI_CALL_ID_SIZE]; // of the call, as the model knows it
    rpi_native native;

    // The reply.
    rpi_tokens tokens; // sampled so far
    rt_text_stream stream;
    rpi_buffer reply;   // text given out
    rpi_buffer held;    // text kept back: white space, the beginning of a stop text
    rt_token draft[RPI_DRAFT];
    int32_t draft_count, draft_valid; // rows; those whose tokens were right
    bool draft_missed;                // a guess was wrong: the rows behind it mean nothing
    int32_t draft_credit;             // 0: guessing does not pay here
    size_t sentence_begin;
    int32_t max_reply_tokens;
    int32_t reply_tokens;
    bool stop;
    rt_sampler_def sampler;
} rpi_slot;

// turn/table.c
rpi_turn *rpi_turn_get(const rp_world *world, rp_turn_id id);
rp_turn_id rpi_turn_id(const rpi_turn *turn);
rpi_turn *rpi_turn_take_free(rp_world *world); // with a new id; NULL: all are taken
// Its last event was taken (or it had none): the id becomes stale.
void rpi_turn_recycle(rp_world *world, rpi_turn *turn);

// turn/slot.c
rt_result rpi_slot_create(rp_world *world, rpi_slot *slot, int32_t number);
void rpi_slot_destroy(rp_world *world, rpi_slot *slot);
// Gives back what a slot holds; called when no pass has rows of it.
void rpi_slot_release(rp_world *world, rpi_slot *slot);
// Adds a segment to what passes compute for this slot.
rpi_segment *rpi_slot_add_segment(rpi_slot *slot, rt_sequence sequence, const rt_token *tokens, int32_t count,
                                  int32_t logits_from);
void rpi_slot_clear_segments(rp_world *world, rpi_slot *slot);
void rpi_slot_clear_offers(rpi_slot *slot);
// Tokens that still have to be computed before the slot can go on.
int32_t rpi_slot_remaining(const rpi_slot *slot);
void rpi_sequence_drop(rp_world *world, rt_sequence *sequence); // destroys and zeroes; {0} is fine

// turn/end.c
typedef enum rpi_end {
    RPI_END_DONE, RPI_END_CANCELLED, RPI_END_INTERRUPTED, RPI_END_DROPPED, RPI_END_FAILED
} rpi_end;

// Ends a turn in any state: event, history, slot. `message` for FAILED. `heard` for INTERRUPTED.
void rpi_turn_end(rp_world *world, rpi_turn *turn, rpi_end end, rt_result result, const char *message, size_t heard);
void rpi_turn_fail(rp_world *world, rpi_slot *slot, rt_result result); // with rt_error_message()
// Answers a turn that has no slot with a line that the character's author wrote. False: it has none, or no memory for it.
bool rpi_turn_answer_authored(rp_world *world, rpi_turn *turn);
// Back to the queue, where nothing was given out yet; what was computed stays in the cache. False: too late for that.
bool rpi_turn_requeue(rp_world *world, rpi_slot *slot);

// turn/compose.c
rt_result rpi_slot_compose(rp_world *world, rpi_slot *slot); // writes the prompt
double rpi_slot_compose_bytes(const rp_world *world, const rpi_slot *slot);
// Encodes a piece of it. *done: all of it is encoded and fits the context; where it did not it was written again, shorter.
rt_result rpi_slot_encode(rp_world *world, rpi_slot *slot, bool *done);
double rpi_slot_encode_bytes(const rpi_slot *slot);

// turn/speak.c
rt_result rpi_speak_begin(rp_world *world, rpi_slot *slot);
rt_result rpi_speak_take(rp_world *world, rpi_slot *slot, rt_token token); // a token was sampled
void rpi_speak_end(rp_world *world, rpi_slot *slot); // what was held back; the last sentence

// turn/draft.c
void rpi_draft_begin(rpi_slot *slot, rt_token first);
void rpi_draft_next(rp_world *world, rpi_slot *slot); // the last token and what may follow it, as a segment
void rpi_draft_check(rpi_slot *slot, int32_t index, rt_token sampled); // the row's token was sampled

// turn/sentence.c: the end (exclusive) of the first sentence in text[begin, size), or 0 where none is complete yet.
// `final`: nothing follows.
size_t rpi_sentence_end(const char *text, size_t begin, size_t size, bool final);

#endif
