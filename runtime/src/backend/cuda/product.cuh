// cuda/product.cuh - a record of weights times activation rows on the tensor cores: quantised weights with exact sums inside a block;
// F16, BF16 and F8 as bfloat16, with float32 sums.
//
// An activation beside the latter is two bfloat16, its rounding and what that leaves: 16 bits. So is an F16 weight, without loss.
// One form of weights is one kernel, so that what it does not need takes no instruction.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_PRODUCT_CUH
#define RTI_CUDA_PRODUCT_CUH

#include "backend/cuda/matrix.cuh"

// ---------------------------------------------------------------------------------------------------------------------
// The tensor-core product: D (16 x 8, int32) = A (16 x 32, int8) B (32 x 8, int8) + C
// ---------------------------------------------------------------------------------------------------------------------
//
// Lane = 4 g + t holds (PTX ISA, "Matrix Fragments for mma.m16n8k32"):
//   A: a0 row g, columns 4t..4t+3;  a1 row g + 8, the same;  a2 row g, columns 16+4t..;  a3 row g + 8, columns 16+4t..
//   B: b0 rows 4t..4t+3 of column g;  b1 rows 16+4t.. of column g
//   D: d0 row g, column 2t;  d1 row g, column 2t+1;  d2 row g + 8, column 2t;  d3 row g + 8, column 2t+1
// mma.m16n8k16 has a0, a1 and b0 of these, and the same D.
//
// Every element of C is MAGIC, the bits of 1.5 * 2^23: D plus that is, read as a float, exactly 1.5 * 2^23 plus the sum, whose
// magnitude is below 2^22. A subtraction takes the place of a conversion.

#define MAGIC 0x4b400000
#define MAGIC_VALUE 12582912.0f

#if defined(RTI_CUDA_EMULATION)
// `parts` of 16 columns.
static void emulated_product(const int *a, const int *b, int parts, int d[4])
{
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int fragment[6] = {a[0], a[1], parts > 1 ? a[2] : 0, parts > 1 ? a[3] : 0, b[0], parts > 1 ? b[1] : 0};
    rti_emulation::warp_publish(fragment, sizeof fragment, rti_emulation::PRODUCT_INTEGERS);
    for (int i = 0; i < 4; i++) d[i] = MAGIC;
    for (int step = 0; step < 4; step++) { // step: whose columns of A and rows of B come next
        const int *from_a = (const int *)rti_emulation::warp_peek(g * 4 + step);
        for (int i = 0; i < 4; i++) {
            const int *from_b = (const int *)rti_emulation::warp_peek((2 * t + i % 2) * 4 + step) + 4;
            d[i] = __dp4a(from_a[i / 2], from_b[0], __dp4a(from_a[2 + i / 2], from_b[1], d[i]));
        }
    }
}
#endif

static __device__ __forceinline__ void multiply_32(const int a[4], const int b[2], int d[4])
{
#if defined(RTI_CUDA_EMULATION)
    emulated_product(a, b, 2, d);
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(MAGIC));
#else
    // Turing: four products of 8 x 8 x 16. Their fragments are the quarters of the ones above.
    for (int r = 0; r < 2; r++) {
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%4, %4};"
                     : "=r"(d[2 * r]), "=r"(d[2 * r + 1]) : "r"(a[r]), "r"(b[0]), "r"(MAGIC));
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                     : "+r"(d[2 * r]), "+r"(d[2 * r + 1]) : "r"(a[2 + r]), "r"(b[1]));
    }
#endif
}

// The 16 columns of a[0], a[1] and b.
static __device__ __forceinline__ void multiply_16(const int a[2], int b, int d[4])
{
#if defined(RTI_CUDA_EMULATION)
    emulated_product(a, &b, 1, d);
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b), "r"(MAGIC));
#else
    for (int r = 0; r < 2; r++)
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%4, %4};"
                     : "=r"(d[2 * r]), "=r"(d[2 * r + 1]) : "r"(a[r]), "r"(b), "r"(MAGIC));
#endif
}

// ---------------------------------------------------------------------------------------------------------------------
// The same of bfloat16
// ---------------------------------------------------------------------------------------------------------------------

// D (16 x 8, float) = A (16 x 16, bfloat16) B (16 x 8, bfloat16) + D. Lane = 4 g + t holds (PTX ISA, "Matrix Fragments for
// mma.m16n8k16"), two neighbours in a register:
//   A: a0 row g, columns 2t, 2t+1;  a1 row g + 8, the same;  a2 row g, columns 2t+8, 2t+9;  a3 row g + 8, the same
//   B: b0 rows 2t, 2t+1 of column g;  b1 rows 2t+8, 2t+9 of column g
//   D: d0 row g, column 2t;  d1 row g, column 2t+1;  d2 row g + 8, column 2t;  d3 row g + 8, column 2t+1
static __device__ __forceinline__ void multiply_floats(const unsigned a[4], const unsigned b[2], float d[4])
{
#if defined(RTI_CUDA_EMULATION)
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    unsigned fragment[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    rti_emulation::warp_publish(fragment, sizeof fragment, rti_emulation::PRODUCT_FLOATS);
    for (int k = 0; k < 16; k++) { // the hardware's own order is not said; any will do, so long as it is one
        const unsigned *from_a = (const unsigned *)rti_emulation::warp_peek(g * 4 + k % 8 / 2);
        for (int i = 0; i < 4; i++) {
            const unsigned *from_b = (const unsigned *)rti_emulation::warp_peek((2 * t + i % 2) * 4 + k % 8 / 2) + 4;
            unsigned x = from_a[i / 2 + k / 8 * 2], y = from_b[k / 8];
            d[i] = __fmaf_rn(__uint_as_float(k % 2 ? x & 0xffff0000u : x << 16), __uint_as_float(k % 2 ? y & 0xffff0000u : y << 16), d[i]);
        }
    }
#elif __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    (void)a, (void)b, (void)d; // never launched: Turing has no products of bfloat16
#endif
}

// ---------------------------------------------------------------------------------------------------------------------
// A record, as it lies in memory and as numbers
// ---------------------------------------------------------------------------------------------------------------------

template <rti_layout LAYOUT, rti_scale_kind SCALES, bool OFFSETS> struct form {
    static constexpr rti_layout layout = LAYOUT;
    static constexpr bool is_float = LAYOUT > RTI_LAYOUT_F32, is_f16 = LAYOUT == RTI_LAYOUT_F16, is_f8 = LAYOUT == RTI_LAYOUT_F8;
    static constexpr bool is_int4 = LAYOUT == RTI_LAYOUT_INT4, has_halves = LAYOUT == RTI_LAYOUT_INT8_HALF, is_k = SCALES == RTI_SCALE_K;
    static constexpr bool has_offsets = OFFSETS;
    static constexpr int value_bytes = rti_value_bytes(LAYOUT), record_bytes = rti_record_bytes(LAYOUT, SCALES, OFFSETS);
};

// A lane's share. Nothing here waits for what is loaded, so that the loads of several records are on their way together.
template <class F> struct raw_record {
    unsigned values[F::is_int4 ? 2 : F::is_float && !F::is_f8 ? 8 : 4];
    unsigned scales[!F::is_k && F::has_offsets ? 2 : 1];
    unsigned supers[F::is_k ? 2 : 1];
};

template <class F> static __device__ __forceinline__ void load_scales(const uint8_t *record, const uint8_t *super, int lane, raw_record<F> *raw)
{
    if constexpr (!F::is_k && F::has_offsets) {
        uint2 s = __ldcs((const uint2 *)(record + F::value_bytes) + lane / 4);
        raw->scales[0] = s.x, raw->scales[1] = s.y;
    } else {
        raw->scales[0] = __ldcs((const unsigned *)(record + F::value_bytes) + lane / 4);
    }
    if constexpr (F::is_k) {
        uint2 s = __ldcs((const uint2 *)super + lane / 4);
        raw->supers[0] = s.x, raw->supers[1] = s.y;
    }
}

template <class F> static __device__ __forceinline__ void load_record(const uint8_t *record, const uint8_t *super, int lane, raw_record<F> *raw)
{
    if constexpr (F::is_int4) {
        uint2 v = __ldcs((const uint2 *)record + lane);
        raw->values[0] = v.x, raw->values[1] = v.y;
    } else {
        uint4 v = __ldcs((const uint4 *)record + lane);
        raw->values[0] = v.x, raw->values[1] = v.y, raw->values[2] = v.z, raw->values[3] = v.w;
    }
    if constexpr (F::is_float && !F::is_f8) {
        uint4 v = __ldcs((const uint4 *)record + 32 + lane);
        raw->values[4] = v.x, raw->values[5] = v.y, raw->values[6] = v.z, raw->values[7] = v.w;
    }
    if constexpr (!F::is_float) load_scales<F>(record, super, lane, raw);
}

template <class F, bool IS_FLOAT = F::is_float> struct record_numbers {
    int a[4];
    float scale[2][F::has_halves ? 2 : 1], offset[2]; // [row g or g + 8][half]
};

template <class F> struct record_numbers<F, true> { // of 16 columns
    unsigned a[4], rest[F::is_f16 ? 4 : 1]; // F16: what rounding leaves
};

// Two bfloat16 times 2^120, exactly.
static __device__ __forceinline__ unsigned raise_exponents(unsigned pair)
{
#if defined(RTI_CUDA_EMULATION)
    const float factor = __uint_as_float(0x7b800000u);
    return __float_as_uint(__fmul_rn(__uint_as_float(pair << 16), factor)) >> 16 | __float_as_uint(__fmul_rn(__uint_as_float(pair & 0xffff0000u), factor));
#elif __CUDA_ARCH__ >= 800
    unsigned raised;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(raised) : "r"(pair), "r"(0x7b807b80u), "r"(0x80008000u));
    return raised;
#else
    return pair; // never launched
#endif
}

// Two F8 of a word, from bit 0 or 16 on, as bfloat16: their exponents and fractions moved to its bits, and the bias made up for.
static __device__ __forceinline__ unsigned widen_pair(unsigned word, int shift)
{
    unsigned bytes = __byte_perm(word, 0, shift ? 0x3424u : 0x1404u); // each in the upper byte of a half
    return raise_exponents((bytes >> 4 & 0x07f007f0u) | (bytes & 0x80008000u));
}

template <class F> static __device__ __forceinline__ void decode_floats(const raw_record<F> &raw, int half, record_numbers<F> *n)
{
    RTI_UNROLL
    for (int k = 0; k < 4; k++) {
        if constexpr (F::is_f8) {
            n->a[k] = widen_pair(raw.values[2 * half + k / 2], k % 2 * 16);
        } else if constexpr (F::is_f16) {
            const unsigned both = raw.values[4 * half + k];
            float first = rti_half_bits_to_float((uint16_t)both), second = rti_half_bits_to_float((uint16_t)(both >> 16));
            n->a[k] = rti_pack(first, second);
            n->rest[k] = rti_pack_rest(first, second, n->a[k]);
        } else {
            n->a[k] = raw.values[4 * half + k];
        }
    }
}

// Byte i of a word, exactly: a float of 2^23 has its integers in its last bits.
static __device__ __forceinline__ float byte_value(unsigned word, int i, float zero)
{
    return __fadd_rn(__uint_as_float(__byte_perm(word, 0x4b000000u, 0x7550u | (unsigned)i)), -zero);
}

template <class F> static __device__ __forceinline__ void decode_record(const raw_record<F> &raw, record_numbers<F> *n)
{
    if constexpr (F::is_int4) {
        // Four bytes with a nibble each, made signed where there are no offsets (Q4_0: value - 8): bit 7 set first, so that
        // nothing is borrowed from a neighbour.
        for (int i = 0; i < 4; i++) {
            unsigned x = raw.values[i % 2] >> (i / 2 * 4) & 0x0f0f0f0fu;
            n->a[i] = (int)(F::has_offsets ? x : ((x | 0x80808080u) - 0x08080808u) ^ 0x80808080u);
        }
    } else {
        for (int i = 0; i < 4; i++) n->a[i] = (int)raw.values[i];
    }
    for (int r = 0; r < 2; r++) {
        if constexpr (!F::is_k) {
            n->scale[r][0] = rti_half_bits_to_float((uint16_t)(raw.scales[0] >> 16 * r));
            if constexpr (F::has_offsets) n->offset[r] = rti_half_bits_to_float((uint16_t)(raw.scales[1] >> 16 * r));
        } else {
            float step = rti_half_bits_to_float((uint16_t)raw.supers[r]);
            if constexpr (F::has_halves) { // signed scales
                unsigned biased = raw.scales[0] ^ 0x80808080u;
                for (int half = 0; half < 2; half++) n->scale[r][half] = __fmul_rn(step, byte_value(biased, 2 * r + half, 8388736.0f));
            } else {
                n->scale[r][0] = __fmul_rn(step, byte_value(raw.scales[0], r, 8388608.0f));
                n->offset[r] = __fmul_rn(rti_half_bits_to_float((uint16_t)(raw.supers[r] >> 16)), byte_value(raw.scales[0], 2 + r, 8388608.0f));
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Activations
// ---------------------------------------------------------------------------------------------------------------------

// Where a lane reads them: of the first tile's first block, and how far it is to the next step's.
template <int PLANES> struct activation_reader {
    const int8_t *values;
    const float4 *steps;
    size_t value_stride, step_stride; // bytes; vectors of two rows
};

#define SPLIT 4 // planes of bytes that two bfloat16 take

template <int PLANES> struct tile_activations {
    int bits[PLANES][2]; // the upper plane, then the lower one
    float4 steps;        // scale and sum of row 2t, of row 2t + 1
};


// TILES tiles of activation rows; 0: a single row, whose tile's other columns nobody needs.
#define SINGLE_ROW 0
static __host__ __device__ constexpr int tile_count(int tiles) { return tiles == SINGLE_ROW ? 1 : tiles; }

// Past the last row the last one's are read again: a column of a product is nobody else's.
// `first`: the first step's block; a step is RTI_PARTIALS blocks.
template <int TILES, int PLANES>
static __device__ __forceinline__ activation_reader<PLANES> find_activations(const rti_rounded &in, int row_begin, int row_count, int first, int lane)
{
    int row = row_begin + lane / 4, pair = row_begin / 2 + lane % 4;
    if (TILES <= 1) {
        row = min(row, row_count - 1);
        pair = min(pair, (row_count - 1) / 2);
    }
    activation_reader<PLANES> reader;
    reader.values = in.values + ((size_t)first * (size_t)in.padded_rows + (size_t)row) * (32 * PLANES) + lane % 4 * (8 * PLANES);
    reader.steps = (const float4 *)in.steps + (size_t)first * (size_t)(in.padded_rows / 2) + (size_t)pair;
    reader.value_stride = (size_t)RTI_PARTIALS * (size_t)in.padded_rows * (32 * PLANES);
    reader.step_stride = (size_t)RTI_PARTIALS * (size_t)(in.padded_rows / 2);
    return reader;
}

template <bool IS_SINGLE> static __device__ __forceinline__ float4 load_steps(const float4 *steps)
{
    if (!IS_SINGLE) return __ldg(steps);
    float2 first = __ldg((const float2 *)steps);
    return make_float4(first.x, first.y, 0.0f, 0.0f);
}

template <int PLANES, bool IS_SINGLE>
static __device__ __forceinline__ tile_activations<PLANES> load_tile(const activation_reader<PLANES> &reader, int tile)
{
    tile_activations<PLANES> x;
    const int8_t *at = reader.values + tile * (RTI_TOKEN_TILE * 32 * PLANES);
    if constexpr (PLANES == 2) {
        int4 v = __ldg((const int4 *)at);
        x.bits[0][0] = v.x, x.bits[0][1] = v.y, x.bits[1][0] = v.z, x.bits[1][1] = v.w;
        x.steps = load_steps<IS_SINGLE>(reader.steps + tile * (RTI_TOKEN_TILE / 2));
    } else {
        int2 v = __ldg((const int2 *)at);
        x.bits[0][0] = v.x, x.bits[0][1] = v.y;
        x.steps = load_steps<IS_SINGLE>(reader.steps + tile * (RTI_TOKEN_TILE / 2));
    }
    return x;
}

// ---------------------------------------------------------------------------------------------------------------------
// One record times a tile of 8 activation rows
// ---------------------------------------------------------------------------------------------------------------------

// The sum of a block as a float, rounded once: exact for 8 bits; 256 times the upper plane's and the lower one's for 16.
template <int PLANES> static __device__ __forceinline__ float product_value(const int (*d)[4], int i)
{
    float value = __fadd_rn(__int_as_float(d[0][i]), -MAGIC_VALUE);
    return PLANES == 1 ? value : __fmaf_rn(value, 256.0f, __fadd_rn(__int_as_float(d[PLANES - 1][i]), -MAGIC_VALUE));
}

template <class F, int PLANES, bool IS_SINGLE>
static __device__ __forceinline__ void accumulate_integers(const record_numbers<F> &w, const tile_activations<PLANES> &x, float sum[4])
{
    const float step[2] = {x.steps.x, x.steps.z}, total[2] = {x.steps.y, x.steps.w};
    int d[PLANES][4];
    RTI_UNROLL
    for (int half = 0; half < (F::has_halves ? 2 : 1); half++) {
        RTI_UNROLL
        for (int plane = 0; plane < PLANES; plane++) {
            if constexpr (F::has_halves) multiply_16(w.a + 2 * half, x.bits[plane][half], d[plane]);
            else multiply_32(w.a, x.bits[plane], d[plane]);
        }
        RTI_UNROLL
        for (int i = 0; i < 4; i += IS_SINGLE ? 2 : 1)
            sum[i] = __fmaf_rn(__fmul_rn(w.scale[i / 2][half], step[i % 2]), product_value<PLANES>(d, i), sum[i]);
    }
    if constexpr (F::has_offsets) {
        RTI_UNROLL
        for (int i = 0; i < 4; i += IS_SINGLE ? 2 : 1) sum[i] = __fmaf_rn(w.offset[i / 2], total[i % 2], sum[i]);
    }
}

// One block of a tile of weights into the accumulators of TILES tiles of rows.
template <class F, int TILES, int PLANES>
static __device__ __forceinline__ void accumulate_integers_block(const raw_record<F> &raw, const activation_reader<PLANES> &reader, float (&sum)[tile_count(TILES)][4])
{
    record_numbers<F> w;
    decode_record<F>(raw, &w);
    RTI_UNROLL
    for (int tile = 0; tile < tile_count(TILES); tile++)
        accumulate_integers<F, PLANES, TILES == SINGLE_ROW>(w, load_tile<PLANES, TILES == SINGLE_ROW>(reader, tile), sum[tile]);
}

template <class F, int TILES>
static __device__ __forceinline__ void accumulate_floats_block(const raw_record<F> &raw, const activation_reader<SPLIT> &reader, float (&sum)[tile_count(TILES)][4])
{
    RTI_UNROLL
    for (int half = 0; half < 2; half++) {
        record_numbers<F> w;
        decode_floats<F>(raw, half, &w);
        RTI_UNROLL
        for (int tile = 0; tile < tile_count(TILES); tile++) {
            uint4 x = __ldg((const uint4 *)(reader.values + tile * (RTI_TOKEN_TILE * 32 * SPLIT)) + half); // roundings, what they leave
            const unsigned upper[2] = {x.x, x.y}, lower[2] = {x.z, x.w};
            multiply_floats(w.a, upper, sum[tile]);
            multiply_floats(w.a, lower, sum[tile]);
            if constexpr (F::is_f16) multiply_floats(w.rest, upper, sum[tile]);
        }
    }
}

// The same of either kind, and on to the next step's activations.
template <class F, int TILES, int PLANES>
static __device__ __forceinline__ void accumulate_block(const raw_record<F> &raw, activation_reader<PLANES> &reader, float (&sum)[tile_count(TILES)][4])
{
    if constexpr (F::is_float) accumulate_floats_block<F, TILES>(raw, reader, sum);
    else accumulate_integers_block<F, TILES, PLANES>(raw, reader, sum);
    reader.values += reader.value_stride;
    reader.steps += reader.step_stride;
}

// As many blocks as are on their way; behind each the load of one of the next round takes its place. LAST: fewer are left, and
// which are there is asked for each, which keeps the compiler from mingling them.
template <class F, int TILES, int PLANES, int DEPTH, bool LAST>
static __device__ __forceinline__ void run_round(const uint8_t *record, const uint8_t *super, int lane, int left, raw_record<F> (&raw)[DEPTH],
                                                 activation_reader<PLANES> &reader, float (&sum)[tile_count(TILES)][4])
{
    RTI_UNROLL
    for (int i = 0; i < DEPTH; i++) {
        if (LAST && i >= left) break;
        accumulate_block<F, TILES, PLANES>(raw[i], reader, sum);
        if (!LAST && DEPTH + i < left)
            load_record<F>(record + (size_t)i * (RTI_PARTIALS * F::record_bytes), super + (size_t)i * RTI_SUPER_BYTES, lane, &raw[i]);
    }
}

template <class F, int DEPTH>
static __device__ __forceinline__ void begin_rounds(const uint8_t *record, const uint8_t *super, int lane, int steps, raw_record<F> (&raw)[DEPTH])
{
    RTI_UNROLL
    for (int i = 0; i < DEPTH; i++)
        if (i < steps) load_record<F>(record + (size_t)i * (RTI_PARTIALS * F::record_bytes), super + (size_t)i * RTI_SUPER_BYTES, lane, &raw[i]);
}

// Every eighth block of a tile, `steps` of them, the first DEPTH of which are on their way.
template <class F, int TILES, int PLANES, int DEPTH>
static __device__ __forceinline__ void run_rounds(const uint8_t *record, const uint8_t *super, int lane, int steps, raw_record<F> (&raw)[DEPTH],
                                                  activation_reader<PLANES> reader, float (&sum)[tile_count(TILES)][4])
{
    int left = steps;
    for (; left >= DEPTH; left -= DEPTH) {
        record += DEPTH * RTI_PARTIALS * F::record_bytes;
        super += DEPTH * RTI_SUPER_BYTES;
        run_round<F, TILES, PLANES, DEPTH, false>(record, super, lane, left, raw, reader, sum);
    }
    run_round<F, TILES, PLANES, DEPTH, true>(record, super, lane, left, raw, reader, sum);
}

// The same for many rows, which take longer than a load: the next record on its way while one is worked on.
template <class F, int TILES, int PLANES>
static __device__ __forceinline__ void add_blocks(const uint8_t *record, const uint8_t *super, int lane, int steps, activation_reader<PLANES> reader,
                                                  float (&sum)[tile_count(TILES)][4])
{
    raw_record<F> raw, next;
    if (steps > 0) load_record<F>(record, super, lane, &next);
    RTI_KEEP_LOOP // several steps at once take registers that there are not
    for (int step = 0; step < steps; step++) {
        raw = next;
        record += RTI_PARTIALS * F::record_bytes;
        super += RTI_SUPER_BYTES;
        if (step + 1 < steps) load_record<F>(record, super, lane, &next);
        accumulate_block<F, TILES, PLANES>(raw, reader, sum);
    }
}

// Calls `launch` of the form that the weights have.
template <template <class> class LAUNCH, class... A> static void rti_with_form(const rti_device_matrix &m, const A &...arguments)
{
    const bool is_k = m.scale_kind == RTI_SCALE_K;
    switch (m.layout) {
    case RTI_LAYOUT_F16: LAUNCH<form<RTI_LAYOUT_F16, RTI_SCALE_F16, false>>::launch(arguments...); break;
    case RTI_LAYOUT_BF16: LAUNCH<form<RTI_LAYOUT_BF16, RTI_SCALE_F16, false>>::launch(arguments...); break;
    case RTI_LAYOUT_F8: LAUNCH<form<RTI_LAYOUT_F8, RTI_SCALE_F16, false>>::launch(arguments...); break;
    case RTI_LAYOUT_INT8_HALF: LAUNCH<form<RTI_LAYOUT_INT8_HALF, RTI_SCALE_K, false>>::launch(arguments...); break;
    case RTI_LAYOUT_INT4:
        if (is_k) LAUNCH<form<RTI_LAYOUT_INT4, RTI_SCALE_K, true>>::launch(arguments...);
        else if (m.has_offsets) LAUNCH<form<RTI_LAYOUT_INT4, RTI_SCALE_F16, true>>::launch(arguments...);
        else LAUNCH<form<RTI_LAYOUT_INT4, RTI_SCALE_F16, false>>::launch(arguments...);
        break;
    default:
        if (is_k) LAUNCH<form<RTI_LAYOUT_INT8, RTI_SCALE_K, true>>::launch(arguments...);
        else if (m.has_offsets) LAUNCH<form<RTI_LAYOUT_INT8, RTI_SCALE_F16, true>>::launch(arguments...);
        else LAUNCH<form<RTI_LAYOUT_INT8, RTI_SCALE_F16, false>>::launch(arguments...);
    }
}

#endif
