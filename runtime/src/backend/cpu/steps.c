// backend/cpu/steps.c - what a unit of each step does.
// SPDX-License-Identifier: MIT
#include "backend/cpu/device.h"

#include <math.h>
#include <string.h>

// A matrix unit: output rows [first, first + width) for activation rows [row, row + count).
typedef struct tile {
    int32_t first, width, row, count;
} tile;

static tile tile_at(int32_t unit, int32_t width, int32_t matrix_rows, int32_t rows, int32_t tile_rows)
{
    int32_t row_tiles = (rows + tile_rows - 1) / tile_rows;
    tile t = {.first = unit / row_tiles * width, .row = unit % row_tiles * tile_rows};
    t.width = RTI_MIN(width, matrix_rows - t.first);
    t.count = RTI_MIN(tile_rows, rows - t.row);
    return t;
}

// out[i * stride + j]: output rows first + j of activation rows row + i, scaled and with bias. Whole panels are written.
static void multiply(const rti_weights *weights, const rti_packed *m, rti_role role, const rti_act *in, tile t, float *out,
                     size_t stride)
{
    const rti_kernels *kernels = weights->kernels;
    for (int32_t j = 0; j < t.width; j += RTI_PANEL_ROWS) {
        int32_t panel = (t.first + j) / RTI_PANEL_ROWS;
        if (rti_packed_is_float(weights, m)) {
            kernels->matrix_float(m, panel, in, t.row, t.count, out + j, stride);
        } else {
            kernels->matrix_fast(m, panel, weights->planes[role], in, t.row, t.count, out + j, stride);
        }
        for (int32_t i = 0; i < t.count && (m->row_scale || m->bias); i++) {
            float *o = out + (size_t)i * stride + j;
            for (int32_t k = 0; k < RTI_PANEL_ROWS; k++) {
                float y = m->row_scale ? o[k] * m->row_scale[t.first + j + k] : o[k];
                o[k] = m->bias ? y + m->bias[t.first + j + k] : y;
            }
        }
    }
}

static float *act_values(const rti_act *act, int32_t row)
{
    return act->values + (size_t)row * act->stride;
}

static void round_row(const rti_weights *weights, rti_role role, const rti_act *act, int32_t row, int32_t begin, int32_t n)
{
    if (weights->precision == RT_PRECISION_FAST) {
        weights->kernels->quantize(act, row, begin, n, weights->planes[role]);
    }
}

static void run_embed(rti_device *device, rti_slot *slot, int32_t begin, int32_t end)
{
    const rti_network *network = device->weights->network;
    for (int32_t r = begin * 8; r < RTI_MIN(end * 8, slot->row_count); r++) {
        const rti_row *row = &slot->rows[r];
        device->weights->kernels->row_decode(&device->weights->embedding, row->token, network->embedding_scale,
                                             slot->x + (size_t)r * (size_t)device->hidden);
        for (int32_t i = 0; i < network->rope_count; i++) {
            rti_rope_table(&network->ropes[i], row->position,
                           slot->rope + ((size_t)i * (size_t)device->def.max_rows + (size_t)r) * (size_t)network->head_size);
        }
    }
}

static void run_norm(rti_device *device, rti_slot *slot, rt_part_kind kind, int32_t layer, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const rti_packed_layer *l = &weights->layers[kind == RT_PART_LOGITS ? 0 : layer];
    const float *weight = kind == RT_PART_LOGITS ? weights->output_norm : kind == RT_PART_QKV ? l->attention_norm : l->feed_forward_norm;
    const float *bias = kind == RT_PART_LOGITS ? weights->output_norm_bias
                        : kind == RT_PART_QKV  ? l->attention_norm_bias
                                               : l->feed_forward_norm_bias;
    const rti_role role = kind == RT_PART_LOGITS ? RTI_ROLE_LOGITS : kind == RT_PART_QKV ? RTI_ROLE_VALUE : RTI_ROLE_UP;
    const int32_t rows = kind == RT_PART_LOGITS ? slot->logits_count : slot->row_count;
    for (int32_t r = begin * 8; r < RTI_MIN(end * 8, rows); r++) {
        int32_t from = kind == RT_PART_LOGITS ? slot->logits_source[r] : r;
        weights->kernels->norm(network->norm, slot->x + (size_t)from * (size_t)device->hidden, weight, bias, network->hidden_size,
                               device->hidden, network->norm_epsilon, act_values(&slot->input, r));
        round_row(weights, role, &slot->input, r, 0, device->hidden);
        if (kind == RT_PART_LOGITS && slot->panel_count > 0) {
            float *logits = slot->logits + (size_t)r * (size_t)device->vocabulary;
            for (int32_t i = 0; i < device->vocabulary; i++) {
                logits[i] = -INFINITY;
            }
        }
    }
}

static void head_finish(rti_device *device, rti_slot *slot, const rti_layer *layer, const float *norm, int32_t r, float *head)
{
    const rti_network *network = device->weights->network;
    const int32_t n = network->head_size;
    if (norm) {
        device->weights->kernels->norm(RTI_NORM_RMS, head, norm, NULL, n, n, network->norm_epsilon, head);
    }
    rti_rope_turn(&network->ropes[layer->rope], slot->rope + ((size_t)layer->rope * (size_t)device->def.max_rows + (size_t)r) * (size_t)n,
                  head);
}

static void run_qkv(rti_device *device, rti_slot *slot, int32_t layer, int32_t thread, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const rti_layer *info = &network->layers[layer];
    const rti_packed_layer *l = &weights->layers[layer];
    const int32_t n = network->head_size, heads = network->head_count, kv_heads = network->kv_head_count;
    const int32_t tile_rows = rti_tile_rows(slot, slot->row_count, l->query.columns, n);
    float *out = device->threads[thread].tile[0];
    for (int32_t unit = begin; unit < end; unit++) {
        tile t = tile_at(unit, n, (heads + 2 * kv_heads) * n, slot->row_count, tile_rows);
        int32_t head = t.first / n, kind = head < heads ? 0 : head < heads + kv_heads ? 1 : 2;
        head -= kind == 0 ? 0 : kind == 1 ? heads : heads + kv_heads;
        t.first = head * n;
        multiply(weights, kind == 0 ? &l->query : kind == 1 ? &l->key : &l->value, kind == 2 ? RTI_ROLE_VALUE : RTI_ROLE_QUERY_KEY,
                 &slot->input, t, out, (size_t)n);
        for (int32_t i = 0; i < t.count; i++) {
            float *row = out + (size_t)i * (size_t)n;
            int32_t r = t.row + i;
            if (kind == 0) {
                head_finish(device, slot, info, l->query_norm, r, row);
                memcpy(slot->query + (size_t)r * (size_t)device->attention_width + (size_t)t.first, row, (size_t)n * sizeof(float));
            } else if (kind == 1) {
                head_finish(device, slot, info, l->key_norm, r, row);
                rti_kv_write_key(device, &slot->rows[r], layer, head, row);
            } else {
                rti_kv_write_value(device, &slot->rows[r], layer, head, row);
            }
        }
    }
}

static void run_attended(rti_device *device, rti_slot *slot, int32_t layer, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const int32_t n = network->head_size, width = device->attention_width;
    for (int32_t r = begin * 8; r < RTI_MIN(end * 8, slot->row_count); r++) {
        float *values = act_values(&slot->input, r);
        if (slot->split) {
            rti_attention_join(device, slot, layer, r);
        }
        memcpy(values, slot->attended + (size_t)r * (size_t)width, (size_t)width * sizeof(float));
        for (int32_t h = 0; h < network->head_count; h++) {
            weights->kernels->scale(values + h * n, n, slot->total[r * network->head_count + h]);
        }
        round_row(weights, RTI_ROLE_ATTENTION_OUT, &slot->input, r, 0, width);
    }
}

static void run_project(rti_device *device, rti_slot *slot, rt_part_kind kind, int32_t layer, int32_t thread, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_packed_layer *l = &weights->layers[layer];
    const bool down = kind == RT_PART_FEED_FORWARD_DOWN;
    const rti_packed *m = down ? &l->down : &l->attention_output;
    const bool post_norm = down ? l->post_feed_forward_norm : l->post_attention_norm;
    const int32_t width = RTI_TILE_WIDTH / 2, tile_rows = rti_tile_rows(slot, slot->row_count, m->columns, width);
    float *out = device->threads[thread].tile[0];
    for (int32_t unit = begin; unit < end; unit++) {
        tile t = tile_at(unit, width, m->rows, slot->row_count, tile_rows);
        multiply(weights, m, down ? RTI_ROLE_DOWN : RTI_ROLE_ATTENTION_OUT, down ? &slot->hidden : &slot->input, t, out, (size_t)width);
        int32_t padded = rti_round_up(t.width, RTI_PANEL_ROWS);
        for (int32_t i = 0; i < t.count; i++) {
            size_t at = (size_t)(t.row + i) * (size_t)device->hidden + (size_t)t.first;
            if (post_norm) {
                memcpy(slot->projected + at, out + i * width, (size_t)padded * sizeof(float));
            } else {
                weights->kernels->add(slot->x + at, out + i * width, padded);
            }
        }
    }
}

static void run_post_norm(rti_device *device, rti_slot *slot, rt_part_kind kind, int32_t layer, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_network *network = weights->network;
    const rti_packed_layer *l = &weights->layers[layer];
    const float *weight = kind == RT_PART_FEED_FORWARD_DOWN ? l->post_feed_forward_norm : l->post_attention_norm;
    for (int32_t r = begin * 8; r < RTI_MIN(end * 8, slot->row_count); r++) {
        size_t at = (size_t)r * (size_t)device->hidden;
        weights->kernels->norm(network->norm, slot->projected + at, weight, NULL, network->hidden_size, device->hidden,
                               network->norm_epsilon, slot->projected + at);
        weights->kernels->add(slot->x + at, slot->projected + at, device->hidden);
    }
}

static void run_up(rti_device *device, rti_slot *slot, int32_t layer, int32_t thread, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_packed_layer *l = &weights->layers[layer];
    const bool gated = weights->network->activation != RTI_ACTIVATION_RELU_SQUARED;
    const int32_t width = RTI_BLOCK_COLUMNS, tile_rows = rti_tile_rows(slot, slot->row_count, l->up.columns, width);
    float *up = device->threads[thread].tile[0], *gate = device->threads[thread].tile[1];
    for (int32_t unit = begin; unit < end; unit++) {
        tile t = tile_at(unit, width, l->up.rows, slot->row_count, tile_rows);
        if (gated) {
            multiply(weights, &l->gate, RTI_ROLE_UP, &slot->input, t, gate, (size_t)width);
        }
        multiply(weights, &l->up, RTI_ROLE_UP, &slot->input, t, up, (size_t)width);
        int32_t padded = rti_round_up(t.width, RTI_PANEL_ROWS);
        for (int32_t i = 0; i < t.count; i++) {
            weights->kernels->activate(weights->network->activation, gate + i * width, up + i * width, padded,
                                       act_values(&slot->hidden, t.row + i) + t.first);
            round_row(weights, RTI_ROLE_DOWN, &slot->hidden, t.row + i, t.first, width);
        }
    }
}

// The panels that masks leave, one by one. The others' logits were set to -INFINITY with the norm.
static void run_listed_logits(rti_device *device, rti_slot *slot, int32_t begin, int32_t end)
{
    const rti_weights *weights = device->weights;
    const rti_packed *m = &weights->output;
    const float cap = weights->network->logits_softcap;
    const int32_t group = RTI_TILE_WIDTH / RTI_PANEL_ROWS;
    const int32_t tile_rows = rti_tile_rows(slot, slot->logits_count, m->columns, RTI_TILE_WIDTH);
    for (int32_t unit = begin; unit < end; unit++) {
        const tile listed = tile_at(unit, group, slot->panel_count, slot->logits_count, tile_rows);
        for (int32_t i = listed.first; i < listed.first + listed.width; i++) {
            const tile t = {slot->panels[i] * RTI_PANEL_ROWS, RTI_PANEL_ROWS, listed.row, listed.count};
            float *out = slot->logits + (size_t)t.row * (size_t)device->vocabulary + (size_t)t.first;
            multiply(weights, m, RTI_ROLE_LOGITS, &slot->input, t, out, (size_t)device->vocabulary);
            for (int32_t r = 0; r < t.count && cap != 0.0f; r++) {
                weights->kernels->softcap(out + (size_t)r * (size_t)device->vocabulary, RTI_PANEL_ROWS, cap);
            }
        }
    }
}

static void run_logits(rti_device *device, rti_slot *slot, int32_t begin, int32_t end)
{
    if (slot->panel_count > 0) {
        run_listed_logits(device, slot, begin, end);
        return;
    }
    const rti_weights *weights = device->weights;
    const rti_packed *m = &weights->output;
    const float cap = weights->network->logits_softcap;
    const int32_t width = RTI_TILE_WIDTH, tile_rows = rti_tile_rows(slot, slot->logits_count, m->columns, width);
    for (int32_t unit = begin; unit < end; unit++) {
        tile t = tile_at(unit, width, m->rows, slot->logits_count, tile_rows);
        float *out = slot->logits + (size_t)t.row * (size_t)device->vocabulary + (size_t)t.first;
        multiply(weights, m, RTI_ROLE_LOGITS, &slot->input, t, out, (size_t)device->vocabulary);
        for (int32_t i = 0; i < t.count && cap != 0.0f; i++) {
            weights->kernels->softcap(out + (size_t)i * (size_t)device->vocabulary, rti_round_up(t.width, RTI_PANEL_ROWS), cap);
        }
    }
}

void rti_step_run(rti_device *device, rti_slot *slot, rt_part_kind kind, int32_t layer, rti_step step, int32_t thread,
                  int32_t begin, int32_t end)
{
    switch (step) {
    case RTI_STEP_EMBED: run_embed(device, slot, begin, end); break;
    case RTI_STEP_NORM: run_norm(device, slot, kind, layer, begin, end); break;
    case RTI_STEP_QKV: run_qkv(device, slot, layer, thread, begin, end); break;
    case RTI_STEP_ATTENTION: rti_step_attention(device, slot, layer, thread, begin, end); break;
    case RTI_STEP_ATTENDED: run_attended(device, slot, layer, begin, end); break;
    case RTI_STEP_PROJECT: run_project(device, slot, kind, layer, thread, begin, end); break;
    case RTI_STEP_POST_NORM: run_post_norm(device, slot, kind, layer, begin, end); break;
    case RTI_STEP_FEED_FORWARD_UP: run_up(device, slot, layer, thread, begin, end); break;
    case RTI_STEP_LOGITS: run_logits(device, slot, begin, end); break;
    }
}
