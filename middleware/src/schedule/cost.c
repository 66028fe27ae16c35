// schedule/cost.c - the cost table.
//
// A piece's base cost comes from what it reads and computes; each cell (kind, rows, context) keeps the ratio between what
// pieces took and their base, as an exponentially weighted mean with its mean deviation (Jacobson's round-trip estimator,
// SIGCOMM 1988, does the same for the same reason: cheap, and it knows its own error). A cell that was never seen borrows
// from its neighbours in rows, then from its kind, then from everything.
// SPDX-License-Identifier: MIT
#include "schedule/cost.h"

#include <math.h>
#include <string.h>

// The base: nanoseconds a byte and a multiply-add on a plain core. Only their proportion matters; the cells learn the rest.
static const double BASE_BYTE_NS = 0.08, BASE_OPERATION_NS = 0.02, BASE_FIXED_NS = 400.0;

static const double GAIN = 1.0 / 16, SPREAD_GAIN = 1.0 / 16, FIRST_SPREAD = 0.25;

// A measurement further off than this says more about the machine (a debugger, a suspended process, a moved clock) than
// about the piece. After so many in a row the world has changed, and the cell follows.
static const double OUTLIER_RATIO = 3.0;
enum { OUTLIERS_TO_BELIEVE = 6, SAMPLES_TO_TRUST = 3 };

void rpi_cost_init(rpi_cost_table *table, float margin)
{
    // Nanoseconds before anything was measured; generous, because the first frames must not be late either.
    static const struct { double fixed, unit; } first[RPI_CHORE_COUNT] = {
        [RPI_CHORE_OFFER] = { 5e3, 0 },      [RPI_CHORE_COMPILE] = { 5e3, 0 },   [RPI_CHORE_COMPOSE] = { 1e4, 1e5 },
        [RPI_CHORE_ATTACH] = { 1e4, 0 },     [RPI_CHORE_BEGIN] = { 5e3, 200 },   [RPI_CHORE_SAMPLE] = { 2e5, 0 },
        [RPI_CHORE_SCORE] = { 2e5, 0 },      [RPI_CHORE_COMMIT] = { 5e3, 50 },   [RPI_CHORE_MASK] = { 5e4, 0 },
        [RPI_CHORE_CALL] = { 5e4, 0 },       [RPI_CHORE_STEP] = { 5e3, 0 },      [RPI_CHORE_SLICE] = { 2e3, 0 },
    };
    memset(table, 0, sizeof *table);
    table->margin = margin;
    table->all = (rpi_cost_cell){ .scale = 1.0f, .spread = (float)FIRST_SPREAD };
    for (int i = 0; i < RPI_CHORE_COUNT; i++)
        table->chores[i] = (rpi_chore_cell){ first[i].fixed, first[i].unit, FIRST_SPREAD, 0, 0 };
}

// Every count up to 16, then steps of an eighth octave or so: matrix kernels jump with each tile of rows.
int32_t rpi_cost_row_bucket(int32_t rows)
{
    if (rows <= 16)
        return RPI_MAX(rows, 1) - 1;
    if (rows <= 64)
        return 16 + (rows - 17) / 8; // 16 .. 21
    if (rows <= 256)
        return 22 + (rows - 65) / 24; // 22 .. 29
    return RPI_MIN(30 + (rows - 257) / 32, RPI_COST_ROWS - 1);
}

// Attention is the only part whose cost depends on it: positions attended to by the average row, in half octaves from 16.
int32_t rpi_cost_context_bucket(const rt_part *part)
{
    if (part->kind != RT_PART_ATTENTION || part->context <= 0 || part->rows <= 0)
        return 0;
    double mean = (double)part->context / part->rows;
    if (mean < 16)
        return 0;
    return RPI_MIN((int32_t)(2.0 * log2(mean / 16.0)), RPI_COST_CONTEXTS - 1);
}

static double base_cost(const rt_part *part)
{
    return BASE_FIXED_NS + BASE_BYTE_NS * (double)part->bytes + BASE_OPERATION_NS * (double)part->operations;
}

// The cell to believe for a piece: its own, or the nearest that has seen enough.
static const rpi_cost_cell *find_cell(const rpi_cost_table *table, const rt_part *part)
{
    int32_t rows = rpi_cost_row_bucket(part->rows), context = rpi_cost_context_bucket(part);
    const rpi_cost_cell (*cells)[RPI_COST_CONTEXTS] = table->cells[part->kind];
    if (cells[rows][context].samples >= SAMPLES_TO_TRUST)
        return &cells[rows][context];
    for (int32_t distance = 1; distance < RPI_COST_ROWS / 4; distance++) {
        for (int32_t side = -1; side <= 1; side += 2) {
            int32_t near_rows = rows + side * distance, near_context = context + side * distance;
            if (near_context >= 0 && near_context < RPI_COST_CONTEXTS &&
                cells[rows][near_context].samples >= SAMPLES_TO_TRUST)
                return &cells[rows][near_context];
            if (near_rows >= 0 && near_rows < RPI_COST_ROWS && cells[near_rows][context].samples >= SAMPLES_TO_TRUST)
                return &cells[near_rows][context];
        }
    }
    if (table->kinds[part->kind].samples >= SAMPLES_TO_TRUST)
        return &table->kinds[part->kind];
    return &table->all;
}

double rpi_cost_expect(const rpi_cost_table *table, const rt_part *part)
{
    return base_cost(part) * find_cell(table, part)->scale;
}

double rpi_cost_plan(const rpi_cost_table *table, const rt_part *part)
{
    const rpi_cost_cell *cell = find_cell(table, part);
    // The mean absolute deviation of a normal variable is 0.8 of its standard deviation.
    return base_cost(part) * cell->scale * (1.0 + RPI_MIN(table->margin * 1.25 * cell->spread, 1.0));
}

uint32_t rpi_cost_callback(void *table, const rt_part *part)
{
    double cost = rpi_cost_plan(table, part);
    return cost < 4e9 ? (uint32_t)cost : UINT32_MAX;
}

static void learn_cell(rpi_cost_cell *cell, double ratio, double start)
{
    if (cell->samples == 0) {
        cell->scale = (float)start;
        cell->spread = (float)FIRST_SPREAD;
    }
    double off = ratio / cell->scale;
    // A fresh cell knows nothing yet, so nothing is out of line for it.
    bool is_outlier = cell->samples >= SAMPLES_TO_TRUST && (off > OUTLIER_RATIO || off < 1.0 / OUTLIER_RATIO);
    if (is_outlier && ++cell->outliers < OUTLIERS_TO_BELIEVE)
        return;
    if (is_outlier)
        cell->samples = 0;
    cell->outliers = 0;
    double gain = RPI_MAX(GAIN, 1.0 / (cell->samples + 1.0));
    double error = cell->samples == 0 ? FIRST_SPREAD : fabs(off - 1.0);
    cell->spread += (float)((RPI_MIN(error, 1.0) - cell->spread) * RPI_MAX(SPREAD_GAIN, 0.5 / (cell->samples + 1.0)));
    cell->scale += (float)((ratio - cell->scale) * gain);
    cell->samples = RPI_MIN(cell->samples + 1, 1u << 30);
}

void rpi_cost_learn(rpi_cost_table *table, const rt_part *part)
{
    if (part->measured_ns == 0 || (unsigned)part->kind >= RT_PART_KIND_COUNT)
        return;
    double ratio = part->measured_ns / base_cost(part);
    double start = find_cell(table, part)->scale;
    rpi_cost_cell *cell = &table->cells[part->kind][rpi_cost_row_bucket(part->rows)][rpi_cost_context_bucket(part)];
    learn_cell(cell, ratio, start);
    learn_cell(&table->kinds[part->kind], ratio, table->all.scale);
    learn_cell(&table->all, ratio, 1.0);
}

double rpi_chore_expect(const rpi_cost_table *table, rpi_chore chore, double amount)
{
    const rpi_chore_cell *cell = &table->chores[chore];
    return cell->fixed_ns + cell->unit_ns * amount;
}

double rpi_chore_plan(const rpi_cost_table *table, rpi_chore chore, double amount)
{
    const rpi_chore_cell *cell = &table->chores[chore];
    return rpi_chore_expect(table, chore, amount) * (1.0 + RPI_MIN(table->margin * 1.25 * cell->spread, 3.0));
}

void rpi_chore_learn(rpi_cost_table *table, rpi_chore chore, double amount, double measured_ns)
{
    rpi_chore_cell *cell = &table->chores[chore];
    double expected = RPI_MAX(rpi_chore_expect(table, chore, amount), 1.0);
    double off = measured_ns / expected;
    bool is_outlier = cell->samples >= SAMPLES_TO_TRUST && off > 4 * OUTLIER_RATIO && measured_ns > 1e5;
    if (is_outlier && ++cell->outliers < OUTLIERS_TO_BELIEVE)
        return;
    cell->outliers = 0;
    // Both terms move in proportion: which of them was wrong shows over pieces of different sizes.
    double gain = RPI_MAX(GAIN, 1.0 / (cell->samples + 1.0));
    double factor = 1.0 + (off - 1.0) * gain;
    cell->fixed_ns *= factor;
    cell->unit_ns *= factor;
    cell->spread += (RPI_MIN(fabs(off - 1.0), 2.0) - cell->spread) * SPREAD_GAIN;
    cell->samples = RPI_MIN(cell->samples + 1, 1u << 30);
}
