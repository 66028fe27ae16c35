// call/spent.h - which words of the line are explained already: each word explains one argument.
//
// What earlier calls had of a line also shows how its list is built: "Tilda to the gate, Brom to the mill". Words that stand
// as those of the same parameter stood, after the same words and before the same, are what the next call wants (parallel
// structure of conjuncts: Ficler, Goldberg, *A neural network for coordination boundary prediction*, 2016, arXiv:1610.03946).
// SPDX-License-Identifier: MIT
#ifndef RPI_SPENT_H
#define RPI_SPENT_H

#include "call/argue.h"

enum { RPI_NUMBER_BYTES = 32, RPI_LINE_BYTES = 1024, RPI_MOST_SPANS = 48 };

// Words of the line that an argument has.
typedef struct rpi_span {
    size_t begin, end;
    rp_text key;             // of the parameter, as JSON
    bool is_same_tool;       // as the one that is called now
    bool is_current;         // of the call that is written now
    bool is_number, is_new;  // new: nothing of it was taken before
} rpi_span;

typedef struct rpi_spent {
    rp_text line;
    rp_text key;                  // of the parameter that is written now
    int8_t bytes[RPI_LINE_BYTES]; // how each stands, see rpi_standing
    rpi_span spans[RPI_MOST_SPANS];
    int32_t span_count;
    size_t last; // where the last words that the same parameter had end; 0: it had none
} rpi_spent;

// Spends what the calls before have, then what the arguments of this one have so far.
void rpi_spent_begin(rpi_spent *spent, const rpi_source *source);

// How words stand: the best that a byte of them does. No better than FREE.
rpi_standing rpi_spent_standing(const rpi_spent *spent, size_t at, size_t size);

// What free words are to the parameter that is written now: PARALLEL, FREE, or SHARED where they stand as another's.
// `end`: where they end, or 0 where that is not known.
rpi_standing rpi_spent_parallel(const rpi_spent *spent, size_t begin, size_t end, bool is_number);

// The line with the words that the call newly explains in the place of those that the same parameters had in the call before,
// and those in theirs. *found: of the call's strings and numbers, how many the line has for it alone; *exchanged: how many of
// these had a partner. False: out of memory.
bool rpi_spent_exchange(const rpi_source *source, const rt_host *host, rpi_buffer *text, int32_t *found, int32_t *exchanged);

// ---------------------------------------------------------------------------------------------------------------------
// The line
// ---------------------------------------------------------------------------------------------------------------------

bool rpi_line_is_letter(uint32_t code);
// Whether no word reaches across `at`. Scripts that write no spaces have a boundary at every character.
bool rpi_line_is_boundary(rp_text line, size_t at);
// Whether the words stand there, in whatever case.
bool rpi_line_has(rp_text line, size_t at, rp_text words);
// A number as JSON writes it: the commas between groups of three digits are left out. The end of it in the line.
size_t rpi_line_number(rp_text line, size_t at, char number[RPI_NUMBER_BYTES], size_t *size);

#endif
