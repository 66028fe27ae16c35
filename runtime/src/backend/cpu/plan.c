// backend/cpu/plan.c - how a part is cut into steps and units, and what they read and compute.
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

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

static int32_t matrix_units(const rti_slot *slot, int32_t rows, const rti_packed *m, int32_t width)
{
    return divide_up(m->rows, width) * divide_up(rows, rti_tile_rows(slot, rows, m->columns, width));
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
            add_step(&plan, RTI_STEP_LOGITS, matrix_units(slot, slot->logits_count, &device->weights->output, RTI_TILE_WIDTH));
        }
        break;
    default: break;
    }
    return plan;
}

// Weight bytes and multiply-adds of a matrix over some rows.
static void count_matrix(rt_part *part, const rti_packed *m, int32_t rows)
{
    part->bytes += (uint64_t)m->panels * m->panel_bytes;
    part->operations += (uint64_t)m->rows * (uint64_t)m->columns * (uint64_t)rows;
}

// The whole part's work; a piece has its share by units.
void rti_part_work_cpu(const rti_device *device, int32_t index, rt_part *part)
{
    const rti_slot *slot = &device->slots[index];
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const rti_packed_layer *l = part->layer >= 0 && part->layer < network->layer_count ? &weights->layers[part->layer] : NULL;
    part->rows = part->kind == RT_PART_LOGITS ? slot->logits_count : slot->row_count;
    part->context = 0;
    part->bytes = 0;
    part->operations = 0;
    switch (part->kind) {
    case RT_PART_EMBED: part->bytes = (uint64_t)slot->row_count * weights->embedding.panel_bytes / RTI_PANEL_ROWS; break;
    case RT_PART_QKV:
        count_matrix(part, &l->query, part->rows);
        count_matrix(part, &l->key, part->rows);
        count_matrix(part, &l->value, part->rows);
        break;
    case RT_PART_ATTENTION:
        part->context = (int32_t)RTI_MIN(slot->context, INT32_MAX);
        part->operations = (uint64_t)slot->context * (uint64_t)network->head_count * (uint64_t)network->head_size * 2;
        for (int32_t i = 0; i < slot->group_count; i++) {
            const rti_row *last = &slot->rows[slot->groups[i].begin + slot->groups[i].count - 1];
            uint64_t blocks = (uint64_t)(last->position + RTI_KV_SLOTS - last->first_position) / RTI_KV_SLOTS;
            part->bytes += blocks * 2 * (uint64_t)network->kv_head_count * device->kv_value_bytes;
        }
        break;
    case RT_PART_ATTENTION_OUT: count_matrix(part, &l->attention_output, part->rows); break;
    case RT_PART_FEED_FORWARD_UP:
        if (l->gate.data) {
            count_matrix(part, &l->gate, part->rows);
        }
        count_matrix(part, &l->up, part->rows);
        break;
    case RT_PART_FEED_FORWARD_DOWN: count_matrix(part, &l->down, part->rows); break;
    case RT_PART_LOGITS: count_matrix(part, &weights->output, part->rows); break;
    default: break;
    }
    if (part->unit_count > 0) {
        uint64_t share = (uint64_t)(part->unit_end - part->unit_begin), all = (uint64_t)part->unit_count;
        part->bytes = part->bytes / all * share + part->bytes % all * share / all;
        part->operations = part->operations / all * share + part->operations % all * share / all;
    }
}
