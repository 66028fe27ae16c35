// budget/cost.h - what pieces of work will take: predicted from their bytes and operations, corrected by what they took.
//
// Pure arithmetic on measurements that the caller brings: no clock in here, so tests bring their own.
// SPDX-License-Identifier: MIT
#ifndef RPI_COST_H
#define RPI_COST_H

#include "common/common.h"
#include "rt/context.h"

// Work beside slices that a frame must have room for as well. Each has its own unit.
typedef enum rpi_chore {
    RPI_CHORE_NONE = 0,
    RPI_CHORE_OFFER,   // asking the game for one turn: tools
    RPI_CHORE_COMPILE, // a step of a schema's compilation: cut by its own budget
    RPI_CHORE_COMPOSE, // a prompt: kilobytes of text written
    RPI_CHORE_ENCODE,  // kilobytes of it encoded
    RPI_CHORE_PREPARE, // candidates of a choice: kilobytes of text encoded
    RPI_CHORE_ATTACH,  // a sequence made or forked
    RPI_CHORE_BEGIN,   // a pass: rows
    RPI_CHORE_SAMPLE,  // a row of logits to a token, text and events
    RPI_CHORE_SCORE,   // a row of logits to a normaliser
    RPI_CHORE_COMMIT,  // a pass ended
    RPI_CHORE_MASK,    // a mask of allowed tokens
    RPI_CHORE_CALL,    // the game's function
    RPI_CHORE_STEP,    // moves from one stage to the next
    RPI_CHORE_SLICE,   // what a slice takes beside its parts
    RPI_CHORE_COUNT
} rpi_chore;

// Rows are told apart one by one up to 64, contexts (attention only) by half octaves, pieces' sizes by octaves. Layers by
// where their weights lie: with few rows (the first class) memory is what counts.
enum { RPI_COST_ROWS = 104, RPI_COST_CONTEXTS = 16, RPI_COST_SIZES = 16, RPI_COST_LAYERS = 128, RPI_COST_CLASSES = 2 };

// Measured to expected, of one kind of part.
typedef struct rpi_cost_cell {
    float scale;  // smoothed
    float spread; // mean absolute deviation of a measurement from it, as a share
    uint32_t samples;
    uint16_t outliers; // in a row
} rpi_cost_cell;

// The machine's own speed just now, beside what the cells know: others on the same memory, a clock that falls. Measured to expected
// of the last pieces of a class, each with what it was expected to take.
enum { RPI_COST_RECENT = 8 };
typedef struct rpi_cost_pace {
    float factor; // that expectations are multiplied by
    float ratios[RPI_COST_RECENT], expected_ns[RPI_COST_RECENT];
    float noted_ns; // expected of those that the factor has not followed yet
    uint32_t count; // of pieces, up to twice as many as are kept
} rpi_cost_pace;

// By how much more than expected so many of a hundred pieces stay below: a quantile, learned a step at a time.
typedef struct rpi_cost_slack {
    float share;
    uint32_t samples;
} rpi_cost_slack;

typedef struct rpi_chore_cell {
    double fixed_ns, unit_ns;
    rpi_cost_slack slack;
    uint32_t samples;
    uint16_t outliers;
} rpi_chore_cell;

typedef struct rpi_cost_table {
    rpi_cost_cell cells[RT_PART_KIND_COUNT][RPI_COST_ROWS];
    rpi_cost_cell attention[RPI_COST_ROWS][RPI_COST_CONTEXTS];
    rpi_cost_cell kinds[RT_PART_KIND_COUNT]; // over all cells of a kind: the prior of a cell that has not been seen
    rpi_cost_cell all;
    float layers[RPI_COST_CLASSES][RT_PART_KIND_COUNT][RPI_COST_LAYERS]; // of a layer to its cell, where matrices are read
    rpi_cost_pace paces[RPI_COST_CLASSES];
    rpi_cost_slack slices[RPI_COST_SIZES]; // by what they were expected to take
    rpi_chore_cell chores[RPI_CHORE_COUNT];
    float sureness; // share of pieces that must stay below their planned cost
} rpi_cost_table;

// `margin`: how sure a plan must be, in standard deviations.
void rpi_cost_init(rpi_cost_table *table, float margin);

// Expected nanoseconds of a piece.
double rpi_cost_expect(const rpi_cost_table *table, const rt_part *part);
uint32_t rpi_cost_callback(void *table, const rt_part *part); // the same as rt_cost_function
// A whole slice that is expected to take so long, with its margin.
double rpi_cost_slice_plan(const rpi_cost_table *table, double expected_ns);
// What the next slice may be expected to take where `left_ns` is left of the budget. `is_last`: nothing can follow it there, so
// it takes all that it surely can.
double rpi_cost_slice_budget(const rpi_cost_table *table, double left_ns, bool is_last);

// Corrects the table by part->measured_ns (0: not measured, ignored).
void rpi_cost_learn(rpi_cost_table *table, const rt_part *part);
// And the margins by a whole slice.
void rpi_cost_learn_slice(rpi_cost_table *table, double expected_ns, double measured_ns);

double rpi_chore_expect(const rpi_cost_table *table, rpi_chore chore, double amount);
double rpi_chore_plan(const rpi_cost_table *table, rpi_chore chore, double amount);
void rpi_chore_learn(rpi_cost_table *table, rpi_chore chore, double amount, double measured_ns);

int32_t rpi_cost_row_bucket(int32_t rows);
int32_t rpi_cost_context_bucket(const rt_part *part);

#endif
