// backend/cpu/cpu.h - what the files of the CPU backend share: packed matrices, activations, the kernel table.
//
// The arithmetic contract, for one output row of a matrix and one row of activations:
//
//   integer forms    for each block of 32 columns, ascending:   isum = sum of q * a, exact in 32 bits
//                    acc = fma(scale * activation_scale, (float)isum, acc)     (two halves of 16 where a type has them)
//                    acc = fma(minimum, activation_scale * sum of a, acc)      where the type has a minimum
//   float forms      for each block of 32 columns, ascending:   t[j] = chain of fma over columns j, j+4, j+8 ...
//                    acc = acc + ((t[0] + t[1]) + (t[2] + t[3]))
//   then             y = acc * row scale (where there is one);  y = y + bias (where there is one)
//
// A SIMD lane is an output row, so that every instruction set does just this. Sums along a row of activations (norms) are 16
// partial sums, element i in sum i mod 16, then the tree of lanes_sum.
//
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_H
#define RTI_CPU_H

#include "backend/backend.h"
#include "base/base.h"

#include <stdatomic.h>

#define RTI_PANEL_ROWS 16    // output rows packed together: one lane each
#define RTI_BLOCK_COLUMNS 32 // columns in a block
#define RTI_KV_SLOTS RT_KV_BLOCK_TOKENS

// ---------------------------------------------------------------------------------------------------------------------
// Packed matrices
// ---------------------------------------------------------------------------------------------------------------------

// How the 512 values of a block of a panel (16 rows, 32 columns) are held. "Vector j" is 64 bytes: 4 columns (a quad) of
// each of the 16 rows, in the order that byte dot products take.
typedef enum rti_bits {
    RTI_BITS_4,     // 4 vectors: quad i in the low half-bytes of vector i, quad i + 4 in the high ones
    RTI_BITS_5,     // the same and a vector of fifth bits: bit j of a byte belongs to quad j
    RTI_BITS_6,     // the same and two vectors of upper bit pairs: pair i of vector 0 to quad i, of vector 1 to quad i + 4
    RTI_BITS_8,     // 8 vectors
    RTI_BITS_TABLE, // like 4, an index into 16 values
    RTI_BITS_FLOAT, // 32 columns of 16 values each: F32, F16 or BF16; F8: 16 pairs of columns, a pair of each row in 16 bits
} rti_bits;

// How scales are held, in a header before the blocks that share it.
typedef enum rti_scales {
    RTI_SCALES_NONE,
    RTI_SCALES_HALF,         // a half each row and block; 2 blocks a header
    RTI_SCALES_HALF_MINIMUM, // a scale and a minimum, halves; 1 block a header
    RTI_SCALES_FLOAT,        // a float each row and block
    RTI_SCALES_K32,          // super-blocks of 8: a half a row, times a signed byte a block
    RTI_SCALES_K32_MINIMUM,  // two halves a row, times an unsigned byte each a block
    RTI_SCALES_K16,          // a half a row, times a signed byte each 16 columns
    RTI_SCALES_K16_MINIMUM,
} rti_scales;

typedef struct rti_form {
    rti_type type;
    rti_bits bits;
    rti_scales scales;
    int32_t offset;       // q = stored - offset
    int32_t group;        // blocks a header
    int32_t header_bytes; // multiples of 64
    int32_t block_bytes;
    const uint8_t *table; // 16 entries, stored = table[index]
} rti_form;

// NULL where the type has none.
const rti_form *rti_form_find(rti_type type);

// A matrix in panels: panel p (rows 16p ..) begins at data + p * panel_bytes.
typedef struct rti_packed {
    const rti_form *form;
    uint8_t *data;
    size_t panel_bytes;
    int32_t rows, columns; // as in the file
    int32_t panels, blocks; // rows and columns rounded up
    const float *row_scale; // panels * 16 entries, or NULL
    const float *bias;      // the same
} rti_packed;

// Panel p's header of the group that block b is in, and the block's values.
static inline const uint8_t *rti_packed_header(const rti_packed *m, int32_t panel, int32_t block)
{
    const rti_form *form = m->form;
    size_t group_bytes = (size_t)form->header_bytes + (size_t)form->group * (size_t)form->block_bytes;
    return m->data + (size_t)panel * m->panel_bytes + (size_t)(block / form->group) * group_bytes;
}

size_t rti_packed_bytes(const rti_form *form, int32_t rows, int32_t columns);
// Shapes `packed` for `matrix`; data is set by the caller.
void rti_packed_shape(rti_packed *packed, const rti_form *form, int32_t rows, int32_t columns);
// Packs panels [begin, end). False: a value that is not a number (FP8).
bool rti_pack_panels(const rti_packed *packed, const rti_matrix *matrix, int32_t begin, int32_t end);

// ---------------------------------------------------------------------------------------------------------------------
// Activations
// ---------------------------------------------------------------------------------------------------------------------

// Of 32 rounded activations: value = d * a.
typedef struct rti_act_scale {
    float d;
    float s; // d * sum of a
} rti_act_scale;

typedef struct rti_act_halves {
    float s[2]; // d * sum of each 16
    int32_t minus_sum[2];
} rti_act_halves;

// One rounding of all rows: to 8 bits, or to 16.
typedef struct rti_act_rounding {
    rti_act_scale *scales;
    int32_t *minus_sums;   // -(sum of a): offsets of weights are taken off with it
    rti_act_halves *halves;
} rti_act_rounding;

// Rows of activations, as floats, rounded, or both. Strides count elements; columns are padded with zeros to whole blocks.
// 8 bits: a = q. 16 bits: a = 256 * q + low, so that both can be read from one rounding.
typedef struct rti_act {
    float *values;
    int8_t *q, *low;
    int16_t *words[2];            // by planes - 1: all bits of each, for kernels that take words; of a quad the columns 0, 2, 1, 3
    rti_act_rounding rounding[2]; // by planes - 1
    size_t stride;                // of values, q, low, words
    size_t scale_stride;          // stride / 32
} rti_act;

// ---------------------------------------------------------------------------------------------------------------------
// Kernels: one table an instruction set, the same bits from each
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rti_attention_job {
    const float *const *queries;
    int32_t query_count;
    int32_t head_size;
    rt_kv_type kv_type;
    const void *keys, *values; // of one block and head, as the backend holds them
    const void *next_keys, *next_values; // what comes after: fetched meanwhile
    const int32_t *begin, *end; // slots that each query sees
    float scale, softcap;
    float *peak, *total;     // of each query: running maximum (-INFINITY: nothing accumulated yet) and sum
    float *const *out;       // of each query: running weighted sum, head_size floats
    float *scratch;          // rti_attention_scratch_floats(head_size)
} rti_attention_job;

typedef struct rti_kernels {
    rt_isa isa;
    const char *name;
    bool takes_words; // of activations, see rti_act
    // One panel times rows [row, row + count): out[i * out_stride + lane]. Integer form, or float activations.
    void (*matrix_fast)(const rti_packed *m, int32_t panel, int32_t planes, const rti_act *in, int32_t row, int32_t count,
                        float *out, size_t out_stride);
    void (*matrix_float)(const rti_packed *m, int32_t panel, const rti_act *in, int32_t row, int32_t count, float *out,
                         size_t out_stride);
    void (*row_decode)(const rti_packed *m, int32_t row, float scale, float *out); // m->blocks * 32 values
    // n is a multiple of 32 in the following; x beyond `count` is zero and stays zero.
    void (*norm)(rti_norm_kind kind, const float *x, const float *weight, const float *bias, int32_t count, int32_t n,
                 float epsilon, float *out);
    // Rounds columns [begin, begin + n) of a row's values: planes 1 to 8 bits, 2 to 8 and to 16.
    void (*quantize)(const rti_act *act, int32_t row, int32_t begin, int32_t n, int32_t planes);
    void (*activate)(rti_activation kind, const float *gate, const float *up, int32_t n, float *out); // n: of 16
    void (*add)(float *x, const float *y, int32_t n);                                              // n: of 16
    void (*softcap)(float *x, int32_t n, float cap);                                              // n: of 16
    void (*to_half)(const float *x, int32_t n, uint16_t *out);                                    // n: of 16
    // One key-value block's part of the attention of some queries on one head.
    void (*attention)(const rti_attention_job *job);
    // Joins a chunk's (peak, total, out) onto another's; n: of 16.
    void (*attention_merge)(float *peak, float *total, float *out, float peak2, float total2, const float *out2, int32_t n);
    void (*scale)(float *x, int32_t n, float divisor); // x / divisor
} rti_kernels;

extern const rti_kernels rti_kernels_scalar;
#if defined(__x86_64__)
extern const rti_kernels rti_kernels_avx2, rti_kernels_avxvnni, rti_kernels_avx512, rti_kernels_amx;
#endif
// The table for a supported instruction set (never AUTO). `vnni` false: AVX2 without AVX-VNNI, for tests.
const rti_kernels *rti_kernels_for(rt_isa isa, bool vnni);
rt_isa rti_isa_choose(rt_isa isa); // AUTO becomes the best

static inline size_t rti_attention_scratch_floats(int32_t head_size)
{
    return (size_t)head_size * RTI_KV_SLOTS * 2 + 64 * RTI_KV_SLOTS;
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory: objects laid out twice by the same code, first to count, then to place
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rti_arena {
    uint8_t *base; // NULL: only counts
    size_t used;
    bool overflow;
} rti_arena;

// count * size bytes, aligned to 64.
void *rti_arena_take(rti_arena *arena, size_t count, size_t size);
// Room for rows of activations as floats and, unless only those are wanted, rounded to 8 bits; `wide`: to 16 as well.
void rti_act_place(rti_arena *arena, const rti_kernels *kernels, rti_act *act, int32_t rows, int32_t columns, bool rounded, bool wide);
// Aligned to 2 MiB, and the system is asked for huge pages: half the read bandwidth is lost without.
void *rti_huge_allocate(const rt_host *host, size_t bytes);
void rti_huge_release(const rt_host *host, void *pointer, size_t bytes);

static inline int32_t rti_round_up(int32_t n, int32_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

// ---------------------------------------------------------------------------------------------------------------------
// Threads
// ---------------------------------------------------------------------------------------------------------------------

// Work units [begin, end) of a phase on one thread. `thread` is 0 for the caller.
typedef void rti_phase_function(void *context, int32_t phase, int32_t thread, int32_t begin, int32_t end);

typedef struct rti_pool rti_pool;
rt_result rti_pool_create(const rt_host *host, int32_t worker_count, const int32_t *cpus, uint32_t spin_us, rti_pool **pool);
void rti_pool_destroy(rti_pool *pool);
size_t rti_pool_bytes(int32_t worker_count);
int32_t rti_pool_threads(const rti_pool *pool); // workers and the caller

// Runs phases 0 .. phase_count-1, each only when the one before is complete; units[p] of phase p are shared out in small
// pieces. finished_ns (may be NULL): when each was complete.
#define RTI_POOL_MAX_PHASES 48
void rti_pool_run(rti_pool *pool, rti_phase_function *function, void *context, int32_t phase_count, const int32_t *units,
                  uint64_t *finished_ns);

// ---------------------------------------------------------------------------------------------------------------------
// Weights and rotation
// ---------------------------------------------------------------------------------------------------------------------

typedef struct rti_packed_layer {
    rti_packed query, key, value, attention_output, gate, up, down;
    // Padded with zeros to whole blocks; NULL where absent.
    const float *attention_norm, *attention_norm_bias, *query_norm, *key_norm, *post_attention_norm;
    const float *feed_forward_norm, *feed_forward_norm_bias, *post_feed_forward_norm;
} rti_packed_layer;

// Whose input: how finely activations are rounded is chosen for each.
typedef enum rti_role {
    RTI_ROLE_QUERY_KEY,
    RTI_ROLE_VALUE,
    RTI_ROLE_ATTENTION_OUT,
    RTI_ROLE_UP,
    RTI_ROLE_DOWN,
    RTI_ROLE_LOGITS,
    RTI_ROLE_COUNT,
} rti_role;

struct rti_weights {
    rt_host host;
    const rti_network *network;
    const rti_kernels *kernels;
    rt_precision precision;
    bool any_float; // some matrix takes float activations
    int32_t planes[RTI_ROLE_COUNT];
    rti_packed_layer *layers;
    rti_packed embedding, output; // the same where tied
    const float *output_norm, *output_norm_bias;
    uint8_t *arena;
    size_t arena_bytes;
    size_t layers_bytes;
    uint64_t packed_bytes;
};

// Whether a matrix takes float activations.
static inline bool rti_packed_is_float(const rti_weights *weights, const rti_packed *m)
{
    return weights->precision == RT_PRECISION_EXACT || m->form->bits == RTI_BITS_FLOAT;
}

// Reads the arena's contents from `folder`, or writes them. False: packing is needed, and the arena to be placed again.
bool rti_pack_cache_read(rti_weights *weights, const char *folder);
void rti_pack_cache_write(const rti_weights *weights, const char *folder);

rt_result rti_weights_create_cpu(const rti_weights_def *def, rti_weights **weights);
void rti_weights_destroy_cpu(rti_weights *weights);

// sin and cos of x in double, |x| < 2^20; the same bits on every machine.
void rti_sin_cos(double x, double *sine, double *cosine);
// cos, sin of position * frequency[i], times magnitude: table[2i], table[2i+1].
void rti_rope_table(const rti_rope *rope, int32_t position, float *table);
void rti_rope_turn(const rti_rope *rope, const float *table, float *head);

#endif
