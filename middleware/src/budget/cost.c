// budget/cost.c - the cost table.
//
// A piece's base cost comes from what it reads and computes; each cell (kind, rows, context) keeps the ratio between what
// pieces took and their base, as an exponentially weighted mean with its mean deviation (Jacobson's round-trip estimator,
// SIGCOMM 1988, does the same for the same reason: cheap, and it knows its own error), with far measurements pulled in
// (Huber 1964). A cell that was never seen borrows from its neighbours in rows, then from its kind, then from everything.
//
// The same matrix costs some percent more in one layer than in another, as long as the process lives: its pages lie elsewhere
// (a quarter of the layers 8 to 12 % more in a virtual machine whose host backs them with small pages). Each layer has a
// factor of its own for that.
//
// A machine changes its speed for some milliseconds at a time, by half and more where others use the same memory, and every kind of
// piece at once; its cells would learn that one by one, too late. So the recent pieces together have one factor more: the
// weighted median of what the last eight took over what their cells say, which an interrupt in one of them does not move.
//
// Margins are quantiles of what slices took over what was expected, by size, followed by steps of fixed length (Robbins and
// Monro 1951, as for quantile regression): no shape of the noise is assumed.
// SPDX-License-Identifier: MIT
#include "budget/cost.h"

#include <math.h>
#include <string.h>

// The base: nanoseconds a part, a unit, a byte and a multiply-add on a plain core. Only their proportion matters, and that
// mostly for attention, whose units differ: there it fits what was measured to some percent. The cells learn the rest.
static const double BASE_FIXED_NS = 800.0, BASE_UNIT_NS = 350.0, BASE_BYTE_NS = 0.068, BASE_OPERATION_NS = 0.022;

static const double LAYER_GAIN = 1.0 / 32, LAYER_LEAST = 0.5, LAYER_MOST = 2.0;
enum { FEW_ROWS = 8 };

// A piece that takes so long moves the pace halfway to the median.
static const double PACE_NS = 100e3, PACE_MOST = 2.0;

static const double GAIN = 1.0 / 24, SPREAD_GAIN = 1.0 / 16, FIRST_SPREAD = 0.25;

// A measurement further off than this says more about the machine (a debugger, a suspended process, a moved clock) than
// about the piece. After so many in a row the world has changed, and the cell follows.
static const double OUTLIER_RATIO = 3.0;
enum { OUTLIERS_TO_BELIEVE = 6, SAMPLES_TO_TRUST = 3, LAYER_SAMPLES = 60 };

// Deviations beyond so many times the usual one count as that many.
static const double PULLED_IN = 3.0;

// Slices shrink with what is left, so that whatever delays one of them (a program that wants the processor, an interrupt) is
// made up for by the next, and only the last ones have to fit with a margin.
static const double LAST_ROOM_NS = 120e3, SHORT_SLICE_NS = 250e3, SHARE_OF_ROOM = 0.25, MOST_OF_ROOM = 2.0 / 3;

static const double SLACK_STEP = 0.03, FIRST_SLACK = 0.5, MOST_SLACK = 2.0;
static const float MOST_SURE = 0.99f;

void rpi_cost_init(rpi_cost_table *table, float margin)
{
    // Nanoseconds before anything was measured; generous, because the first frames must not be late either.
    static const struct { double fixed, unit; } first[RPI_CHORE_COUNT] = {
        [RPI_CHORE_OFFER] = { 5e3, 0 },      [RPI_CHORE_COMPILE] = { 5e3, 0 },   [RPI_CHORE_COMPOSE] = { 1e4, 1e4 },
        [RPI_CHORE_ENCODE] = { 5e3, 6e4 },   [RPI_CHORE_PREPARE] = { 2e4, 1e5 },
        [RPI_CHORE_ATTACH] = { 1e4, 0 },     [RPI_CHORE_BEGIN] = { 5e3, 200 },   [RPI_CHORE_SAMPLE] = { 1e5, 0 },
        [RPI_CHORE_SCORE] = { 2e5, 0 },      [RPI_CHORE_COMMIT] = { 5e3, 50 },   [RPI_CHORE_MASK] = { 5e4, 0 },
        [RPI_CHORE_CALL] = { 5e4, 0 },       [RPI_CHORE_STEP] = { 5e3, 0 },      [RPI_CHORE_SLICE] = { 2e3, 0 },
    };
    memset(table, 0, sizeof *table);
    table->sureness = RPI_MIN((float)(0.5 + 0.5 * erf((double)margin / sqrt(2.0))), MOST_SURE);
    table->all = (rpi_cost_cell){ .scale = 1.0f, .spread = (float)FIRST_SPREAD };
    for (int i = 0; i < RPI_COST_CLASSES * RT_PART_KIND_COUNT * RPI_COST_LAYERS; i++)
        (&table->layers[0][0][0])[i] = 1.0f;
    for (int i = 0; i < RPI_COST_CLASSES; i++)
        table->paces[i].factor = 1.0f;
    for (int i = 0; i < RPI_COST_SIZES; i++)
        table->slices[i].share = (float)FIRST_SLACK;
    for (int i = 0; i < RPI_CHORE_COUNT; i++)
        table->chores[i] = (rpi_chore_cell){ .fixed_ns = first[i].fixed, .unit_ns = first[i].unit,
                                             .slack = { .share = (float)FIRST_SLACK } };
}

// Kernels take rows in eights and what is left one by one, so every count has its own cost; with many rows that fades.
int32_t rpi_cost_row_bucket(int32_t rows)
{
    if (rows <= 64)
        return RPI_MAX(rows, 1) - 1;
    if (rows <= 256)
        return 64 + (rows - 65) / 8; // 64 .. 87
    return RPI_MIN(88 + (rows - 257) / 16, RPI_COST_ROWS - 1);
}

// Positions attended to by the average row, in half octaves from 16.
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
    return BASE_FIXED_NS + BASE_UNIT_NS * (part->unit_end - part->unit_begin) + BASE_BYTE_NS * (double)part->bytes +
           BASE_OPERATION_NS * (double)part->operations;
}

static const rpi_cost_cell *cell_at(const rpi_cost_table *table, rt_part_kind kind, int32_t rows, int32_t context)
{
    if (rows < 0 || rows >= RPI_COST_ROWS || context < 0 || context >= RPI_COST_CONTEXTS)
        return NULL;
    return kind == RT_PART_ATTENTION ? &table->attention[rows][context] : &table->cells[kind][rows];
}

static bool is_trusted(const rpi_cost_cell *cell)
{
    return cell != NULL && cell->samples >= SAMPLES_TO_TRUST;
}

// The cell to believe for a piece: its own, or the nearest that has seen enough.
static const rpi_cost_cell *find_cell(const rpi_cost_table *table, const rt_part *part)
{
    int32_t rows = rpi_cost_row_bucket(part->rows), context = rpi_cost_context_bucket(part);
    const rpi_cost_cell *own = cell_at(table, part->kind, rows, context);
    if (is_trusted(own))
        return own;
    for (int32_t distance = 1; distance < RPI_COST_ROWS / 4; distance++) {
        for (int32_t side = -1; side <= 1; side += 2) {
            const rpi_cost_cell *near = part->kind == RT_PART_ATTENTION
                                            ? cell_at(table, part->kind, rows, context + side * distance) : NULL;
            if (is_trusted(near))
                return near;
            near = cell_at(table, part->kind, rows + side * distance, context);
            if (is_trusted(near))
                return near;
        }
    }
    return is_trusted(&table->kinds[part->kind]) ? &table->kinds[part->kind] : &table->all;
}

static int class_of(const rt_part *part)
{
    return part->rows > FEW_ROWS;
}

// The factor of the part's layer; NULL for parts that read no matrix of one.
static const float *layer_of(const rpi_cost_table *table, const rt_part *part)
{
    bool has_matrix = part->kind == RT_PART_QKV || part->kind == RT_PART_ATTENTION_OUT || part->kind == RT_PART_FEED_FORWARD_UP ||
                      part->kind == RT_PART_FEED_FORWARD_DOWN;
    return has_matrix && part->layer >= 0
               ? &table->layers[class_of(part)][part->kind][part->layer % RPI_COST_LAYERS] : NULL;
}

// What the cells say, at the machine's usual speed.
static double usual_cost(const rpi_cost_table *table, const rt_part *part)
{
    const float *layer = layer_of(table, part);
    return base_cost(part) * (double)find_cell(table, part)->scale * (layer != NULL ? (double)*layer : 1.0);
}

double rpi_cost_expect(const rpi_cost_table *table, const rt_part *part)
{
    return usual_cost(table, part) * (double)table->paces[class_of(part)].factor;
}

uint32_t rpi_cost_callback(void *table, const rt_part *part)
{
    double cost = rpi_cost_expect(table, part);
    return cost < 4e9 ? (uint32_t)cost : UINT32_MAX;
}

static void learn_slack(rpi_cost_slack *slack, float sureness, double over)
{
    double step = RPI_MAX(SLACK_STEP, 1.0 / (2.0 + slack->samples));
    double share = slack->share + step * (over > (double)slack->share ? (double)sureness : (double)sureness - 1.0);
    slack->share = (float)RPI_MIN(RPI_MAX(share, 0.0), MOST_SLACK);
    slack->samples = RPI_MIN(slack->samples + 1, 1u << 30);
}

// Slices by octaves from 4 microseconds.
static int32_t size_of(double expected_ns)
{
    int32_t size = expected_ns < 4e3 ? 0 : (int32_t)log2(expected_ns / 4e3);
    return RPI_MIN(size, RPI_COST_SIZES - 1);
}

double rpi_cost_slice_plan(const rpi_cost_table *table, double expected_ns)
{
    return expected_ns * (1.0 + (double)table->slices[size_of(expected_ns)].share);
}

double rpi_cost_slice_budget(const rpi_cost_table *table, double left_ns, bool is_last)
{
    double sure = left_ns / (1.0 + (double)table->slices[size_of(left_ns)].share);
    if (is_last || left_ns <= LAST_ROOM_NS)
        return sure;
    double most = RPI_MIN(RPI_MAX(left_ns * SHARE_OF_ROOM, SHORT_SLICE_NS), left_ns * MOST_OF_ROOM);
    return RPI_MIN(most, sure);
}

// False: it was not believed.
static bool learn_cell(rpi_cost_cell *cell, double ratio, double start)
{
    if (cell->samples == 0) {
        cell->scale = (float)start;
        cell->spread = (float)FIRST_SPREAD;
    }
    double off = ratio / cell->scale;
    // A fresh cell knows nothing yet, so nothing is out of line for it.
    bool is_outlier = cell->samples >= SAMPLES_TO_TRUST && (off > OUTLIER_RATIO || off < 1.0 / OUTLIER_RATIO);
    if (is_outlier && ++cell->outliers < OUTLIERS_TO_BELIEVE)
        return false;
    if (is_outlier)
        cell->samples = 0;
    cell->outliers = 0;
    if (cell->samples >= SAMPLES_TO_TRUST) {
        double most = PULLED_IN * (double)cell->spread + 0.01;
        off = RPI_MIN(RPI_MAX(off, 1.0 - most), 1.0 + most);
    }
    double gain = RPI_MAX(GAIN, 1.0 / (cell->samples + 1.0));
    double error = cell->samples == 0 ? FIRST_SPREAD : fabs(off - 1.0);
    cell->spread += (float)((RPI_MIN(error, 1.0) - cell->spread) * RPI_MAX(SPREAD_GAIN, 0.5 / (cell->samples + 1.0)));
    cell->scale += (float)((off - 1.0) * cell->scale * gain);
    cell->samples = RPI_MIN(cell->samples + 1, 1u << 30);
    return true;
}

// `off`: measured to expected. What is left over once the cell has settled is the layer's.
static void learn_layer(float *layer, const rpi_cost_cell *cell, const rt_part *part, double off)
{
    double most = PULLED_IN * (double)cell->spread + 0.01, factor = (double)*layer;
    double share = part->unit_count > 0 ? (double)(part->unit_end - part->unit_begin) / part->unit_count : 1.0;
    factor *= 1.0 + RPI_MIN(RPI_MAX(off - 1.0, -most), most) * LAYER_GAIN * share;
    *layer = (float)RPI_MIN(RPI_MAX(factor, LAYER_LEAST), LAYER_MOST);
}

static double weighted_median(const float *values, const float *weights, int count)
{
    int order[RPI_COST_RECENT];
    double all = 0, below = 0;
    for (int i = 0; i < count; i++) {
        int at = i;
        for (; at > 0 && values[order[at - 1]] > values[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
        all += (double)weights[i];
    }
    for (int i = 0; i < count; i++) {
        below += (double)weights[order[i]];
        if (2 * below >= all)
            return (double)values[order[i]];
    }
    return 1.0;
}

static void note_pace(rpi_cost_pace *pace, double usual_ns, double measured_ns)
{
    uint32_t at = pace->count % RPI_COST_RECENT;
    pace->ratios[at] = (float)RPI_MIN(RPI_MAX(measured_ns / usual_ns, 1.0 / PACE_MOST), PACE_MOST);
    pace->expected_ns[at] = (float)usual_ns;
    pace->count = pace->count + 1 < 2 * RPI_COST_RECENT ? pace->count + 1 : RPI_COST_RECENT;
    pace->noted_ns += (float)usual_ns;
}

// Once a slice: the pieces that it noted, together.
static void learn_pace(rpi_cost_pace *pace)
{
    if (pace->noted_ns <= 0)
        return;
    int count = (int)RPI_MIN(pace->count, RPI_COST_RECENT);
    double now = weighted_median(pace->ratios, pace->expected_ns, count), noted_ns = (double)pace->noted_ns;
    pace->factor += (float)((now - (double)pace->factor) * noted_ns / (noted_ns + PACE_NS));
    pace->noted_ns = 0;
}

void rpi_cost_learn_slice(rpi_cost_table *table, double expected_ns, double measured_ns)
{
    for (int i = 0; i < RPI_COST_CLASSES; i++)
        learn_pace(&table->paces[i]);
    if (expected_ns > 0 && measured_ns > 0)
        learn_slack(&table->slices[size_of(expected_ns)], table->sureness, measured_ns / expected_ns - 1.0);
}

void rpi_cost_learn(rpi_cost_table *table, const rt_part *part)
{
    if (part->measured_ns == 0 || (unsigned)part->kind >= RT_PART_KIND_COUNT)
        return;
    double start = find_cell(table, part)->scale;
    rpi_cost_cell *cell = (rpi_cost_cell *)cell_at(table, part->kind, rpi_cost_row_bucket(part->rows), rpi_cost_context_bucket(part));
    float *layer = (float *)layer_of(table, part);
    double layer_ns = base_cost(part) * (layer != NULL ? (double)*layer : 1.0), ratio = part->measured_ns / layer_ns;
    bool is_known = cell->samples >= SAMPLES_TO_TRUST, is_believed = learn_cell(cell, ratio, start);
    if (is_believed && is_known)
        note_pace(&table->paces[class_of(part)], layer_ns * start, part->measured_ns);
    if (is_believed && layer != NULL && cell->samples >= LAYER_SAMPLES)
        learn_layer(layer, cell, part, ratio / start);
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
    return rpi_chore_expect(table, chore, amount) * (1.0 + (double)table->chores[chore].slack.share);
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
    learn_slack(&cell->slack, table->sureness, off - 1.0);
    // Both terms move in proportion: which of them was wrong shows over pieces of different sizes.
    double gain = RPI_MAX(GAIN, 1.0 / (cell->samples + 1.0));
    double factor = 1.0 + (RPI_MIN(off, OUTLIER_RATIO) - 1.0) * gain;
    cell->fixed_ns *= factor;
    cell->unit_ns *= factor;
    cell->samples = RPI_MIN(cell->samples + 1, 1u << 30);
}
