// support/plain_forward.h - a language model in plain double arithmetic, as its papers write it: one token after another, no
// packing, no blocks, no threads. Slow, and right enough to judge the rest by.
// SPDX-License-Identifier: MIT
#ifndef TEST_PLAIN_FORWARD_H
#define TEST_PLAIN_FORWARD_H

#include "model/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline void plain_multiply(const rti_matrix *matrix, const double *x, const rti_vector *bias, double *y)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t row_bytes = (size_t)(matrix->columns / info->block_values) * (size_t)info->block_bytes;
    float *row = malloc((size_t)matrix->columns * sizeof *row);
    for (int32_t r = 0; r < matrix->rows; r++) {
        double sum = 0;
        rti_dequantize(matrix->type, (const uint8_t *)matrix->data + (size_t)r * row_bytes, row, (size_t)matrix->columns);
        for (int32_t c = 0; c < matrix->columns; c++)
            sum += (double)row[c] * x[c];
        if (matrix->scale)
            sum *= matrix->scale[matrix->scale_count > 1 ? r : 0];
        y[r] = sum + (bias && bias->values ? bias->values[r] : 0);
    }
    free(row);
}

static inline void plain_norm(rti_norm_kind kind, double epsilon, const rti_vector *weight, const rti_vector *bias,
                              const double *x, double *y, int32_t count)
{
    double mean = 0, square = 0;
    for (int32_t i = 0; kind == RTI_NORM_LAYER && i < count; i++)
        mean += x[i] / count;
    for (int32_t i = 0; i < count; i++)
        square += (x[i] - mean) * (x[i] - mean) / count;
    double scale = 1 / sqrt(square + epsilon);
    for (int32_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) * scale * weight->values[i] + (bias && bias->values ? bias->values[i] : 0);
}

static inline void plain_turn(const rti_rope *rope, double *head, double position)
{
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        int32_t a = rope->order == RTI_ROPE_NEIGHBOURS ? 2 * i : i;
        int32_t b = rope->order == RTI_ROPE_NEIGHBOURS ? 2 * i + 1 : i + rope->rotated / 2;
        double c = cos(position * rope->frequency[i]) * rope->magnitude, s = sin(position * rope->frequency[i]) * rope->magnitude;
        double x = head[a], y = head[b];
        head[a] = x * c - y * s;
        head[b] = x * s + y * c;
    }
}

// keys and values: [position][kv_heads * head_size] of one layer. `first` is where the sequence begins.
static inline void plain_attention(const rti_network *network, const rti_layer *layer, const double *query, const double *keys,
                                   const double *values, int32_t count, double *out)
{
    int32_t size = network->head_size, group = network->head_count / network->kv_head_count;
    int32_t width = network->kv_head_count * size;
    int32_t begin = layer->sliding_window > 0 && count > layer->sliding_window ? count - layer->sliding_window : 0;
    double *scores = malloc((size_t)count * sizeof *scores);
    for (int32_t h = 0; h < network->head_count; h++) {
        const double *q = query + h * size;
        double highest = -INFINITY, total = 0;
        for (int32_t p = begin; p < count; p++) {
            const double *k = keys + (size_t)p * (size_t)width + (size_t)(h / group * size);
            double score = 0;
            for (int32_t i = 0; i < size; i++)
                score += q[i] * k[i];
            score *= network->attention_scale;
            if (network->attention_softcap > 0)
                score = network->attention_softcap * tanh(score / network->attention_softcap);
            scores[p] = score;
            highest = fmax(highest, score);
        }
        for (int32_t p = begin; p < count; p++)
            total += scores[p] = exp(scores[p] - highest);
        for (int32_t i = 0; i < size; i++) {
            double sum = 0;
            for (int32_t p = begin; p < count; p++)
                sum += scores[p] / total * values[(size_t)p * (size_t)width + (size_t)(h / group * size + i)];
            out[h * size + i] = sum;
        }
    }
    free(scores);
}

static inline double plain_activation(rti_activation kind, double gate, double up)
{
    switch (kind) {
    case RTI_ACTIVATION_SILU: return gate / (1 + exp(-gate)) * up;
    case RTI_ACTIVATION_GELU_TANH:
        return 0.5 * gate * (1 + tanh(0.7978845608028654 * (gate + 0.044715 * gate * gate * gate))) * up;
    case RTI_ACTIVATION_RELU_SQUARED: return up > 0 ? up * up : 0;
    }
    return 0;
}

typedef struct plain_state {
    double *x, *n, *query, *attention, *gate, *up, *keys, *values; // keys and values: [layer][position][width]
    int32_t capacity;
} plain_state;

static inline void plain_layer(const rti_network *network, int32_t index, plain_state *state, int32_t at, double position)
{
    const rti_layer *layer = &network->layers[index];
    const rti_rope *rope = &network->ropes[layer->rope];
    int32_t hidden = network->hidden_size, size = network->head_size, width = network->kv_head_count * size;
    size_t base = (size_t)index * (size_t)state->capacity * (size_t)width;
    double *keys = state->keys + base, *values = state->values + base;
    double *key = keys + (size_t)at * (size_t)width, *value = values + (size_t)at * (size_t)width;
    double epsilon = network->norm_epsilon;

    plain_norm(network->norm, epsilon, &layer->attention_norm, &layer->attention_norm_bias, state->x, state->n, hidden);
    plain_multiply(&layer->query, state->n, &layer->query_bias, state->query);
    plain_multiply(&layer->key, state->n, &layer->key_bias, key);
    plain_multiply(&layer->value, state->n, &layer->value_bias, value);
    for (int32_t h = 0; h < network->head_count + network->kv_head_count; h++) {
        bool is_query = h < network->head_count;
        double *head = is_query ? state->query + h * size : key + (h - network->head_count) * size;
        const rti_vector *norm = is_query ? &layer->query_norm : &layer->key_norm;
        if (norm->values)
            plain_norm(RTI_NORM_RMS, epsilon, norm, NULL, head, head, size);
        plain_turn(rope, head, position);
    }
    plain_attention(network, layer, state->query, keys, values, at + 1, state->attention);
    plain_multiply(&layer->attention_output, state->attention, &layer->attention_output_bias, state->n);
    if (layer->post_attention_norm.values)
        plain_norm(network->norm, epsilon, &layer->post_attention_norm, NULL, state->n, state->n, hidden);
    for (int32_t i = 0; i < hidden; i++)
        state->x[i] += state->n[i];

    plain_norm(network->norm, epsilon, &layer->feed_forward_norm, &layer->feed_forward_norm_bias, state->x, state->n, hidden);
    if (layer->gate.data)
        plain_multiply(&layer->gate, state->n, NULL, state->gate);
    plain_multiply(&layer->up, state->n, NULL, state->up);
    for (int32_t i = 0; i < network->feed_forward_size; i++)
        state->up[i] = plain_activation(network->activation, state->gate[i], state->up[i]);
    plain_multiply(&layer->down, state->up, NULL, state->n);
    if (layer->post_feed_forward_norm.values)
        plain_norm(network->norm, epsilon, &layer->post_feed_forward_norm, NULL, state->n, state->n, hidden);
    for (int32_t i = 0; i < hidden; i++)
        state->x[i] += state->n[i];
}

// Logits of each token at positions start, start + 1, ...: [count][vocab].
static inline double *plain_forward(const rti_network *network, const int32_t *tokens, int32_t count, int32_t start)
{
    size_t hidden = (size_t)network->hidden_size, heads = (size_t)network->head_count * (size_t)network->head_size;
    size_t width = (size_t)network->kv_head_count * (size_t)network->head_size;
    size_t cache = (size_t)network->layer_count * (size_t)count * width;
    plain_state state = {
        .x = calloc(hidden, 8), .n = calloc(hidden, 8), .query = calloc(heads, 8), .attention = calloc(heads, 8),
        .gate = calloc((size_t)network->feed_forward_size, 8), .up = calloc((size_t)network->feed_forward_size, 8),
        .keys = calloc(cache, 8), .values = calloc(cache, 8), .capacity = count};
    const rti_type_info *info = rti_type_find((uint32_t)network->embedding.type);
    size_t row_bytes = hidden / (size_t)info->block_values * (size_t)info->block_bytes;
    float *row = malloc(hidden * sizeof *row);
    double *logits = malloc((size_t)count * (size_t)network->vocab_size * sizeof *logits);
    for (int32_t t = 0; t < count; t++) {
        rti_dequantize(network->embedding.type, (const uint8_t *)network->embedding.data + (size_t)tokens[t] * row_bytes, row,
                       hidden);
        for (size_t i = 0; i < hidden; i++)
            state.x[i] = (double)row[i] * network->embedding_scale;
        for (int32_t i = 0; i < network->layer_count; i++)
            plain_layer(network, i, &state, t, (double)start + t);
        plain_norm(network->norm, network->norm_epsilon, &network->output_norm, &network->output_norm_bias, state.x, state.n,
                   network->hidden_size);
        double *out = logits + (size_t)t * (size_t)network->vocab_size;
        plain_multiply(&network->output, state.n, NULL, out);
        for (int32_t v = 0; network->logits_softcap > 0 && v < network->vocab_size; v++)
            out[v] = network->logits_softcap * tanh(out[v] / network->logits_softcap);
    }
    free(row), free(state.x), free(state.n), free(state.query), free(state.attention), free(state.gate), free(state.up);
    free(state.keys), free(state.values);
    return logits;
}

#endif
