// backend/cpu/plan.c - how a part is cut into steps and units, and what they read and compute.
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <string.h>

static int32_t divide_up(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

int32_t rti_tile_rows(const rti_slot *slot, int32_t rows, int32_t columns, int32_t width)
{
    (void)slot;
    int32_t tile = RTI_TILE_ROWS;
    // At most some 4 million multiply-adds a unit: 50 to 100 microseconds.
    while (tile > 8 && (int64_t)tile * columns * width > 4 << 20) {
        tile /= 2;
    }
    return RTI_MIN(tile, RTI_MAX(rows, 1));
}

// Half of the output matrix and more is read in order: that is no slower, and no list is made.
void rti_panels_choose(const rti_device *device, rti_slot *slot)
{
    const int32_t all = device->weights->output.panels, words = divide_up(device->weights->network->vocab_size, 32);
    int32_t marked = 0, count = 0;
    slot->panel_count = 0;
    memset(slot->panels, 0, (size_t)all * sizeof *slot->panels);
    for (int32_t i = 0; i < slot->logits_count; i++) {
        const uint32_t *mask = slot->rows[slot->logits_source[i]].mask;
        for (int32_t w = 0; mask && w < words; w++) {
            for (int32_t half = 0; half < 2; half++) {
                if (mask[w] >> (16 * half) & 0xffff && !slot->panels[2 * w + half]) {
                    slot->panels[2 * w + half] = 1;
                    marked++;
                }
            }
        }
        if (!mask || marked > all / 2) {
            return;
        }
    }
    for (int32_t p = 0; p < all; p++) {
        if (slot->panels[p]) {
            slot->panels[count++] = p;
        }
    }
    slot->panel_count = count;
}

static int32_t matrix_units(const rti_slot *slot, int32_t rows, const rti_packed *m, int32_t width)
{
    return divide_up(m->rows, width) * divide_up(rows, rti_tile_rows(slot, rows, m->columns, width));
}

// Units of the output matrix: panels in order, or those of the list.
static int32_t logits_units(const rti_slot *slot, const rti_packed *m)
{
    if (slot->panel_count == 0) {
        return matrix_units(slot, slot->logits_count, m, RTI_TILE_WIDTH);
    }
    return divide_up(slot->panel_count, RTI_TILE_WIDTH / RTI_PANEL_ROWS) *
           divide_up(slot->logits_count, rti_tile_rows(slot, slot->logits_count, m->columns, RTI_TILE_WIDTH));
}

static void add_step(rti_plan *plan, rti_step step, int32_t units)
{
    plan->steps[plan->step_count] = step;
    plan->units[plan->step_count++] = units;
}

rti_plan rti_plan_part(const rti_device *device, const rti_slot *slot, rt_part_kind kind, int32_t layer)
{
    const rti_network *network = device->weights->network;
    const rti_packed_layer *l = layer >= 0 && layer < network->layer_count ? &device->weights->layers[layer] : NULL;
    const int32_t rows = slot->row_count, row_units = divide_up(rows, 8), half = RTI_TILE_WIDTH / 2;
    rti_plan plan = {0};
    switch (kind) {
    case RT_PART_EMBED: add_step(&plan, RTI_STEP_EMBED, row_units); break;
    case RT_PART_QKV: {
        int32_t heads = network->head_count + 2 * network->kv_head_count;
        add_step(&plan, RTI_STEP_NORM, row_units);
        add_step(&plan, RTI_STEP_QKV, heads * divide_up(rows, rti_tile_rows(slot, rows, l->query.columns, network->head_size)));
        break;
    }
    case RT_PART_ATTENTION: {
        int32_t chunks, units = rti_attention_units(device, slot, layer, &chunks);
        add_step(&plan, RTI_STEP_ATTENTION, units * chunks);
        plan.attention_units = slot->split ? units * chunks : units;
        add_step(&plan, RTI_STEP_ATTENDED, row_units);
        break;
    }
    case RT_PART_ATTENTION_OUT:
        add_step(&plan, RTI_STEP_PROJECT, matrix_units(slot, rows, &l->attention_output, half));
        if (l->post_attention_norm) {
            add_step(&plan, RTI_STEP_POST_NORM, row_units);
        }
        break;
    case RT_PART_FEED_FORWARD_UP:
        add_step(&plan, RTI_STEP_NORM, row_units);
        add_step(&plan, RTI_STEP_FEED_FORWARD_UP, matrix_units(slot, rows, &l->up, half));
        break;
    case RT_PART_FEED_FORWARD_DOWN:
        add_step(&plan, RTI_STEP_PROJECT, matrix_units(slot, rows, &l->down, half));
        if (l->post_feed_forward_norm) {
            add_step(&plan, RTI_STEP_POST_NORM, row_units);
        }
        break;
    case RT_PART_LOGITS:
        if (slot->logits_count > 0) {
            add_step(&plan, RTI_STEP_NORM, divide_up(slot->logits_count, 8));
            add_step(&plan, RTI_STEP_LOGITS, logits_units(slot, &device->weights->output));
        }
        break;
    default: break;
    }
    return plan;
}

// What norm and rounding, or dividing and rounding, of one value take in multiply-adds of a matrix on the same kernels.
static uint64_t row_operations(const rti_device *device)
{
    switch (device->weights->kernels->isa) {
    case RT_ISA_AVX2: return 64;
    case RT_ISA_AVX512:
    case RT_ISA_AMX: return 96;
    default: return 4;
    }
}

// Rows of activations as a matrix's kernels take them: eights, then four, two or one, which cost more a row. In rows of eights.
static uint64_t rows_taken(const rti_device *device, int32_t rows)
{
    static const uint8_t left[8] = {0, 2, 3, 5, 5, 7, 8, 9};
    bool one_by_one = device->weights->kernels->isa == RT_ISA_SCALAR;
    return (uint64_t)(one_by_one ? rows : rows / 8 * 8 + left[rows % 8]);
}

// Units [begin, end) of a matrix over some rows: its output rows `width` at a time, and for each of them the tiles of
// activation rows. The last tile may be small, and only the first one fetches the weights.
static void count_matrix(const rti_device *device, const rti_slot *slot, rt_part *part, const rti_packed *m, int32_t panels,
                         int32_t width, int32_t begin, int32_t end)
{
    const int32_t tile_rows = rti_tile_rows(slot, part->rows, m->columns, width), tiles = divide_up(part->rows, tile_rows);
    const uint64_t bytes = (uint64_t)(width / RTI_PANEL_ROWS) * m->panel_bytes, outputs = (uint64_t)width * (uint64_t)m->columns;
    end = RTI_MIN(end, divide_up(panels * RTI_PANEL_ROWS, width) * tiles);
    for (int32_t t = 0; t < tiles && begin < end; t++) {
        // Units t, t + tiles, t + 2 * tiles ...
        uint64_t units = (uint64_t)(divide_up(RTI_MAX(end - t, 0), tiles) - divide_up(RTI_MAX(begin - t, 0), tiles));
        part->operations += units * outputs * rows_taken(device, RTI_MIN(tile_rows, part->rows - t * tile_rows));
        part->bytes += t == 0 ? units * bytes : 0;
    }
}

// The heads of three matrices, one after another.
static void count_heads(const rti_device *device, const rti_slot *slot, rt_part *part, const rti_packed_layer *l, int32_t begin,
                        int32_t end)
{
    const rti_network *network = device->weights->network;
    const int32_t size = network->head_size, tiles = divide_up(part->rows, rti_tile_rows(slot, part->rows, l->query.columns, size));
    const rti_packed *const matrices[3] = {&l->query, &l->key, &l->value};
    for (int32_t i = 0, first = 0; i < 3; i++) {
        int32_t units = (i == 0 ? network->head_count : network->kv_head_count) * tiles;
        count_matrix(device, slot, part, matrices[i], matrices[i]->panels, size, RTI_MAX(begin - first, 0),
                     RTI_MIN(end - first, units));
        first += units;
    }
}

// Units [begin, end) of a step.
static void count_step(const rti_device *device, const rti_slot *slot, rt_part *part, rti_step step, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const rti_packed_layer *l = part->layer >= 0 && part->layer < network->layer_count ? &weights->layers[part->layer] : NULL;
    // Those that go row by row take eight at a time.
    const uint64_t rows = (uint64_t)(RTI_MIN(end * 8, part->rows) - begin * 8), row = row_operations(device);
    const int32_t half = RTI_TILE_WIDTH / 2;
    switch (step) {
    case RTI_STEP_EMBED:
        part->bytes += rows * weights->embedding.panel_bytes / RTI_PANEL_ROWS;
        part->operations += rows * ((uint64_t)device->hidden + (uint64_t)network->head_size * 8) * row; // and its position's angles
        break;
    case RTI_STEP_NORM:
    case RTI_STEP_POST_NORM:
        part->operations += rows * (uint64_t)device->hidden * row;
        if (part->kind == RT_PART_LOGITS && slot->panel_count > 0) {
            part->bytes += rows * (uint64_t)device->vocabulary * sizeof(float); // what is not allowed is filled in
        }
        break;
    case RTI_STEP_QKV: count_heads(device, slot, part, l, begin, end); break;
    case RTI_STEP_ATTENTION: rti_attention_work(device, slot, part->layer, begin, end, part); break;
    case RTI_STEP_ATTENDED: part->operations += rows * (uint64_t)device->attention_width * 64; break; // attention's are slower
    case RTI_STEP_PROJECT: {
        const rti_packed *m = part->kind == RT_PART_FEED_FORWARD_DOWN ? &l->down : &l->attention_output;
        count_matrix(device, slot, part, m, m->panels, half, begin, end);
        break;
    }
    case RTI_STEP_FEED_FORWARD_UP:
        if (l->gate.data) {
            count_matrix(device, slot, part, &l->gate, l->gate.panels, half, begin, end);
        }
        count_matrix(device, slot, part, &l->up, l->up.panels, half, begin, end);
        break;
    case RTI_STEP_LOGITS:
        count_matrix(device, slot, part, &weights->output, slot->panel_count > 0 ? slot->panel_count : weights->output.panels,
                     RTI_TILE_WIDTH, begin, end);
        break;
    }
}

// The work of the part's units, step by step: those of a norm cost something else than those of a matrix.
void rti_part_work_cpu(const rti_device *device, int32_t index, rt_part *part)
{
    const rti_slot *slot = &device->slots[index];
    rti_plan plan = rti_plan_part(device, slot, part->kind, part->layer);
    part->rows = part->kind == RT_PART_LOGITS ? slot->logits_count : slot->row_count;
    part->context = part->kind == RT_PART_ATTENTION ? (int32_t)RTI_MIN(slot->context, INT32_MAX) : 0;
    part->bytes = 0;
    part->operations = 0;
    int32_t first = 0;
    for (int32_t s = 0; s < plan.step_count; first += plan.units[s++]) {
        int32_t begin = RTI_MAX(part->unit_begin - first, 0), end = RTI_MIN(part->unit_end - first, plan.units[s]);
        if (begin < end) {
            count_step(device, slot, part, plan.steps[s], begin, end);
        }
    }
}
