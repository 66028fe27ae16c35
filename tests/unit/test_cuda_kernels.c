// Every kernel of the CUDA backend against the scalar CPU backend: both are driven through the one private table with the same
// synthetic networks, for every weight type, odd shapes, every kind of cache and every family's traits.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "support/cuda_plugin.h"
#include "support/synthetic_network.h"

#define MOST_ROWS 40
#define BLOCKS 48
#define MOST_VOCABULARY 160

#if defined(__SANITIZE_ADDRESS__)
#define STRIDE 5 // every change of fiber costs ten times as much there: fewer types and cases
#else
#define STRIDE 1
#endif

// What an output may be off by, as a share of the root mean square of all outputs. `exact`: both sides multiply in float32 and
// only add in another order. `fast`: where a sum rounds another way, an activation may fall on the next of its 65,025 steps; beside
// F16, BF16 and FP8 weights it has 16 bits there and 24 on the CPU.
typedef struct tolerance {
    rti_type type;
    double exact, fast;
} tolerance;

static const tolerance tolerances[] = {
    {RTI_TYPE_Q4_0, 5e-6, 5e-5}, {RTI_TYPE_Q4_1, 5e-6, 5e-5},   {RTI_TYPE_Q8_0, 5e-6, 5e-5}, {RTI_TYPE_Q4_K, 5e-6, 5e-5},
    {RTI_TYPE_Q6_K, 5e-6, 5e-5}, {RTI_TYPE_F16, 5e-6, 5e-5},    {RTI_TYPE_BF16, 5e-6, 5e-5}, {RTI_TYPE_F8_E4M3, 5e-6, 5e-5},
    {RTI_TYPE_Q5_0, 5e-6, 5e-5}, {RTI_TYPE_Q5_1, 5e-6, 5e-5},   {RTI_TYPE_Q5_K, 5e-6, 5e-5}, {RTI_TYPE_IQ4_NL, 5e-6, 5e-5},
    {RTI_TYPE_F32, 5e-6, 5e-6},
};
#define WHOLE 5e-6        // activations that 8 bits hold without loss, quantised weights
#define LAYERS_EXACT 2e-5 // through all parts of a layer
#define LAYERS_FAST 5e-3 // the same, where an activation may fall on the next of its 255 steps

// Types without a form on the device: decoded to float32 there.
static const rti_type decoded[] = {RTI_TYPE_Q2_K, RTI_TYPE_Q3_K, RTI_TYPE_IQ4_XS, RTI_TYPE_MXFP4};

typedef struct machine {
    const rti_backend *backend;
    rti_weights *weights;
    rti_device *device;
} machine;

static machine machine_open(const rti_backend *backend, const rti_network *network, rt_precision precision, rt_kv_type kv)
{
    machine m = {.backend = backend};
    rti_weights_def def = {.network = network, .precision = precision, .isa = RT_ISA_SCALAR, .load_threads = 1};
    if (!backend) fail_msg("%s", rt_error_message());
    if (backend->weights_create(&def, &m.weights) != RT_OK) fail_msg("%s: %s", backend->name, rt_error_message());
    rti_device_def device = {.weights = m.weights, .max_rows = MOST_ROWS, .max_passes = 1, .max_logits_rows = MOST_ROWS,
                             .block_count = BLOCKS, .kv_type = kv};
    if (backend->device_create(&device, &m.device) != RT_OK) fail_msg("%s: %s", backend->name, rt_error_message());
    return m;
}

static void machine_close(machine *m)
{
    m->backend->device_destroy(m->device);
    m->backend->weights_destroy(m->weights);
}

// ---------------------------------------------------------------------------------------------------------------------
// Running some parts of a pass
// ---------------------------------------------------------------------------------------------------------------------

static void begin(const machine *m, int32_t count, int32_t start, int32_t first_position, const uint32_t *blocks, int32_t vocabulary)
{
    rti_row rows[MOST_ROWS];
    for (int32_t i = 0; i < count; i++)
        rows[i] = (rti_row){.token = (i + start) * 37 % vocabulary, .position = start + i, .first_position = first_position,
                            .blocks = blocks, .logits_row = i};
    assert_int_equal(m->backend->pass_begin(m->device, 0, &(rti_pass_input){rows, count, count}), RT_OK);
}

static void run(const machine *m, rt_part_kind kind, int32_t layer, int32_t units)
{
    int32_t count = m->backend->part_units(m->device, 0, kind, layer), step = units > 0 ? units : count;
    for (int32_t from = 0; from < count; from += step) {
        rt_part part = {.kind = kind, .layer = layer, .unit_begin = from, .unit_end = RTI_MIN(from + step, count), .unit_count = count};
        m->backend->part_work(m->device, 0, &part);
        if (m->backend->run(m->device, 0, &part, 1) != RT_OK) fail_msg("%s: %s", m->backend->name, rt_error_message());
        bool idle = false;
        uint64_t elapsed;
        while (!idle)
            assert_int_equal(m->backend->poll(m->device, 0, &idle, &elapsed), RT_OK);
    }
}

// The wanted rows' logits, one after another.
static void finish(const machine *m, int32_t count, int32_t vocabulary, float *out)
{
    for (int32_t i = 0; i < count; i++) {
        const float *logits;
        assert_int_equal(m->backend->logits(m->device, 0, i, &logits), RT_OK);
        memcpy(out + (size_t)i * (size_t)vocabulary, logits, (size_t)vocabulary * sizeof(float));
    }
    m->backend->pass_end(m->device, 0);
}

// The worst difference as a share of the root mean square of what is expected; not a number counts as infinitely wrong.
static double difference(const float *expected, const float *found, size_t count)
{
    double square = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)found[i] - (double)expected[i]);
        square += (double)expected[i] * (double)expected[i] / (double)count;
        worst = d > worst || isnan(d) ? d : worst;
    }
    return isnan(worst) ? INFINITY : worst / sqrt(square);
}

static void expect_close(double off, double allowed, const char *format, ...)
{
    if (getenv("REPARTEE_SHOW") || !(off <= allowed)) {
        char what[256];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(what, sizeof what, format, arguments);
        va_end(arguments);
        print_message("%s: off by %.2g of %.2g\n", what, off, allowed);
        assert_true(off <= allowed);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// embed_rows, norm_rows, matrix_quantised, matrix_float: embedding, then at once the output matrix
// ---------------------------------------------------------------------------------------------------------------------

static void outputs_of(const machine *m, int32_t vocabulary, int32_t rows, int32_t units, float *out)
{
    static const uint32_t blocks[2] = {3, 1};
    begin(m, rows, 0, 0, blocks, vocabulary);
    run(m, RT_PART_EMBED, 0, 0);
    run(m, RT_PART_LOGITS, 0, units);
    finish(m, rows, vocabulary, out);
}

typedef struct shape {
    int32_t hidden, vocabulary; // columns and rows of the matrix
} shape;

static const int32_t all_counts[] = {33, 16, 9, 1}, two_counts[] = {33, 3};

static void check_matrix(rti_type embedding, rti_type output, shape size, rt_precision precision, double allowed)
{
    const bool is_odd = size.vocabulary == 19 && precision == RT_PRECISION_FAST;
    const int32_t *counts = is_odd ? all_counts : two_counts;
    const size_t count_count = is_odd ? RTI_COUNT(all_counts) : RTI_COUNT(two_counts);
    static float expected[MOST_ROWS * MOST_VOCABULARY], found[MOST_ROWS * MOST_VOCABULARY], again[MOST_ROWS * MOST_VOCABULARY];
    synthetic s;
    synthetic_def def = {.type = RTI_TYPE_F32, .output_type = output, .hidden = size.hidden, .heads = 1, .kv_heads = 1, .head_size = 16,
                         .feed_forward = 16, .vocabulary = size.vocabulary, .rotated = 16, .embedding_scale = 1.5f};
    synthetic_create(&s, &def);
    s.network.layer_count = 1;
    s.network.embedding = synthetic_matrix(&s, embedding, size.vocabulary, size.hidden, "embedding");
    machine cpu = machine_open(rti_backend_cpu(), &s.network, precision, RT_KV_F32);
    machine cuda = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, precision, RT_KV_F32);
    const size_t most = 33 * (size_t)size.vocabulary;
    outputs_of(&cpu, size.vocabulary, 33, 0, expected);
    for (size_t i = 0; i < count_count; i++) { // most rows first: fewer rows, and pieces of the matrix, give the same bits
        size_t count = (size_t)counts[i] * (size_t)size.vocabulary;
        outputs_of(&cuda, size.vocabulary, counts[i], (int32_t)(i % 3), again);
        if (count == most) memcpy(found, again, sizeof found);
        if (memcmp(found, again, count * sizeof(float)) != 0) fail_msg("%d rows are not the same bits", counts[i]);
    }
    const rti_type_info *from = rti_type_find((uint32_t)embedding), *to = rti_type_find((uint32_t)output);
    expect_close(difference(expected, found, most), allowed, "%s to %s, %d x %d, %s", from->name, to->name, size.vocabulary, size.hidden,
                 precision == RT_PRECISION_EXACT ? "exact" : "fast");
    machine_close(&cpu);
    machine_close(&cuda);
    synthetic_destroy(&s);
}

static void test_matrices_of_every_type(void **state)
{
    (void)state;
    static const shape plain[] = {{32, 5}, {120, 19}, {288, 16}}, blocks[] = {{32, 5}, {96, 19}, {288, 16}},
                       supers[] = {{256, 5}, {512, 19}, {768, 16}};
    for (size_t i = 0; i < RTI_COUNT(tolerances); i += STRIDE) {
        const tolerance *t = &tolerances[i];
        int block = rti_type_find((uint32_t)t->type)->block_values;
        const shape *shapes = block == 1 ? plain : block == 32 ? blocks : supers;
        for (size_t k = 0; k < RTI_COUNT(plain); k++) {
            check_matrix(RTI_TYPE_F32, t->type, shapes[k], RT_PRECISION_FAST, t->fast);
            check_matrix(RTI_TYPE_F32, t->type, shapes[k], RT_PRECISION_EXACT, t->exact);
        }
        check_matrix(t->type, RTI_TYPE_F32, shapes[1], RT_PRECISION_EXACT, t->exact);
    }
    for (size_t i = 0; i < RTI_COUNT(decoded); i++) check_matrix(decoded[i], decoded[i], supers[1], RT_PRECISION_EXACT, 2e-5);
}

// Activations that 8 bits hold without loss: what is left is the kernel itself, so the tolerance is that of float32.
static void test_quantised_products_are_exact(void **state)
{
    (void)state;
    static float expected[8 * MOST_VOCABULARY], found[8 * MOST_VOCABULARY];
    for (size_t i = 0; i < RTI_COUNT(tolerances); i += STRIDE) {
        synthetic s;
        synthetic_def def = {.type = RTI_TYPE_F32, .output_type = tolerances[i].type, .hidden = 512, .heads = 1, .kv_heads = 1,
                             .head_size = 16, .feed_forward = 16, .vocabulary = 40, .rotated = 16, .embedding_scale = 1.0f};
        synthetic_create(&s, &def);
        s.network.layer_count = 1;
        float *embedding = (float *)s.network.embedding.data, *weight = (float *)s.network.output_norm.values;
        for (int32_t c = 0; c < 512; c++) weight[c] = 1.0f;
        for (int32_t k = 0; k < 40 * 512; k++)
            embedding[k] = k % 32 == 5 ? 127.0f : (float)((int32_t)(synthetic_random(&s) % 255) - 127);
        machine cpu = machine_open(rti_backend_cpu(), &s.network, RT_PRECISION_FAST, RT_KV_F32);
        machine cuda = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, RT_PRECISION_FAST, RT_KV_F32);
        outputs_of(&cpu, 40, 8, 0, expected);
        outputs_of(&cuda, 40, 8, 0, found);
        const rti_type_info *type = rti_type_find((uint32_t)tolerances[i].type);
        expect_close(difference(expected, found, 8 * 40), type->block_values > 1 ? WHOLE : tolerances[i].fast, "%s, whole activations", type->name);
        machine_close(&cpu);
        machine_close(&cuda);
        synthetic_destroy(&s);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// rope_store_heads, attend_chunk, combine_chunks, activate_rows, norm_add_rows: layers, part by part
// ---------------------------------------------------------------------------------------------------------------------

// Fills the cache of both alike, as if a long text had been read.
static void fill_cache(synthetic *s, const machine *a, const machine *b, rt_kv_type kv, const uint32_t *blocks)
{
    const size_t size = (size_t)a->backend->block_bytes(a->device);
    assert_int_equal(b->backend->block_bytes(b->device), size);
    uint8_t *bytes = malloc(size), *back = malloc(size);
    for (uint32_t k = 0; k < BLOCKS; k++) {
        for (size_t i = 0; i < size; i += kv == RT_KV_F32 ? 4 : 2) {
            float value = synthetic_uniform(s);
            if (kv == RT_KV_F32) memcpy(bytes + i, &value, 4);
            else if (kv == RT_KV_F16 || i % 34 == 0) synthetic_half(bytes + i, kv == RT_KV_F16 ? value : 0.008f * fabsf(value));
            else memcpy(bytes + i, &(uint16_t){(uint16_t)(synthetic_random(s) & 0x7f7f)}, 2);
        }
        assert_int_equal(a->backend->block_write(a->device, blocks[k], bytes), RT_OK);
        assert_int_equal(b->backend->block_write(b->device, blocks[k], bytes), RT_OK);
        assert_int_equal(b->backend->block_read(b->device, blocks[k], back), RT_OK);
        assert_memory_equal(bytes, back, size);
    }
    free(bytes);
    free(back);
}

static float element(const uint8_t *bytes, rt_kv_type kv, size_t index)
{
    float value;
    if (kv == RT_KV_F32) return memcpy(&value, bytes + index * 4, 4), value;
    uint16_t half;
    memcpy(&half, kv == RT_KV_F16 ? bytes + index * 2 : bytes + index / 32 * 34, 2);
    value = rti_half_to_float(half);
    return kv == RT_KV_F16 ? value : value * (float)(int8_t)bytes[index / 32 * 34 + 2 + index % 32];
}

// Keys and values that the rows have left in a block.
static double cache_difference(const machine *a, const machine *b, rt_kv_type kv, uint32_t block)
{
    const size_t size = (size_t)a->backend->block_bytes(a->device);
    const size_t count = kv == RT_KV_F32 ? size / 4 : kv == RT_KV_F16 ? size / 2 : size / 34 * 32;
    uint8_t *one = malloc(size), *two = malloc(size);
    float *expected = malloc(count * sizeof(float)), *found = malloc(count * sizeof(float));
    assert_int_equal(a->backend->block_read(a->device, block, one), RT_OK);
    assert_int_equal(b->backend->block_read(b->device, block, two), RT_OK);
    for (size_t i = 0; i < count; i++) {
        expected[i] = element(one, kv, i);
        found[i] = element(two, kv, i);
    }
    double off = difference(expected, found, count);
    free(one);
    free(two);
    free(expected);
    free(found);
    return off;
}

typedef struct layers_case {
    synthetic_def def;
    rt_kv_type kv;
    int32_t start, first_position, rows;
    const char *name;
} layers_case;

#define SILU RTI_ACTIVATION_SILU
#define RMS RTI_NORM_RMS
static const layers_case cases[] = {
    {{RTI_TYPE_F32, RTI_TYPE_F32, 64, 4, 2, 16, 96, 50, RMS, SILU, RTI_ROPE_HALVES, 16, false, false, false, false, false, 0, 0, 0, 1},
     RT_KV_F32, 0, 0, 5, "from the beginning"},
    {{RTI_TYPE_F32, RTI_TYPE_F32, 96, 6, 2, 16, 288, 50, RTI_NORM_LAYER, RTI_ACTIVATION_RELU_SQUARED, RTI_ROPE_HALVES, 8, false, true,
      false, false, false, 0, 0, 0, 1}, RT_KV_F16, 1000, 0, 3, "LayerNorm, squared ReLU, half rotated, biases, eight chunks"},
    {{RTI_TYPE_Q8_0, RTI_TYPE_F16, 160, 4, 1, 48, 352, 50, RMS, RTI_ACTIVATION_GELU_TANH, RTI_ROPE_HALVES, 48, false, false, true, true,
      false, 20, 5.0f, 3.0f, 12.5f}, RT_KV_F32, 700, 0, 33, "GELU, head norms, norms behind, soft caps, a window"},
    {{RTI_TYPE_F8_E4M3, RTI_TYPE_BF16, 120, 3, 3, 32, 200, 50, RMS, SILU, RTI_ROPE_NEIGHBOURS, 32, false, true, true, false, true, 300, 0,
      0, 1}, RT_KV_Q8_0, 1290, 1100, 2, "neighbours turn, FP8 row scales, cache of 8 bits, a sequence that starts late"},
    {{RTI_TYPE_Q4_K, RTI_TYPE_Q6_K, 256, 2, 1, 128, 256, 50, RMS, SILU, RTI_ROPE_NEIGHBOURS, 128, true, false, false, false, false, 0, 0,
      0, 1}, RT_KV_F16, 127, 0, 4, "heads of 128, K-quants, over the edge of a chunk"},
    {{RTI_TYPE_F16, RTI_TYPE_F16, 80, 2, 2, 256, 40, 50, RMS, SILU, RTI_ROPE_HALVES, 256, false, false, false, false, false, 0, 0, 0, 1},
     RT_KV_Q8_0, 40, 0, 1, "heads of 256"},
};

static void run_layer(const machine *m, int32_t layer, int32_t units)
{
    for (int kind = RT_PART_QKV; kind <= RT_PART_FEED_FORWARD_DOWN; kind++) run(m, (rt_part_kind)kind, layer, units);
}

// Each part again with all before it on both sides; `until` is the last one. The output matrix then shows the residual stream.
static double part_difference(const machine *cpu, const machine *cuda, const layers_case *c, const uint32_t *blocks, rt_part_kind until)
{
    static float expected[MOST_ROWS * MOST_VOCABULARY], found[MOST_ROWS * MOST_VOCABULARY];
    const machine *machines[] = {cpu, cuda};
    const int32_t first = c->first_position / RT_KV_BLOCK_TOKENS;
    for (int i = 0; i < 2; i++) {
        begin(machines[i], c->rows, c->start, c->first_position, blocks + first, c->def.vocabulary);
        run(machines[i], RT_PART_EMBED, 0, 0);
        for (int kind = RT_PART_QKV; kind <= (int)until; kind++) run(machines[i], (rt_part_kind)kind, 0, i == 1 ? 1 : 0);
        run(machines[i], RT_PART_LOGITS, 0, 0);
        finish(machines[i], c->rows, c->def.vocabulary, i == 0 ? expected : found);
    }
    return difference(expected, found, (size_t)c->rows * (size_t)c->def.vocabulary);
}

static void check_layers(const layers_case *c, rt_precision precision)
{
    uint32_t blocks[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) blocks[i] = i * 7 % BLOCKS; // any order will do
    synthetic s;
    synthetic_create(&s, &c->def);
    s.layers[0].sliding_window = c->def.window;
    machine cpu = machine_open(rti_backend_cpu(), &s.network, precision, c->kv);
    machine cuda = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, precision, c->kv);
    fill_cache(&s, &cpu, &cuda, c->kv, blocks);
    const bool is_fast = precision == RT_PRECISION_FAST;
    const char *mode = is_fast ? "fast" : "exact";
    const double cached = c->kv == RT_KV_F32 ? 2e-5 : c->kv == RT_KV_F16 ? 3e-3 : 8e-2; // one step of the cache's own rounding
    static const rt_part_kind until[] = {RT_PART_ATTENTION_OUT, RT_PART_FEED_FORWARD_DOWN};
    for (size_t i = 0; i < RTI_COUNT(until); i++)
        expect_close(part_difference(&cpu, &cuda, c, blocks, until[i]), (is_fast ? LAYERS_FAST : LAYERS_EXACT) + cached / 4, "%s, %s, until %s", c->name, mode,
                     rt_part_kind_name(until[i]));
    for (int32_t i = 0; i < c->rows; i += RT_KV_BLOCK_TOKENS)
        expect_close(cache_difference(&cpu, &cuda, c->kv, blocks[(c->start + i) / RT_KV_BLOCK_TOKENS]), cached,
                     "%s, %s, keys and values", c->name, mode);
    machine_close(&cpu);
    machine_close(&cuda);
    synthetic_destroy(&s);
}

static void test_layers_part_by_part(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTI_COUNT(cases); i += STRIDE > 1 ? 3 : 1) {
        check_layers(&cases[i], RT_PRECISION_EXACT);
        check_layers(&cases[i], RT_PRECISION_FAST);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The same bits however a pass is cut
// ---------------------------------------------------------------------------------------------------------------------

static void bits_of(const machine *m, const layers_case *c, const uint32_t *blocks, int32_t rows, int32_t units, float *out)
{
    for (int32_t done = 0; done < c->rows; done += rows) {
        int32_t now = RTI_MIN(rows, c->rows - done);
        begin(m, now, c->start + done, c->first_position, blocks + c->first_position / RT_KV_BLOCK_TOKENS, c->def.vocabulary);
        run(m, RT_PART_EMBED, 0, 0);
        for (int32_t layer = 0; layer < 2; layer++) run_layer(m, layer, units);
        run(m, RT_PART_LOGITS, 0, units);
        finish(m, now, c->def.vocabulary, out + (size_t)done * (size_t)c->def.vocabulary);
    }
}

static void test_the_same_bits_however_it_is_cut(void **state)
{
    (void)state;
    static float whole[MOST_ROWS * MOST_VOCABULARY], parts[MOST_ROWS * MOST_VOCABULARY];
    static const int32_t cuts[][2] = {{1, 0}, {3, 1}, {10, 3}};
    uint32_t blocks[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) blocks[i] = i * 5 % BLOCKS;
    for (size_t i = 0; i < RTI_COUNT(cases); i += STRIDE > 1 ? 4 : 1) {
        layers_case c = cases[i];
        c.rows = 11;
        synthetic s;
        synthetic_create(&s, &c.def);
        machine m = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, RT_PRECISION_FAST, c.kv);
        fill_cache(&s, &m, &m, c.kv, blocks);
        bits_of(&m, &c, blocks, c.rows, 0, whole);
        for (size_t k = 0; k < RTI_COUNT(cuts); k++) {
            bits_of(&m, &c, blocks, cuts[k][0], cuts[k][1], parts);
            if (memcmp(whole, parts, (size_t)c.rows * (size_t)c.def.vocabulary * sizeof(float)) != 0)
                fail_msg("%s: %d rows in units of %d differ", c.name, cuts[k][0], cuts[k][1]);
        }
        machine_close(&m);
        synthetic_destroy(&s);
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// sample_row: the CPU sampler's token, from the same logits
// ---------------------------------------------------------------------------------------------------------------------

static uint32_t below(synthetic *s, uint32_t count)
{
    return synthetic_random(s) % count;
}

static void random_request(synthetic *s, int32_t vocabulary, rt_sampler_def *def, rt_token *history, uint32_t *mask, rt_sample_request *request)
{
    static const float temperatures[] = {0.0f, 0.7f, 1.0f, 4.0f}, top_ps[] = {1.0f, 0.9f, 0.3f}, min_ps[] = {0.0f, 0.05f, 0.5f},
                       penalties[] = {1.0f, 1.3f, 0.8f};
    static const int32_t top_ks[] = {1, 2, 5, 40, 256, 0, 300};
    *def = (rt_sampler_def){.temperature = temperatures[below(s, 4)], .top_k = top_ks[below(s, 7)], .top_p = top_ps[below(s, 3)],
                            .min_p = min_ps[below(s, 3)], .repetition_penalty = penalties[below(s, 3)],
                            .repetition_window = (int32_t)below(s, 65), .seed = synthetic_random(s)};
    for (int i = 0; i < 80; i++) history[i] = (rt_token)below(s, (uint32_t)vocabulary + 3) - 1; // some are none
    const uint32_t kind = below(s, 6);
    for (int32_t i = 0; i < (vocabulary + 31) / 32; i++) mask[i] = kind == 0 ? 0 : synthetic_random(s) & synthetic_random(s);
    if (kind == 1) {
        memset(mask, 0, (size_t)(vocabulary + 31) / 32 * sizeof *mask);
        mask[(vocabulary - 1) / 32] = 1u << (vocabulary - 1) % 32;
    }
    *request = (rt_sample_request){.sampler = def, .step = below(s, 1000), .history = history, .history_count = (int32_t)below(s, 81),
                                   .mask = kind > 3 ? NULL : mask};
}

static void test_tokens_are_those_of_the_cpu(void **state)
{
    (void)state;
    static const int32_t vocabularies[] = {1, 33, 777};
    static float logits[4 * 777];
    static uint8_t scratch[777 * 8];
    for (size_t v = 0; v < RTI_COUNT(vocabularies); v++) {
        const int32_t vocabulary = vocabularies[v];
        synthetic s;
        synthetic_def def = {.type = RTI_TYPE_F32, .output_type = RTI_TYPE_F32, .hidden = 32, .heads = 1, .kv_heads = 1, .head_size = 16,
                             .feed_forward = 16, .vocabulary = vocabulary, .rotated = 16, .embedding_scale = 1.0f};
        synthetic_create(&s, &def);
        s.network.layer_count = 1;
        float *output = (float *)s.network.output.data;
        for (int32_t row = 1; row < vocabulary; row++) // every third token as likely as the one before
            if (row % 3 == 0) memcpy(output + row * 32, output + (row - 1) * 32, 32 * sizeof(float));
        for (int32_t c = 0; c < 32 && vocabulary > 32; c++) output[20 * 32 + c] = NAN;
        machine m = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, RT_PRECISION_EXACT, RT_KV_F32);
        static const uint32_t blocks[2] = {3, 1};
        begin(&m, 4, 0, 0, blocks, vocabulary);
        run(&m, RT_PART_EMBED, 0, 0);
        run(&m, RT_PART_LOGITS, 0, 0);
        for (int i = 0; i < 400 / STRIDE; i++) {
            rt_sampler_def sampler;
            rt_token history[80], expected, found;
            uint32_t mask[25];
            rt_sample_request request;
            random_request(&s, vocabulary, &sampler, history, mask, &request);
            rt_result result = m.backend->sample(m.device, 0, i % 4, &request, &found);
            const float *row;
            assert_int_equal(m.backend->logits(m.device, 0, i % 4, &row), RT_OK);
            assert_int_equal(rt_sample(row, vocabulary, &request, scratch, &expected), result);
            if (expected != found)
                fail_msg("%d tokens, request %d: %d instead of %d (temperature %g, top_k %d)", vocabulary, i, found, expected,
                         (double)sampler.temperature, sampler.top_k);
        }
        finish(&m, 4, vocabulary, logits);
        machine_close(&m);
        synthetic_destroy(&s);
    }
}

// What was queued and is dropped does nothing, without anybody waiting for it; the next pass runs.
static void test_a_dropped_pass_does_nothing(void **state)
{
    (void)state;
    const rti_emulation_faults *faults = test_cuda_faults();
    if (!faults) skip(); // a real stream cannot be held
    layers_case c = cases[0];
    uint32_t blocks[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++) blocks[i] = i;
    synthetic s;
    synthetic_create(&s, &c.def);
    machine m = machine_open(rti_backend_cuda(NULL, test_cuda_plugin()), &s.network, RT_PRECISION_FAST, c.kv);
    fill_cache(&s, &m, &m, c.kv, blocks);
    const size_t size = (size_t)m.backend->block_bytes(m.device);
    uint8_t *before = malloc(size), *after = malloc(size);
    assert_int_equal(m.backend->block_read(m.device, 0, before), RT_OK);
    const int64_t waiting = faults->calls(RTI_EMULATED_SYNCHRONISING);
    faults->hold_streams(true);
    begin(&m, c.rows, 0, 0, blocks, c.def.vocabulary);
    rt_part parts[6] = {{.kind = RT_PART_EMBED, .unit_end = 1, .unit_count = 1}};
    for (int i = 1; i < 6; i++) {
        parts[i].kind = (rt_part_kind)i;
        parts[i].unit_count = parts[i].unit_end = m.backend->part_units(m.device, 0, parts[i].kind, 0);
    }
    assert_int_equal(m.backend->run(m.device, 0, parts, 6), RT_OK);
    bool idle = true;
    uint64_t elapsed;
    assert_int_equal(m.backend->poll(m.device, 0, &idle, &elapsed), RT_OK);
    assert_false(idle);
    m.backend->cancel(m.device, 0);
    m.backend->pass_end(m.device, 0);
    assert_int_equal(faults->calls(RTI_EMULATED_SYNCHRONISING), waiting);
    faults->hold_streams(false);
    assert_int_equal(m.backend->block_read(m.device, 0, after), RT_OK);
    assert_memory_equal(before, after, size);
    begin(&m, c.rows, 0, 0, blocks, c.def.vocabulary);
    run(&m, RT_PART_EMBED, 0, 0);
    run_layer(&m, 0, 0);
    assert_int_equal(m.backend->block_read(m.device, 0, after), RT_OK);
    assert_memory_not_equal(before, after, size);
    free(before);
    free(after);
    machine_close(&m);
    synthetic_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrices_of_every_type),
        cmocka_unit_test(test_quantised_products_are_exact),
        cmocka_unit_test(test_layers_part_by_part),
        cmocka_unit_test(test_the_same_bits_however_it_is_cut),
        cmocka_unit_test(test_tokens_are_those_of_the_cpu),
        cmocka_unit_test(test_a_dropped_pass_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
