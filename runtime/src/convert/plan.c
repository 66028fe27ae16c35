// convert/plan.c - what the file to be written holds.
// SPDX-License-Identifier: MIT
#include "convert/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static rt_result add(rti_plan *plan, const rti_item *item)
{
    if (!rti_array_reserve(&plan->host, (void **)&plan->items, &plan->capacity, plan->count + 1, sizeof *plan->items))
        return rti_fail(&plan->host, RT_ERROR_OUT_OF_MEMORY, "no memory for the list of tensors");
    plan->items[plan->count++] = *item;
    return RT_OK;
}

void rti_plan_release(rti_plan *plan)
{
    rti_release(&plan->host, plan->items, plan->capacity * sizeof *plan->items);
    plan->items = NULL;
    plan->count = plan->capacity = 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// From a GGUF
// ---------------------------------------------------------------------------------------------------------------------

rt_result rti_plan_from_file(rti_plan *plan, const rti_file *file)
{
    rt_result result = RT_OK;
    for (size_t i = 0; i < rti_file_tensor_count(file) && result == RT_OK; i++) {
        const rti_tensor *tensor = rti_file_tensor_at(file, i);
        rti_item item = {.columns = tensor->shape[0], .rows = 1, .dimension_count = tensor->dimension_count, .part_count = 1};
        if (strlen(tensor->name) >= sizeof item.name)
            return rti_fail(&plan->host, RT_ERROR_UNSUPPORTED, "%s: tensor %s: its name is too long", rti_file_path(file),
                            tensor->name);
        memcpy(item.name, tensor->name, strlen(tensor->name) + 1);
        memcpy(item.shape, tensor->shape, sizeof item.shape);
        for (int32_t d = 1; d < tensor->dimension_count; d++)
            item.rows *= tensor->shape[d];
        if (item.rows > INT32_MAX)
            return rti_fail(&plan->host, RT_ERROR_TOO_LARGE, "%s: tensor %s: too many rows", rti_file_path(file),
                            tensor->name);
        item.parts[0] = (rti_matrix){.data = tensor->data, .type = tensor->type, .rows = (int32_t)item.rows,
                                     .columns = (int32_t)item.columns};
        item.type = item.rows == 1 ? RTI_TYPE_F32
                                   : rti_convert_matrix_type(plan->wanted, item.name, plan->is_tied, item.columns);
        result = add(plan, &item);
    }
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// From a network
// ---------------------------------------------------------------------------------------------------------------------

// Adds one thing after another until the first failure.
typedef struct adder {
    rti_plan *plan;
    rt_result result;
    int32_t layer; // -1: outside the layers
} adder;

static void begin_item(const adder *to, const char *name, const char *part, rti_item *item)
{
    memset(item, 0, sizeof *item);
    if (to->layer >= 0)
        snprintf(item->name, sizeof item->name, "blk.%d.%s.%s", to->layer, name, part);
    else
        snprintf(item->name, sizeof item->name, "%s.%s", name, part);
    for (int i = 0; i < 4; i++)
        item->shape[i] = 1;
}

static void add_matrices(adder *to, const char *name, const rti_matrix *const *parts, int32_t part_count, int32_t head_rows)
{
    rti_item item;
    if (to->result != RT_OK || !parts[0]->data)
        return;
    begin_item(to, name, "weight", &item);
    item.columns = parts[0]->columns;
    for (int32_t i = 0; i < part_count; i++) {
        item.parts[i] = *parts[i];
        item.rows += parts[i]->rows;
    }
    item.part_count = part_count;
    item.head_rows = head_rows;
    item.dimension_count = 2;
    item.shape[0] = item.columns;
    item.shape[1] = item.rows;
    item.type = rti_convert_matrix_type(to->plan->wanted, item.name, to->plan->is_tied, item.columns);
    to->result = add(to->plan, &item);
}

static void add_matrix(adder *to, const char *name, const rti_matrix *matrix, int32_t head_rows)
{
    const rti_matrix *parts[] = {matrix};
    add_matrices(to, name, parts, 1, head_rows);
}

static void add_vectors(adder *to, const char *name, const char *part, const rti_vector *const *vectors, int32_t count,
                        int32_t head_rows)
{
    rti_item item;
    if (to->result != RT_OK || !vectors[0]->values)
        return;
    begin_item(to, name, part, &item);
    // One value a row here, so that heads are turned as those of matrices are; written as one row.
    item.columns = 1;
    for (int32_t i = 0; i < count; i++) {
        item.parts[i] = (rti_matrix){.data = vectors[i]->values, .type = RTI_TYPE_F32, .rows = vectors[i]->count, .columns = 1};
        item.rows += vectors[i]->count;
    }
    item.part_count = count;
    item.head_rows = head_rows;
    item.dimension_count = 1;
    item.shape[0] = item.rows;
    item.type = RTI_TYPE_F32;
    to->result = add(to->plan, &item);
}

static void add_vector(adder *to, const char *name, const char *part, const rti_vector *vector, int32_t head_rows)
{
    const rti_vector *vectors[] = {vector};
    add_vectors(to, name, part, vectors, 1, head_rows);
}

static void add_attention(adder *to, const rti_network *network, const rti_layer *layer, bool permutes)
{
    int32_t turned = permutes ? network->head_size : 0;
    if (strcmp(network->architecture, "phi3") == 0) {
        const rti_matrix *matrices[] = {&layer->query, &layer->key, &layer->value};
        const rti_vector *biases[] = {&layer->query_bias, &layer->key_bias, &layer->value_bias};
        add_matrices(to, "attn_qkv", matrices, 3, 0);
        add_vectors(to, "attn_qkv", "bias", biases, 3, 0);
    } else {
        add_matrix(to, "attn_q", &layer->query, turned);
        add_matrix(to, "attn_k", &layer->key, turned);
        add_matrix(to, "attn_v", &layer->value, 0);
        add_vector(to, "attn_q", "bias", &layer->query_bias, turned);
        add_vector(to, "attn_k", "bias", &layer->key_bias, turned);
        add_vector(to, "attn_v", "bias", &layer->value_bias, 0);
    }
    add_vector(to, "attn_q_norm", "weight", &layer->query_norm, 0);
    add_vector(to, "attn_k_norm", "weight", &layer->key_norm, 0);
    add_matrix(to, "attn_output", &layer->attention_output, 0);
    add_vector(to, "attn_output", "bias", &layer->attention_output_bias, 0);
    add_vector(to, "post_attention_norm", "weight", &layer->post_attention_norm, 0);
}

static void add_feed_forward(adder *to, const rti_network *network, const rti_layer *layer)
{
    add_vector(to, "ffn_norm", "weight", &layer->feed_forward_norm, 0);
    add_vector(to, "ffn_norm", "bias", &layer->feed_forward_norm_bias, 0);
    if (strcmp(network->architecture, "phi3") == 0) {
        const rti_matrix *matrices[] = {&layer->gate, &layer->up};
        add_matrices(to, "ffn_up", matrices, 2, 0);
    } else {
        add_matrix(to, "ffn_gate", &layer->gate, 0);
        add_matrix(to, "ffn_up", &layer->up, 0);
    }
    add_matrix(to, "ffn_down", &layer->down, 0);
    add_vector(to, "post_ffw_norm", "weight", &layer->post_feed_forward_norm, 0);
}

rt_result rti_plan_from_network(rti_plan *plan, const rti_network *network, bool permutes)
{
    adder to = {plan, RT_OK, -1};
    add_matrix(&to, "token_embd", &network->embedding, 0);
    if (!network->output_is_tied)
        add_matrix(&to, "output", &network->output, 0);
    add_vector(&to, "output_norm", "weight", &network->output_norm, 0);
    add_vector(&to, "output_norm", "bias", &network->output_norm_bias, 0);
    for (int32_t i = 0; i < network->layer_count; i++) {
        const rti_layer *layer = &network->layers[i];
        to.layer = i;
        add_vector(&to, "attn_norm", "weight", &layer->attention_norm, 0);
        add_vector(&to, "attn_norm", "bias", &layer->attention_norm_bias, 0);
        add_attention(&to, network, layer, permutes);
        add_feed_forward(&to, network, layer);
    }
    return to.result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------------------

static void decode_row(const rti_matrix *matrix, int64_t row, float *values)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t row_bytes = (size_t)(matrix->columns / info->block_values) * (size_t)info->block_bytes;
    rti_dequantize(matrix->type, (const uint8_t *)matrix->data + (size_t)row * row_bytes, values, (size_t)matrix->columns);
    if (matrix->scale)
        for (int32_t c = 0; c < matrix->columns; c++)
            values[c] *= matrix->scale[matrix->scale_count > 1 ? row : 0];
}

void rti_item_rows(const rti_item *item, int64_t first, int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t row = first + i;
        if (item->head_rows) { // row 2i of a head comes from row i, row 2i + 1 from row i + half
            int64_t within = row % item->head_rows, half = item->head_rows / 2;
            row = row - within + within / 2 + (within % 2) * half;
        }
        int32_t part = 0;
        while (row >= item->parts[part].rows)
            row -= item->parts[part++].rows;
        decode_row(&item->parts[part], row, values + i * item->columns);
    }
}
