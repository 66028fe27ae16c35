// convert/synthesize.c - rt_synthesize: random weights in a real model's shape.
//
// Blocks are filled with random bits straight away, and only their scales are set: to what gives values a deviation of
// 1 / sqrt(columns), so that activations stay within bounds from layer to layer.
// SPDX-License-Identifier: MIT
#include "convert/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SYNTHESIZE_COOKIE 0x72745301u
#define CHUNK_BYTES (8u << 20)

typedef struct shape {
    const char *name;
    const char *architecture;
    int32_t layers, hidden, feed_forward, heads, kv_heads, head_size, rotated, vocab, context;
    double base;
    float epsilon;
    bool is_tied;
} shape;

// From the config.json that each model was published with.
static const shape shapes[] = {
    {"smollm2-135m", "llama", 30, 576, 1536, 9, 3, 64, 64, 49152, 8192, 1e5, 1e-5f, true},
    {"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 64, 128256, 131072, 5e5, 1e-5f, true},
    {"minitron-8b", "llama", 40, 4096, 11520, 32, 8, 128, 128, 131072, 8192, 1e6, 1e-5f, false},
    {"mistral-nemo-12b", "llama", 40, 5120, 14336, 32, 8, 128, 128, 131072, 131072, 1e6, 1e-5f, false},
    {"nemotron-mini-4b", "nemotron", 32, 3072, 9216, 24, 8, 128, 64, 256000, 4096, 1e4, 1e-5f, false},
    {"qwen2.5-0.5b", "qwen2", 24, 896, 4864, 14, 2, 64, 64, 151936, 32768, 1e6, 1e-6f, true},
    {"qwen3-0.6b", "qwen3", 28, 1024, 3072, 16, 8, 128, 128, 151936, 40960, 1e6, 1e-6f, true},
    {"gemma-3-1b", "gemma3", 26, 1152, 6912, 4, 1, 256, 256, 262144, 32768, 1e6, 1e-6f, true},
    {"phi-4-mini", "phi3", 32, 3072, 8192, 24, 8, 128, 96, 200064, 131072, 1e4, 1e-5f, true},
};

rt_synthesize_def rt_default_synthesize_def(void)
{
    return (rt_synthesize_def){.cookie = SYNTHESIZE_COOKIE, .seed = 1};
}

const char *rt_synthetic_name(int index)
{
    return index >= 0 && (size_t)index < RTI_COUNT(shapes) ? shapes[index].name : NULL;
}

static rt_result find_shape(const rt_synthesize_def *def, const shape **found)
{
    char known[512];
    size_t used = 0;
    for (size_t i = 0; i < RTI_COUNT(shapes); i++) {
        if (def->architecture && strcmp(shapes[i].name, def->architecture) == 0) {
            *found = &shapes[i];
            return RT_OK;
        }
        int written = snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", shapes[i].name);
        used += written > 0 ? (size_t)written : 0;
    }
    return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "architecture \"%s\" is not known; these are: %s",
                    def->architecture ? def->architecture : "", known);
}

// ---------------------------------------------------------------------------------------------------------------------
// Random blocks
// ---------------------------------------------------------------------------------------------------------------------

// xoshiro256** (Blackman and Vigna 2018), seeded by splitmix64.
typedef struct generator {
    uint64_t s[4];
} generator;

static uint64_t rotate(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

static uint64_t next(generator *g)
{
    uint64_t result = rotate(g->s[1] * 5, 7) * 9, t = g->s[1] << 17;
    g->s[2] ^= g->s[0];
    g->s[3] ^= g->s[1];
    g->s[1] ^= g->s[2];
    g->s[0] ^= g->s[3];
    g->s[2] ^= t;
    g->s[3] = rotate(g->s[3], 45);
    return result;
}

static generator generator_of(uint64_t seed)
{
    generator g;
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        g.s[i] = z ^ (z >> 31);
    }
    return g;
}

static void put_half(uint8_t *bytes, double value)
{
    uint16_t half = rti_float_to_half((float)value);
    bytes[0] = (uint8_t)half;
    bytes[1] = (uint8_t)(half >> 8);
}

// Sets the scales of one block of random bits; the divisors are the deviations of what the bits then stand for.
static void set_scales(rti_type type, uint8_t *block, double deviation)
{
    switch (type) {
    case RTI_TYPE_Q8_0: put_half(block, deviation / 73.9); break;
    case RTI_TYPE_Q4_0: put_half(block, deviation / 4.64); break;
    case RTI_TYPE_Q4_1:
        put_half(block, deviation / 4.61);
        put_half(block + 2, -7.5 * deviation / 4.61);
        break;
    case RTI_TYPE_Q4_K:
        put_half(block, deviation / 267);
        put_half(block + 2, 7.5 * deviation / 267);
        break;
    case RTI_TYPE_Q6_K: put_half(block + 208, deviation / 1365); break;
    default: break;
    }
}

// Plain floats: uniform, with that deviation.
static void fill_floats(rti_type type, uint8_t *bytes, size_t count, double deviation, generator *g)
{
    float span = (float)(deviation * 3.4641016151377544); // sqrt(12)
    for (size_t i = 0; i < count; i++) {
        float value = ((float)(next(g) >> 40) * 0x1p-24f - 0.5f) * span;
        uint16_t two = type == RTI_TYPE_F16 ? rti_float_to_half(value) : rti_float_to_bfloat(value);
        if (type == RTI_TYPE_F32)
            memcpy(bytes + 4 * i, &value, 4);
        else
            memcpy(bytes + 2 * i, &two, 2);
    }
}

static void fill_blocks(rti_type type, uint8_t *bytes, size_t size, double deviation, generator *g)
{
    const rti_type_info *info = rti_type_find((uint32_t)type);
    if (info->block_values == 1) {
        fill_floats(type, bytes, size / (size_t)info->block_bytes, deviation, g);
        return;
    }
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t bits = next(g);
        memcpy(bytes + i, &bits, 8);
    }
    uint64_t last = next(g);
    memcpy(bytes + size / 8 * 8, &last, size % 8);
    for (size_t i = 0; i < size; i += (size_t)info->block_bytes)
        set_scales(type, bytes + i, deviation);
}

// ---------------------------------------------------------------------------------------------------------------------
// Tensors: listed once to declare, once more to write
// ---------------------------------------------------------------------------------------------------------------------

typedef struct synthesis {
    const rt_synthesize_def *def;
    rt_host host;
    const shape *shape;
    rti_type type;
    int32_t layers;
    rti_gguf_writer *writer;
    uint8_t *buffer;
    bool is_writing;
    size_t index, count;
    rt_result result;
} synthesis;

static rt_result write_random(synthesis *to, rti_type type, uint64_t bytes, double deviation)
{
    const rti_type_info *info = rti_type_find((uint32_t)type);
    uint64_t most = CHUNK_BYTES / (uint64_t)info->block_bytes * (uint64_t)info->block_bytes;
    generator g = generator_of(rti_hash_mix(to->def->seed, to->index));
    for (uint64_t done = 0; done < bytes;) {
        uint64_t part = RTI_MIN(most, bytes - done);
        fill_blocks(type, to->buffer, (size_t)part, deviation, &g);
        rt_result result = rti_gguf_writer_write_tensor(to->writer, to->buffer, part);
        if (result != RT_OK)
            return result;
        done += part;
    }
    return RT_OK;
}

// Norms: near 1 as files hold them; small biases; RoPE factors of 1.
static rt_result write_vector(synthesis *to, int64_t count, double centre, double deviation)
{
    generator g = generator_of(rti_hash_mix(to->def->seed, to->index));
    float *values = (float *)(void *)to->buffer;
    fill_floats(RTI_TYPE_F32, to->buffer, (size_t)count, deviation, &g);
    for (int64_t i = 0; i < count; i++)
        values[i] += (float)centre;
    return rti_gguf_writer_write_tensor(to->writer, values, (uint64_t)count * 4);
}

static void visit(synthesis *to, const char *name, rti_type type, int64_t rows, int64_t columns, double centre,
                  double deviation)
{
    int64_t shape_of[2] = {columns, rows};
    const rti_type_info *info = rti_type_find((uint32_t)type);
    uint64_t bytes = (uint64_t)rows * (uint64_t)(columns / info->block_values) * (uint64_t)info->block_bytes;
    if (to->result != RT_OK)
        return;
    if (!to->is_writing) {
        to->result = rti_gguf_writer_add_tensor(to->writer, name, type, rows > 1 ? 2 : 1, shape_of);
        to->count++;
        return;
    }
    to->result = rows > 1 ? write_random(to, type, bytes, deviation) : write_vector(to, columns, centre, deviation);
    rt_tensor_report report = {.name = name, .from = "random", .to = info->name, .rows = (uint64_t)rows,
                               .columns = (uint64_t)columns, .bytes = bytes, .index = to->index, .count = to->count};
    if (to->result == RT_OK && to->def->report)
        to->def->report(to->def->report_user, &report);
    to->index++;
}

static void visit_matrix(synthesis *to, int32_t layer, const char *name, int64_t rows, int64_t columns)
{
    char full[128];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    rti_type type = rti_convert_matrix_type(to->type, full, to->shape->is_tied, columns);
    visit(to, full, type, rows, columns, 0, 1 / sqrt((double)columns));
}

static void visit_vector(synthesis *to, int32_t layer, const char *name, int64_t count, double centre, double deviation)
{
    char full[128];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    visit(to, full, RTI_TYPE_F32, 1, count, centre, deviation);
}

static bool is_family(const synthesis *to, const char *name)
{
    return strcmp(to->shape->architecture, name) == 0;
}

static void visit_layer(synthesis *to, int32_t layer)
{
    const shape *s = to->shape;
    int64_t query = (int64_t)s->heads * s->head_size, key = (int64_t)s->kv_heads * s->head_size;
    bool has_bias = is_family(to, "nemotron"), is_fused = is_family(to, "phi3");
    visit_vector(to, layer, "attn_norm.weight", s->hidden, 1, 0.05);
    if (has_bias)
        visit_vector(to, layer, "attn_norm.bias", s->hidden, 0, 0.02);
    if (is_fused) {
        visit_matrix(to, layer, "attn_qkv", query + 2 * key, s->hidden);
    } else {
        visit_matrix(to, layer, "attn_q", query, s->hidden);
        visit_matrix(to, layer, "attn_k", key, s->hidden);
        visit_matrix(to, layer, "attn_v", key, s->hidden);
    }
    if (is_family(to, "qwen2")) {
        visit_vector(to, layer, "attn_q.bias", query, 0, 0.1);
        visit_vector(to, layer, "attn_k.bias", key, 0, 0.1);
        visit_vector(to, layer, "attn_v.bias", key, 0, 0.1);
    }
    if (is_family(to, "qwen3") || is_family(to, "gemma3")) {
        visit_vector(to, layer, "attn_q_norm.weight", s->head_size, 1, 0.05);
        visit_vector(to, layer, "attn_k_norm.weight", s->head_size, 1, 0.05);
    }
    visit_matrix(to, layer, "attn_output", s->hidden, query);
    if (is_family(to, "gemma3"))
        visit_vector(to, layer, "post_attention_norm.weight", s->hidden, 1, 0.05);
    visit_vector(to, layer, "ffn_norm.weight", s->hidden, 1, 0.05);
    if (has_bias)
        visit_vector(to, layer, "ffn_norm.bias", s->hidden, 0, 0.02);
    if (!has_bias && !is_fused)
        visit_matrix(to, layer, "ffn_gate", s->feed_forward, s->hidden);
    visit_matrix(to, layer, "ffn_up", is_fused ? 2 * (int64_t)s->feed_forward : s->feed_forward, s->hidden);
    visit_matrix(to, layer, "ffn_down", s->hidden, s->feed_forward);
    if (is_family(to, "gemma3"))
        visit_vector(to, layer, "post_ffw_norm.weight", s->hidden, 1, 0.05);
}

static void visit_all(synthesis *to)
{
    const shape *s = to->shape;
    visit_matrix(to, -1, "token_embd", s->vocab, s->hidden);
    if (!s->is_tied)
        visit_matrix(to, -1, "output", s->vocab, s->hidden);
    visit_vector(to, -1, "output_norm.weight", s->hidden, 1, 0.05);
    if (is_family(to, "nemotron"))
        visit_vector(to, -1, "output_norm.bias", s->hidden, 0, 0.02);
    if (is_family(to, "phi3")) { // two sets, as the real model has them
        visit_vector(to, -1, "rope_factors_short.weight", s->rotated / 2, 1, 0);
        visit_vector(to, -1, "rope_factors_long.weight", s->rotated / 2, 1, 0);
    }
    for (int32_t i = 0; i < to->layers; i++)
        visit_layer(to, i);
}

// ---------------------------------------------------------------------------------------------------------------------
// The file
// ---------------------------------------------------------------------------------------------------------------------

static rt_result write_keys(const synthesis *to)
{
    const shape *s = to->shape;
    enum { MOST_LAYERS = 1024, PHI_CONTEXT = 4096, GEMMA_WINDOW = 512 };
    size_t layers_size = MOST_LAYERS * sizeof(rti_layer);
    rti_layer *layers = rti_allocate_zeroed(&to->host, layers_size);
    char name[128];
    if (!layers)
        return rti_fail(&to->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to write it", to->def->output);
    bool is_phi = is_family(to, "phi3");
    rti_network network = {
        .vocab_size = s->vocab, .context_size = is_phi ? PHI_CONTEXT : s->context, .layer_count = to->layers,
        .hidden_size = s->hidden, .head_count = s->heads, .kv_head_count = s->kv_heads, .head_size = s->head_size,
        .feed_forward_size = s->feed_forward, .norm = is_family(to, "nemotron") ? RTI_NORM_LAYER : RTI_NORM_RMS,
        .norm_epsilon = s->epsilon, .attention_scale = (float)(1.0 / sqrt(s->head_size)), .layers = layers, .rope_count = 1,
        .ropes = {{.rotated = s->rotated, .magnitude = 1, .base = s->base}}};
    if (is_phi) // sqrt(1 + ln(131072 / 4096) / ln(4096)), as the model's own configuration has it
        network.ropes[0].magnitude = sqrt(1 + log((double)s->context / PHI_CONTEXT) / log(PHI_CONTEXT));
    for (int32_t i = 0; is_family(to, "gemma3") && i < to->layers; i++)
        layers[i].sliding_window = (i + 1) % 6 ? GEMMA_WINDOW : 0;
    snprintf(name, sizeof name, "random weights in the shape of %s", s->name);
    rt_result result = rti_gguf_writer_set_string(to->writer, "general.name", name);
    if (result == RT_OK)
        result = rti_convert_write_keys(to->writer, &network, s->architecture, is_phi ? s->context : 0);
    if (result == RT_OK)
        result = rti_gguf_writer_set_unsigned(to->writer, "general.file_type", rti_convert_file_type(to->type));
    if (result == RT_OK)
        result = rti_gguf_writer_set_unsigned(to->writer, "general.quantization_version", 2);
    rti_release(&to->host, layers, layers_size);
    return result;
}

static rt_result write_file(synthesis *to)
{
    rt_result result = write_keys(to);
    if (result == RT_OK)
        result = to->def->tokenizer ? rti_convert_write_tokenizer(&to->host, to->writer, to->def->tokenizer, NULL)
                                    : rti_convert_write_byte_tokenizer(&to->host, to->writer);
    if (result != RT_OK)
        return result;
    visit_all(to);
    if (to->result == RT_OK)
        to->result = rti_gguf_writer_begin_data(to->writer);
    to->is_writing = true;
    visit_all(to);
    return to->result;
}

rt_result rt_synthesize(const rt_synthesize_def *def)
{
    if (!def || def->cookie != SYNTHESIZE_COOKIE)
        return rti_fail(NULL, RT_ERROR_INVALID_ARGUMENT,
                        "rt_synthesize: the def does not come from rt_default_synthesize_def()");
    if (!def->output || def->layers < 0 || def->layers > 1024)
        return rti_fail(&def->host, RT_ERROR_INVALID_ARGUMENT, "rt_synthesize: output is missing, or layers is not 0 to 1024");
    synthesis to = {.def = def, .host = rti_host_or_default(&def->host)};
    rt_result result = find_shape(def, &to.shape);
    if (result == RT_OK)
        result = rti_convert_type(&to.host, def->type, &to.type);
    if (result != RT_OK)
        return result;
    to.layers = def->layers ? def->layers : to.shape->layers;
    to.buffer = rti_allocate(&to.host, CHUNK_BYTES);
    if (!to.buffer)
        return rti_fail(&to.host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to write it", def->output);
    result = rti_gguf_writer_create(&to.host, def->output, &to.writer);
    if (result == RT_OK) {
        result = write_file(&to);
        rt_result end = rti_gguf_writer_finish(to.writer, result == RT_OK);
        result = result == RT_OK ? end : result;
    }
    rti_release(&to.host, to.buffer, CHUNK_BYTES);
    return result;
}
