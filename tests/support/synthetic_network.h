// support/synthetic_network.h - small networks of random weights, of any tensor type and with any of a family's traits, and a
// device that runs passes over them cut as a test likes.
// SPDX-License-Identifier: MIT
#ifndef TEST_SYNTHETIC_NETWORK_H
#define TEST_SYNTHETIC_NETWORK_H

#include "backend/backend.h"
#include "base/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SYNTHETIC_BUFFERS 64

typedef struct synthetic {
    rti_network network;
    rti_layer layers[2];
    void *buffers[SYNTHETIC_BUFFERS];
    int buffer_count;
    uint64_t random;
} synthetic;

static inline uint32_t synthetic_random(synthetic *s)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->random >> 33);
}

static inline float synthetic_uniform(synthetic *s) // -1 .. 1
{
    return (float)((double)synthetic_random(s) / 1073741824.0 - 1.0);
}

static inline void *synthetic_buffer(synthetic *s, size_t bytes)
{
    void *buffer = calloc(1, bytes);
    if (!buffer || s->buffer_count == SYNTHETIC_BUFFERS)
        abort();
    s->buffers[s->buffer_count++] = buffer;
    return buffer;
}

static inline void synthetic_half(uint8_t *p, float value)
{
    uint16_t half = rti_float_to_half(value);
    memcpy(p, &half, 2);
}

// Random bits, but scales small enough for sums to stay near 1: values of a row have a standard deviation of about `size`.
static inline void synthetic_scales(synthetic *s, rti_type type, uint8_t *block, float size)
{
    const float u = 0.75f + 0.25f * synthetic_uniform(s);
    switch (type) {
    case RTI_TYPE_Q4_0: synthetic_half(block, size * u / 4); break;
    case RTI_TYPE_Q5_0: synthetic_half(block, size * u / 8); break;
    case RTI_TYPE_Q8_0:
    case RTI_TYPE_IQ4_NL: synthetic_half(block, size * u / 64); break;
    case RTI_TYPE_Q4_1:
    case RTI_TYPE_Q5_1:
        synthetic_half(block, size * u / (type == RTI_TYPE_Q4_1 ? 4 : 8));
        synthetic_half(block + 2, -size * 2);
        break;
    case RTI_TYPE_Q4_K:
    case RTI_TYPE_Q5_K:
        synthetic_half(block, size * u / (type == RTI_TYPE_Q4_K ? 128 : 256));
        synthetic_half(block + 2, size * u / 16);
        break;
    case RTI_TYPE_Q2_K:
        synthetic_half(block + 80, size * u / 8);
        synthetic_half(block + 82, size * u / 5);
        break;
    case RTI_TYPE_Q3_K: synthetic_half(block + 108, size * u / 32); break;
    case RTI_TYPE_Q6_K: synthetic_half(block + 208, size * u / 1024); break;
    case RTI_TYPE_IQ4_XS: synthetic_half(block, size * u / 1024); break;
    case RTI_TYPE_MXFP4: block[0] = (uint8_t)(122 + synthetic_random(s) % 3); break;
    default: break;
    }
}

static inline rti_matrix synthetic_matrix(synthetic *s, rti_type type, int32_t rows, int32_t columns, const char *name)
{
    const rti_type_info *info = rti_type_find((uint32_t)type);
    size_t blocks = (size_t)rows * (size_t)columns / (size_t)info->block_values;
    uint8_t *data = synthetic_buffer(s, blocks * (size_t)info->block_bytes);
    const float size = 1.5f / sqrtf((float)columns);
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *block = data + i * (size_t)info->block_bytes;
        float value = synthetic_uniform(s) * size;
        if (type == RTI_TYPE_F32)
            memcpy(block, &value, 4);
        else if (type == RTI_TYPE_F16)
            synthetic_half(block, value);
        else if (type == RTI_TYPE_BF16) {
            uint16_t bits = rti_float_to_bfloat(value);
            memcpy(block, &bits, 2);
        } else {
            for (int b = 0; b < info->block_bytes; b++)
                block[b] = (uint8_t)synthetic_random(s);
            synthetic_scales(s, type, block, size);
            if (type == RTI_TYPE_F8_E4M3)
                *block &= 0xaf; // at most 2, never NaN
        }
    }
    return (rti_matrix){.data = data, .type = type, .rows = rows, .columns = columns, .name = name};
}

static inline rti_vector synthetic_vector(synthetic *s, int32_t count, float middle)
{
    float *values = synthetic_buffer(s, (size_t)count * sizeof(float));
    for (int32_t i = 0; i < count; i++)
        values[i] = middle + 0.2f * synthetic_uniform(s);
    return (rti_vector){values, count};
}

// Traits that some family has.
typedef struct synthetic_def {
    rti_type type, output_type;
    int32_t hidden, heads, kv_heads, head_size, feed_forward, vocabulary;
    rti_norm_kind norm;
    rti_activation activation;
    rti_rope_order order;
    int32_t rotated;
    bool tied, biases, head_norms, post_norms, row_scales;
    int32_t window; // of the second layer
    float attention_cap, logits_cap, embedding_scale;
} synthetic_def;

static inline synthetic_def synthetic_default(rti_type type)
{
    return (synthetic_def){.type = type, .output_type = type, .hidden = 256, .heads = 4, .kv_heads = 2, .head_size = 64,
                           .feed_forward = 512, .vocabulary = 100, .rotated = 64, .tied = true, .embedding_scale = 1.0f};
}

static inline void synthetic_layer(synthetic *s, const synthetic_def *def, rti_layer *l)
{
    const int32_t queries = def->heads * def->head_size, keys = def->kv_heads * def->head_size;
    l->attention_norm = synthetic_vector(s, def->hidden, 1.0f);
    l->feed_forward_norm = synthetic_vector(s, def->hidden, 1.0f);
    l->query = synthetic_matrix(s, def->type, queries, def->hidden, "query");
    l->key = synthetic_matrix(s, def->type, keys, def->hidden, "key");
    l->value = synthetic_matrix(s, def->type, keys, def->hidden, "value");
    l->attention_output = synthetic_matrix(s, def->type, def->hidden, queries, "attention output");
    if (def->activation != RTI_ACTIVATION_RELU_SQUARED)
        l->gate = synthetic_matrix(s, def->type, def->feed_forward, def->hidden, "gate");
    l->up = synthetic_matrix(s, def->type, def->feed_forward, def->hidden, "up");
    l->down = synthetic_matrix(s, def->type, def->hidden, def->feed_forward, "down");
    if (def->norm == RTI_NORM_LAYER) {
        l->attention_norm_bias = synthetic_vector(s, def->hidden, 0.0f);
        l->feed_forward_norm_bias = synthetic_vector(s, def->hidden, 0.0f);
    }
    if (def->biases) {
        l->query_bias = synthetic_vector(s, queries, 0.0f);
        l->key_bias = synthetic_vector(s, keys, 0.0f);
        l->value_bias = synthetic_vector(s, keys, 0.0f);
        l->attention_output_bias = synthetic_vector(s, def->hidden, 0.0f);
    }
    if (def->head_norms) {
        l->query_norm = synthetic_vector(s, def->head_size, 1.0f);
        l->key_norm = synthetic_vector(s, def->head_size, 1.0f);
    }
    if (def->post_norms) {
        l->post_attention_norm = synthetic_vector(s, def->hidden, 0.5f);
        l->post_feed_forward_norm = synthetic_vector(s, def->hidden, 0.5f);
    }
    if (def->row_scales) {
        float *scales = synthetic_buffer(s, (size_t)def->feed_forward * sizeof(float));
        for (int32_t i = 0; i < def->feed_forward; i++)
            scales[i] = 0.75f + 0.25f * synthetic_uniform(s);
        l->up.scale = scales;
        l->up.scale_count = def->feed_forward;
        l->down.scale = scales;
        l->down.scale_count = 1;
    }
}

static inline void synthetic_create(synthetic *s, const synthetic_def *def)
{
    *s = (synthetic){.random = 1 + (uint64_t)def->type};
    rti_network *n = &s->network;
    *n = (rti_network){.architecture = "synthetic", .vocab_size = def->vocabulary, .context_size = 4096, .layer_count = 2,
                       .hidden_size = def->hidden, .head_count = def->heads, .kv_head_count = def->kv_heads,
                       .head_size = def->head_size, .feed_forward_size = def->feed_forward, .norm = def->norm,
                       .norm_epsilon = 1e-5f, .activation = def->activation,
                       .attention_scale = 1.0f / sqrtf((float)def->head_size), .attention_softcap = def->attention_cap,
                       .logits_softcap = def->logits_cap, .embedding_scale = def->embedding_scale, .rope_count = 1,
                       .output_is_tied = def->tied, .layers = s->layers};
    double *frequency = synthetic_buffer(s, (size_t)def->rotated * sizeof(double));
    for (int32_t i = 0; i < def->rotated / 2; i++)
        frequency[i] = pow(10000.0, -2.0 * i / def->rotated);
    n->ropes[0] = (rti_rope){.order = def->order, .rotated = def->rotated, .frequency = frequency, .magnitude = 1.0};
    for (int i = 0; i < 2; i++)
        synthetic_layer(s, def, &s->layers[i]);
    s->layers[1].sliding_window = def->window;
    n->output_norm = synthetic_vector(s, def->hidden, 2.0f);
    if (def->norm == RTI_NORM_LAYER)
        n->output_norm_bias = synthetic_vector(s, def->hidden, 0.0f);
    n->output = synthetic_matrix(s, def->output_type, def->vocabulary, def->hidden, "output");
    n->embedding = def->tied ? n->output : synthetic_matrix(s, def->type, def->vocabulary, def->hidden, "embedding");
}

static inline void synthetic_destroy(synthetic *s)
{
    for (int i = 0; i < s->buffer_count; i++)
        free(s->buffers[i]);
    s->buffer_count = 0;
}

// How a pass is run: rows at a time, and units of a part at a time (0: all).
typedef struct synthetic_cut {
    int32_t rows, units;
} synthetic_cut;

static inline rt_result synthetic_run(const rti_backend *backend, rti_device *device, const rti_network *network, int32_t units)
{
    for (int32_t layer = -1; layer <= network->layer_count; layer++) {
        int first = layer < 0 ? RT_PART_EMBED : layer == network->layer_count ? RT_PART_LOGITS : RT_PART_QKV;
        int last = layer < 0 ? RT_PART_EMBED : layer == network->layer_count ? RT_PART_LOGITS : RT_PART_FEED_FORWARD_DOWN;
        for (int kind = first; kind <= last; kind++) {
            int32_t count = backend->part_units(device, 0, (rt_part_kind)kind, layer), step = units > 0 ? units : count;
            for (int32_t begin = 0; begin < count; begin += step) {
                rt_part part = {.kind = (rt_part_kind)kind, .layer = layer, .unit_begin = begin,
                                .unit_end = begin + step < count ? begin + step : count, .unit_count = count};
                backend->part_work(device, 0, &part);
                rt_result result = backend->run(device, 0, &part, 1);
                if (result != RT_OK)
                    return result;
            }
        }
    }
    return RT_OK;
}

// Logits of `count` tokens of one sequence from `start` on, [count][vocabulary].
static inline rt_result synthetic_logits(const rti_backend *backend, rti_device *device, const rti_network *network,
                                         const rt_token *tokens, int32_t count, int32_t start, synthetic_cut cut, float *out)
{
    uint32_t blocks[512];
    for (uint32_t i = 0; i < 512; i++)
        blocks[i] = i * 7 % 16; // any order will do
    for (int32_t done = 0; done < count; done += cut.rows) {
        rti_row rows[64];
        int32_t now = count - done < cut.rows ? count - done : cut.rows;
        for (int32_t i = 0; i < now; i++)
            rows[i] = (rti_row){.token = tokens[done + i], .position = start + done + i, .first_position = start,
                                .blocks = blocks, .logits_row = i};
        rt_result result = backend->pass_begin(device, 0, &(rti_pass_input){rows, now, now});
        if (result == RT_OK)
            result = synthetic_run(backend, device, network, cut.units);
        for (int32_t i = 0; i < now && result == RT_OK; i++) {
            const float *logits;
            result = backend->logits(device, 0, i, &logits);
            if (result == RT_OK)
                memcpy(out + (size_t)(done + i) * (size_t)network->vocab_size, logits, (size_t)network->vocab_size * sizeof(float));
        }
        backend->pass_end(device, 0);
        if (result != RT_OK)
            return result;
    }
    return RT_OK;
}

#endif
