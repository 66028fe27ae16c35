// The roofline of each kernel of the CPU backend, as tables in Markdown: what it reaches beside what this machine gives.
//
//   scripts/build.sh release bench_kernels && build/release/bench/bench_kernels
//
// Two ceilings are measured first, and again with every row of a table: how fast one thread reads memory (huge pages), and how
// many products an instruction set's widest multiply-add does a second. A matrix of MATRIX_BYTES is then multiplied from
// memory; and one panel, which stays in the first cache, over and over. What counts is the fastest of the repetitions: a virtual
// machine's interruptions are no property of a kernel.
//
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MATRIX_BYTES ((size_t)96 << 20)
#define COLUMNS 2048
#define RESIDENT_COLUMNS 576
#define MOST_ROWS 32
#define REPETITIONS 7
#define HEAD 64
#define QUERIES 3 // heads that share keys and values, as the default model has them

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// The fastest of some repetitions, in seconds.
static double fastest(void (*run)(void *), void *context)
{
    double least = 1e9;
    run(context); // warms up
    for (int i = 0; i < REPETITIONS; i++) {
        const double start = now_s();
        run(context);
        const double took = now_s() - start;
        least = took < least ? took : least;
    }
    return least;
}

// ---------------------------------------------------------------------------------------------------------------------
// Ceilings
// ---------------------------------------------------------------------------------------------------------------------

typedef struct reading {
    const uint8_t *data;
    size_t bytes;
    volatile uint64_t sum;
} reading;

static void read_all(void *context)
{
    reading *r = context;
    uint64_t sums[8] = {0};
    for (size_t at = 0; at + 64 <= r->bytes; at += 64) {
        const uint64_t *line = (const uint64_t *)(const void *)(r->data + at);
        __builtin_prefetch(r->data + at + 8192, 0, 2);
        for (int i = 0; i < 8; i++)
            sums[i] ^= line[i];
    }
    for (int i = 0; i < 8; i++)
        r->sum ^= sums[i];
}

#define PRODUCT_ROUNDS 4000000
#define CHAINS 12 // independent sums: more than the latency of any of them
#define EVERY_CHAIN _Pragma("GCC unroll 12") // each in a register

#if defined(__x86_64__)
// The widest byte product of each instruction set, and its fused multiply-add, with nothing else to do. The empty assembly
// keeps a compiler from doing them once.
#define PRODUCT_LOOP(name, isa, vector, constraint, step)                                     \
    __attribute__((target(isa))) static void name(void *unused)                               \
    {                                                                                         \
        vector sum[CHAINS], factor = {0};                                                     \
        (void)unused;                                                                         \
        EVERY_CHAIN                                                                           \
        for (int i = 0; i < CHAINS; i++)                                                      \
            sum[i] = factor;                                                                  \
        for (int n = 0; n < PRODUCT_ROUNDS / CHAINS; n++) {                                   \
            EVERY_CHAIN                                                                       \
            for (int i = 0; i < CHAINS; i++) {                                                \
                __asm__ volatile("" : "+" constraint(sum[i]), "+" constraint(factor));        \
                sum[i] = step;                                                                \
            }                                                                                 \
        }                                                                                     \
        EVERY_CHAIN                                                                           \
        for (int i = 0; i < CHAINS; i++)                                                      \
            __asm__ volatile("" : : constraint(sum[i]));                                      \
    }
PRODUCT_LOOP(products_avx512, "avx512f,avx512vnni", __m512i, "v", _mm512_dpbusd_epi32(sum[i], factor, factor))
PRODUCT_LOOP(products_avxvnni, "avxvnni", __m256i, "x", _mm256_dpbusd_avx_epi32(sum[i], factor, factor))
// Without byte products of 32 bits: pairs of 16 bits, added up, as the kernels for 4 and 5 bits have it.
PRODUCT_LOOP(products_avx2, "avx2", __m256i, "x", _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(factor, factor)))
PRODUCT_LOOP(floats_avx512, "avx512f", __m512, "v", _mm512_fmadd_ps(factor, factor, sum[i]))
PRODUCT_LOOP(floats_avx2, "avx2,fma", __m256, "x", _mm256_fmadd_ps(factor, factor, sum[i]))
#endif

// G products a second of the widest instruction: of bytes, or of floats.
static double product_peak(const rti_kernels *kernels, bool of_bytes)
{
#if defined(__x86_64__)
    if (kernels == &rti_kernels_avx512)
        return PRODUCT_ROUNDS * (of_bytes ? 64e-9 : 16e-9) / fastest(of_bytes ? products_avx512 : floats_avx512, NULL);
    if (kernels == &rti_kernels_avxvnni && of_bytes)
        return PRODUCT_ROUNDS * 32e-9 / fastest(products_avxvnni, NULL);
    if (kernels == &rti_kernels_avx2 || kernels == &rti_kernels_avxvnni)
        return PRODUCT_ROUNDS * (of_bytes ? 32e-9 : 8e-9) / fastest(of_bytes ? products_avx2 : floats_avx2, NULL);
#endif
    (void)kernels;
    (void)of_bytes;
    return 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrices
// ---------------------------------------------------------------------------------------------------------------------

typedef struct workload {
    const rti_kernels *kernels;
    rti_packed matrix;
    rti_act activations;
    bool is_float;
    int32_t rows, planes, repeats;
    float *out;
    uint8_t *memory; // of MATRIX_BYTES and one panel more
} workload;

static void multiply(void *context)
{
    const workload *w = context;
    for (int32_t repeat = 0; repeat < w->repeats; repeat++)
        for (int32_t panel = 0; panel < w->matrix.panels; panel++) {
            if (w->is_float)
                w->kernels->matrix_float(&w->matrix, panel, &w->activations, 0, w->rows, w->out, RTI_PANEL_ROWS);
            else
                w->kernels->matrix_fast(&w->matrix, panel, w->planes, &w->activations, 0, w->rows, w->out, RTI_PANEL_ROWS);
        }
}

static void shape(workload *w, const rti_form *form, int32_t columns, bool resident)
{
    const int32_t panels = resident ? 1 : (int32_t)(MATRIX_BYTES / rti_packed_bytes(form, RTI_PANEL_ROWS, columns));
    rti_packed_shape(&w->matrix, form, panels * RTI_PANEL_ROWS, columns);
    w->matrix.data = w->memory;
    w->is_float = form->bits == RTI_BITS_FLOAT;
    w->repeats = resident ? 2000 / w->rows + 1 : 1;
}

static double products_of(const workload *w)
{
    return (double)w->repeats * w->matrix.panels * RTI_PANEL_ROWS * w->matrix.columns * w->rows;
}

// Giga-products a second.
static double multiply_speed(workload *w, const rti_form *form, int32_t rows, bool resident)
{
    w->rows = rows;
    shape(w, form, resident ? RESIDENT_COLUMNS : COLUMNS, resident);
    return products_of(w) * 1e-9 / fastest(multiply, w);
}

static void print_matrix_row(workload *w, const rti_form *form, double peaks[2])
{
    reading r = {.data = w->memory, .bytes = MATRIX_BYTES};
    const double read = MATRIX_BYTES * 1e-9 / fastest(read_all, &r);
    const double one = multiply_speed(w, form, 1, false);
    const double bytes = (double)w->matrix.panels * (double)w->matrix.panel_bytes;
    const double moved = one * bytes / products_of(w);
    w->planes = 2;
    const double fine = multiply_speed(w, form, 1, false) * bytes / products_of(w);
    w->planes = 1;
    const double peak = peaks[w->is_float];
    printf("| %s | %.1f |", rti_type_find((uint32_t)form->type)->name, bytes * 32 / (double)(w->matrix.rows) / COLUMNS);
    printf(" %.1f | %.1f | %.0f %% | %.0f %% |", one, moved, 100 * moved / read, 100 * fine / read);
    printf(" %.0f |", multiply_speed(w, form, 8, false));
    static const int32_t resident[] = {1, 8, MOST_ROWS};
    for (size_t i = 0; i < RTI_COUNT(resident); i++) {
        const double speed = multiply_speed(w, form, resident[i], true);
        printf(" %.0f", speed);
        if (peak > 0 && resident[i] > 1)
            printf(" (%.0f %%)", 100 * speed / peak);
        printf(" |");
    }
    printf("\n");
    fflush(stdout);
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention
// ---------------------------------------------------------------------------------------------------------------------

typedef struct attention_load {
    const rti_kernels *kernels;
    rti_attention_job job;
    size_t half_bytes; // of a block's keys, or of its values
    int32_t blocks;
    const uint8_t *memory;
} attention_load;

static void attend(void *context)
{
    attention_load *a = context;
    for (int i = 0; i < a->job.query_count; i++) {
        a->job.peak[i] = -1e30f;
        a->job.total[i] = 0;
    }
    for (int32_t b = 0; b < a->blocks; b++) {
        const uint8_t *at = a->memory + (size_t)b * 2 * a->half_bytes;
        a->job.keys = at;
        a->job.values = at + a->half_bytes;
        a->job.next_keys = b + 1 < a->blocks ? at + 2 * a->half_bytes : NULL;
        a->job.next_values = b + 1 < a->blocks ? at + 3 * a->half_bytes : NULL;
        a->kernels->attention(&a->job);
    }
}

static void print_attention(const rti_kernels *kernels, const uint8_t *memory)
{
    static float query[HEAD], out[QUERIES][HEAD], scratch[HEAD * RTI_KV_SLOTS * 2 + 64 * RTI_KV_SLOTS] __attribute__((aligned(64)));
    static const float *queries[QUERIES];
    static float *outs[QUERIES], peak[QUERIES], total[QUERIES];
    static int32_t begin[QUERIES], end[QUERIES];
    for (int i = 0; i < QUERIES; i++) {
        queries[i] = query;
        outs[i] = out[i];
        end[i] = RTI_KV_SLOTS;
    }
    static const struct {
        rt_kv_type type;
        const char *name;
        double bytes;
    } types[] = {{RT_KV_F16, "F16", 2}, {RT_KV_Q8_0, "Q8_0", 1.0625}};
    for (size_t i = 0; i < RTI_COUNT(types); i++) {
        attention_load a = {.kernels = kernels, .memory = memory, .half_bytes = (size_t)(types[i].bytes * HEAD * RTI_KV_SLOTS)};
        a.blocks = (int32_t)(MATRIX_BYTES / 2 / a.half_bytes);
        a.job = (rti_attention_job){.queries = queries, .query_count = QUERIES, .head_size = HEAD, .kv_type = types[i].type, .begin = begin,
                                    .end = end, .scale = 0.125f, .peak = peak, .total = total, .out = outs, .scratch = scratch};
        const double bytes = 2.0 * (double)a.half_bytes * a.blocks;
        const double from_memory = bytes * 1e-9 / fastest(attend, &a);
        a.blocks = 4; // stays in the first cache, or nearly
        double resident = 0;
        for (int k = 0; k < 5; k++) {
            const double took = fastest(attend, &a);
            resident = RTI_MAX(resident, 2.0 * (double)a.half_bytes * a.blocks * 1e-9 / took);
        }
        reading r = {.data = memory, .bytes = MATRIX_BYTES};
        const double read = MATRIX_BYTES * 1e-9 / fastest(read_all, &r);
        printf("| attention, %s, %d queries on a head of %d | %.1f | %.0f %% | %.1f |\n", types[i].name, QUERIES, HEAD, from_memory,
               100 * from_memory / read, resident);
    }
}

// ---------------------------------------------------------------------------------------------------------------------

static void activations_create(rti_arena *arena, const rti_kernels *kernels, rti_act *act)
{
    const size_t count = (size_t)MOST_ROWS * COLUMNS;
    rti_act_place(arena, kernels, act, MOST_ROWS, COLUMNS, true, true);
    for (size_t i = 0; act->values && i < count; i++)
        act->values[i] = (float)((double)(i * 2654435761u % 1000) / 500.0 - 1.0);
    for (int32_t row = 0; act->values && row < MOST_ROWS; row++)
        kernels->quantize(act, row, 0, COLUMNS, 2);
}

static void tables(const rti_kernels *kernels, uint8_t *memory, uint8_t *scratch)
{
    static const rti_type types[] = {RTI_TYPE_Q4_0, RTI_TYPE_Q4_1, RTI_TYPE_Q8_0, RTI_TYPE_Q4_K, RTI_TYPE_Q5_K, RTI_TYPE_Q6_K,
                                     RTI_TYPE_IQ4_NL, RTI_TYPE_F16, RTI_TYPE_BF16, RTI_TYPE_F8_E4M3};
    static float out[MOST_ROWS * RTI_PANEL_ROWS] __attribute__((aligned(64)));
    workload w = {.kernels = kernels, .planes = 1, .memory = memory, .out = out};
    rti_arena arena = {.base = scratch};
    activations_create(&arena, kernels, &w.activations);
    double peaks[2] = {product_peak(kernels, true), product_peak(kernels, false)};
    printf("\n%s: at most %.0f G products of bytes and %.0f G of floats a second.\n\n", kernels->name, peaks[0], peaks[1]);
    printf("| type | bytes for 32 | 1 row: G products/s | GB/s | of reading | with 16 bits | 8 rows | in cache: 1 row |"
           " 8 rows (of the most) | %d rows (of the most) |\n", MOST_ROWS);
    printf("|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < RTI_COUNT(types); i++)
        print_matrix_row(&w, rti_form_find(types[i]), peaks);
    printf("\n| kernel | GB/s from memory | of reading | in cache |\n|---|---|---|---|\n");
    print_attention(kernels, memory);
}

int main(int argc, char **argv)
{
    const size_t bytes = MATRIX_BYTES + ((size_t)1 << 20), scratch_bytes = (size_t)2 << 20;
    uint8_t *memory = rti_huge_allocate(NULL, bytes), *scratch = rti_huge_allocate(NULL, scratch_bytes);
    if (!memory || !scratch) {
        fprintf(stderr, "bench_kernels: no memory for %zu bytes\n", bytes + scratch_bytes);
        return 1;
    }
    for (size_t i = 0; i < bytes; i++)
        memory[i] = (uint8_t)((i * 151 >> 3 & 0x1b) | 0x20); // in every type a number of ordinary size
    static const struct {
        rt_isa isa;
        bool vnni;
    } sets[] = {{RT_ISA_AVX2, false}, {RT_ISA_AVX2, true}, {RT_ISA_AVX512, true}, {RT_ISA_AMX, true}};
    const rti_kernels *last = NULL;
    for (size_t i = 0; i < RTI_COUNT(sets); i++) {
        const rti_kernels *kernels = rt_isa_supported(sets[i].isa) ? rti_kernels_for(sets[i].isa, sets[i].vnni) : NULL;
        if (!kernels || kernels == last || (argc > 1 && strcmp(argv[1], kernels->name) != 0))
            continue;
        memset(scratch, 0, scratch_bytes);
        tables(kernels, memory, scratch);
        last = kernels;
    }
    rti_huge_release(NULL, memory, bytes);
    rti_huge_release(NULL, scratch, scratch_bytes);
    return 0;
}
