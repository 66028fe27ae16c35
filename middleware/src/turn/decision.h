// turn/decision.h - what a slot keeps of a decision under way: what is offered, the choice, the arguments of the call. The room
// call/ fills it in.
// SPDX-License-Identifier: MIT
#ifndef RPI_DECISION_H
#define RPI_DECISION_H

#include "character/character.h"
#include "rt/context.h"
#include "rt/grammar.h"

// A tool that this turn may use, with the schema of its parameters at this moment.
typedef struct rpi_offer {
    rp_tool_id tool;
    rt_grammar *grammar; // retained; NULL until it is compiled
    uint32_t schema_at, schema_size; // in the slot's `schemas`
    bool used;           // in this turn, and not to be used again
    bool called;         // in this turn
} rpi_offer;

enum { RPI_MAX_CANDIDATES = 3 + RPI_MAX_TOOLS + RPI_MAX_EMOTIONS };

// One decision among candidates: contexts that each try to explain the player's line. The first is small talk.
typedef struct rpi_choice {
    int32_t count;        // 0: nothing to decide
    int32_t head;         // tokens at the front of the slot's `candidates` that all contexts begin with
    rt_sequence sequence; // of the head
    int32_t begin[RPI_MAX_CANDIDATES], context[RPI_MAX_CANDIDATES], size[RPI_MAX_CANDIDATES]; // tokens: context and line
    int32_t offer[RPI_MAX_CANDIDATES], emotion[RPI_MAX_CANDIDATES]; // what it stands for; -1: not that
    int32_t others;       // candidates at the front that stand for no call
    int32_t none;         // raw choices only: the candidate "none", from which on up to the emotions they are names; 0: not raw
    double score[RPI_MAX_CANDIDATES]; // log-probability of the line
} rpi_choice;

// What is looked at for a further call, see call/another.c.
typedef enum rpi_another_step { RPI_ANOTHER_BOTH = 0, RPI_ANOTHER_EXCHANGE } rpi_another_step;
typedef struct rpi_another {
    rpi_another_step step;
    bool is_again;     // the call that is written is one more of the same tool
    int32_t first;     // the offer that was called first
    double score[2];   // log-probability of the line in the readings under way
    int32_t exchanged; // parameters whose words changed places
} rpi_another;

// A JSON value while it is written.
typedef enum rpi_literal { RPI_LITERAL_NONE = 0, RPI_LITERAL_STRING, RPI_LITERAL_NUMBER } rpi_literal;

typedef struct rpi_value {
    int32_t depth;
    bool begun, is_over, is_word; // true, false, null
    bool escaped, has_escapes;
    rpi_literal literal; // what is being written now
    size_t begin;        // of its contents, in bytes of the value
    size_t size;         // of the value so far
} rpi_value;

// The parameter that is written.
typedef struct rpi_argument {
    bool in_parts;      // parameter by parameter; else the object in one piece
    int32_t parameter;  // number of the one that is written
    int32_t steps;      // tokens sampled for it
    rpi_value value;
    size_t part;        // where it begins in the slot's `arguments`, with its key
    size_t contents;    // where its value begins
    int32_t tokens;     // in the slot's `argument_tokens` when it began
    double gain;        // how much likelier the conversation has made the value, in nats
    rp_text key;        // of the one that is written; the schema\'s memory
} rpi_argument;

// Tokens that are weighed against each other, with what they have of each side.
enum { RPI_SHORTLIST = 256 };
typedef struct rpi_shortlist {
    int32_t count;
    bool is_few; // the schema leaves only a few
    rt_token token[RPI_SHORTLIST];
    float talk[RPI_SHORTLIST]; // log-probability
    bool copies[RPI_SHORTLIST];     // words of the line
    int8_t standing[RPI_SHORTLIST]; // which stand so, see rpi_standing
    bool closes[RPI_SHORTLIST];
} rpi_shortlist;

#endif
