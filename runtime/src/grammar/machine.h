// grammar/machine.h - walking a grammar byte by byte.
//
// A walk is a set of threads, each one way to read what came so far: what it is inside of, and a stack of open containers.
// Stacks are frames linked to their parents, each kept once; threads that differ only in what lies around their innermost
// container fall together, on a frame with several parents (merge.c).
// Every thread can be completed: a step that would lead nowhere is not taken.
// SPDX-License-Identifier: MIT
#ifndef RTI_GRAMMAR_MACHINE_H
#define RTI_GRAMMAR_MACHINE_H

#include "grammar/grammar.h"

#include <string.h>

typedef enum rti_thread_kind {
    RTI_THREAD_VALUE,       // a: node
    RTI_THREAD_LITERAL,     // a: place in the trie of literals; h: not 0 where its hash matters
    RTI_THREAD_NUMBER,      // a: automaton, b: state; h: hash of its digits, and how it is written (number_hash.h): n, part, c
    RTI_THREAD_STRING,      // a: terminal, b: state, n: characters, part: of a character, t: excluded strings, h: hash
    RTI_THREAD_KEY_STRING,  // the same for a key; c: its class
    RTI_THREAD_KEY,         // a: place in the trie of keys
    RTI_THREAD_KEY_OPEN,    // before a key
    RTI_THREAD_OBJECT_OPEN, // after {
    RTI_THREAD_COLON,       // a: node of the value
    RTI_THREAD_COLON_SPACE, // a: node
    RTI_THREAD_COMMA_SPACE, // then a key or an item
    RTI_THREAD_ARRAY_OPEN,  // after [
    RTI_THREAD_ITEM,        // before an item
    RTI_THREAD_AFTER,       // a value is complete
    RTI_THREAD_FREE,        // text before a trigger; a: state
} rti_thread_kind;

typedef struct rti_thread {
    uint32_t kind, frame, a, b, n, part, t, c;
    uint64_t h; // of the string so far, where equal ones must be told; 0: not needed
} rti_thread;

typedef enum rti_frame_kind { RTI_FRAME_ROOT, RTI_FRAME_OBJECT, RTI_FRAME_ARRAY } rti_frame_kind;

typedef struct rti_frame {
    uint16_t kind;
    uint16_t within; // 0: inside no value that must not come again; otherwise that many others it must differ from, plus one
    uint32_t parent, block, position, count, seen_keys, depth, marks; // parent: a list, rti_machine.parents
    uint64_t seen;       // objects: free properties; arrays: counts of conditions, 16 bits each
    uint32_t next;       // in its hash bucket
    uint32_t inside;     // a hash of all but the parents
} rti_frame;

typedef struct rti_parents { // frames around one, the highest number first
    uint32_t frame, rest, next;
} rti_parents;

typedef struct rti_seen { // keys, items and members so far, where repeats matter: a list to the end
    uint64_t hash;
    uint32_t before, length, next;
} rti_seen;

typedef struct rti_machine {
    rt_grammar *g;
    rt_host host;
    rti_thread *threads; // a stack of lists
    uint32_t thread_count, thread_capacity;
    rti_frame *frames;
    uint32_t frame_count, frame_capacity;
    uint32_t *frame_buckets, frame_bucket_count;
    rti_parents *parents;
    uint32_t parents_count, parents_capacity;
    uint32_t *parents_buckets, parents_bucket_count;
    rti_seen *seen;
    uint32_t seen_count, seen_capacity;
    uint32_t *seen_buckets, seen_bucket_count;
    uint32_t searching;              // repeats.c looks ahead: it does not ask again
    uint32_t open_frame;             // what it found out last: a frame, plus one, and whether an array there can be completed
    bool is_open;
    uint32_t *merge, merge_capacity; // room of merge.c
    uint32_t *merge_parents, merge_parents_capacity;
    rt_result error; // the first failure; every step afterwards finds nothing
} rti_machine;

enum { RTI_THREADS_MAX = 16384, RTI_SPACES_MAX = 16 };

rt_result rti_machine_begin(rti_machine *m, rt_grammar *g, const rt_host *host);
void rti_machine_end(rti_machine *m);

// Pushes the threads at the start of the grammar.
void rti_machine_start(rti_machine *m);

// Steps threads [from, to) over a byte; what comes out is pushed behind them. Returns how many.
uint32_t rti_machine_step(rti_machine *m, uint32_t from, uint32_t to, uint8_t byte);

// A string thread's closing quote: pushes what follows. `thread` is at the boundary of a character.
void rti_machine_close_string(rti_machine *m, const rti_thread *thread);

// Frames made after a mark may be forgotten again.
typedef struct rti_machine_mark {
    uint32_t frames, seen, parents;
} rti_machine_mark;
rti_machine_mark rti_machine_here(const rti_machine *m);
void rti_machine_forget(rti_machine *m, rti_machine_mark mark);

// Lets the threads from `first` on fall together where they may.
void rti_threads_merge(rti_machine *m, uint32_t first);

// Adds the bytes that a thread can take, and perhaps others.
void rti_thread_bytes(const rti_machine *m, const rti_thread *thread, uint64_t bytes[4]);

bool rti_thread_may_end(rti_machine *m, const rti_thread *thread);

// The next state of a string's automaton, built if need be; RTI_LEXER_DEAD after a failure.
uint32_t rti_machine_next(rti_machine *m, rti_lexer *lexer, uint32_t state, uint32_t code_class);
uint32_t rti_machine_few(rti_machine *m, rti_lexer *lexer, uint32_t state);
uint32_t rti_machine_distance(rti_machine *m, rti_lexer *lexer, uint32_t state);

// Runs `work` under the grammar's lock with a way out; a failure is kept in m->error.
void rti_machine_locked(rti_machine *m, void (*work)(rt_grammar *g, void *user), void *user);

// Threads and frames are hashed by the million: five words at once, not one after another.
static inline uint32_t rti_hash_five_words(const void *data)
{
    uint64_t words[5];
    memcpy(words, data, sizeof words);
    uint64_t hash = words[0] * 0x9E3779B97F4A7C15ull ^ words[1] * 0xC2B2AE3D27D4EB4Full ^ words[2] * 0x165667B19E3779F9ull;
    hash ^= words[3] * 0xD6E8FEB86659FD93ull ^ words[4] * 0xA0761D6478BD642Full;
    return (uint32_t)(hash >> 32) ^ (uint32_t)(hash >> 13);
}

// strings
bool rti_string_accepts(rti_machine *m, const rti_thread *thread);
// The thread after one whole character; false: dead.
bool rti_string_character(rti_machine *m, rti_thread *thread, uint32_t code);
// Inside a character: the bytes that may come at all. False: between two characters.
bool rti_string_next_bytes(const rti_thread *thread, uint64_t bytes[4]);
// One byte inside a string, not its closing quote.
bool rti_string_byte(rti_machine *m, rti_thread *thread, uint8_t byte);

rti_thread *rti_machine_push(rti_machine *m);

#endif
