// backend/cpu/lanes.h - a vector of floats and of integers, in the words of the instruction set this file is compiled for.
//
// Kernels are written once in these words and compiled for each instruction set. Every operation is one IEEE operation (or
// an exact integer one) on each lane, so all of them give the same bits. Portable C is the reference.
//
// SPDX-License-Identifier: MIT
#ifndef RTI_CPU_LANES_H
#define RTI_CPU_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define LANES_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LANES_SANITIZED 1
#endif
#endif

// Under the sanitizers everything written out in place, each operation with its checks, takes a compiler minutes: the
// operations of portable C (and of clang) stay functions there, and so do the kernels' shared parts (see the end).
#if defined(LANES_SANITIZED) && (!defined(__AVX2__) || defined(__clang__))
#define ALWAYS_INLINE static __attribute__((unused))
#else
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif

// Loops over rows and vectors are written out where vectors are registers; in portable C that only makes code large.
#if defined(__AVX2__)
#define UNROLL(n) UNROLL_TEXT(GCC unroll n)
#define UNROLL_TEXT(text) _Pragma(#text)
#else
#define UNROLL(n)
#endif

#if defined(__AVX512F__)

#include <immintrin.h>
#define LANES 16
typedef __m512 vf;
typedef __m512i vi;
ALWAYS_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
ALWAYS_INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
ALWAYS_INLINE vf vf_set(float a) { return _mm512_set1_ps(a); }
ALWAYS_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
ALWAYS_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
ALWAYS_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
ALWAYS_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
ALWAYS_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); } // a > b ? a : b
ALWAYS_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); } // a < b ? a : b
ALWAYS_INLINE vf vf_abs(vf a) { return _mm512_abs_ps(a); }
ALWAYS_INLINE vf vf_from_half(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
ALWAYS_INLINE void vf_to_half(void *p, vf a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
ALWAYS_INLINE vf vf_from_bfloat(const void *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
// Pairs of E4M3, each as the half with its bits, 2^8 too small (exact): the sign twice, then one of them dropped.
ALWAYS_INLINE void vf_pair_from_f8(const void *p, vf *first, vf *second) {
    const __m256i v = _mm256_loadu_si256((const __m256i *)p), keep = _mm256_set1_epi16((short)0xbf80);
    *first = _mm512_cvtph_ps(_mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 1), keep));
    *second = _mm512_cvtph_ps(_mm256_and_si256(_mm256_srai_epi16(v, 1), keep));
}
ALWAYS_INLINE vf vf_from_u8(const void *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
ALWAYS_INLINE vf vf_from_s8(const void *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
ALWAYS_INLINE vf vf_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
ALWAYS_INLINE vi vi_from_float(vf a) { return _mm512_cvtps_epi32(a); } // to nearest even, |a| < 2^22
ALWAYS_INLINE vf vf_keep(vf a, int begin, int end, float other) { // lanes begin .. end-1 of a, the others `other`
    uint32_t low = end <= 0 ? 0 : end >= 16 ? 0xffffu : (1u << end) - 1;
    uint32_t off = begin <= 0 ? 0 : begin >= 16 ? 0xffffu : (1u << begin) - 1;
    return _mm512_mask_mov_ps(_mm512_set1_ps(other), (__mmask16)(low & ~off), a);
}
ALWAYS_INLINE vf vf_power(vi n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23)); }
ALWAYS_INLINE vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
ALWAYS_INLINE vi vi_set(int32_t a) { return _mm512_set1_epi32(a); }
ALWAYS_INLINE vi vi_set_bytes(uint8_t a) { return _mm512_set1_epi8((char)a); }
ALWAYS_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
ALWAYS_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
ALWAYS_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
ALWAYS_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
ALWAYS_INLINE vi vi_left(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
ALWAYS_INLINE vi vi_right(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); } // logical
ALWAYS_INLINE vi vi_lookup(const uint8_t table[16], vi index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), index);
}
ALWAYS_INLINE vi vi_dot(vi sum, vi weights, int32_t quad) { return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(quad)); }
ALWAYS_INLINE void vi_store_bytes(int8_t *p, vi a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
ALWAYS_INLINE vi vi_right_signed(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }

#elif defined(__AVX2__)

#include <immintrin.h>
#define LANES 8
typedef __m256 vf;
typedef __m256i vi;
ALWAYS_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
ALWAYS_INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
ALWAYS_INLINE vf vf_set(float a) { return _mm256_set1_ps(a); }
ALWAYS_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
ALWAYS_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
ALWAYS_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
ALWAYS_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
ALWAYS_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
ALWAYS_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
ALWAYS_INLINE vf vf_abs(vf a) { return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff))); }
ALWAYS_INLINE vf vf_from_half(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
ALWAYS_INLINE void vf_to_half(void *p, vf a) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
ALWAYS_INLINE vf vf_from_bfloat(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
ALWAYS_INLINE void vf_pair_from_f8(const void *p, vf *first, vf *second) {
    const __m128i v = _mm_loadu_si128((const __m128i *)p), keep = _mm_set1_epi16((short)0xbf80);
    *first = _mm256_cvtph_ps(_mm_and_si128(_mm_srai_epi16(_mm_slli_epi16(v, 8), 1), keep));
    *second = _mm256_cvtph_ps(_mm_and_si128(_mm_srai_epi16(v, 1), keep));
}
ALWAYS_INLINE vf vf_from_u8(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
ALWAYS_INLINE vf vf_from_s8(const void *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
ALWAYS_INLINE vf vf_from_int(vi a) { return _mm256_cvtepi32_ps(a); }
ALWAYS_INLINE vi vi_from_float(vf a) { return _mm256_cvtps_epi32(a); }
ALWAYS_INLINE vf vf_keep(vf a, int begin, int end, float other) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i in = _mm256_and_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane),
                                  _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(begin - 1)));
    return _mm256_blendv_ps(_mm256_set1_ps(other), a, _mm256_castsi256_ps(in));
}
ALWAYS_INLINE vf vf_power(vi n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
ALWAYS_INLINE vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
ALWAYS_INLINE vi vi_set(int32_t a) { return _mm256_set1_epi32(a); }
ALWAYS_INLINE vi vi_set_bytes(uint8_t a) { return _mm256_set1_epi8((char)a); }
ALWAYS_INLINE vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
ALWAYS_INLINE vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
ALWAYS_INLINE vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
ALWAYS_INLINE vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
ALWAYS_INLINE vi vi_left(vi a, int n) { return _mm256_slli_epi32(a, n); }
ALWAYS_INLINE vi vi_right(vi a, int n) { return _mm256_srli_epi32(a, n); }
ALWAYS_INLINE vi vi_lookup(const uint8_t table[16], vi index) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), index);
}
#if defined(__AVXVNNI__)
ALWAYS_INLINE vi vi_dot(vi sum, vi weights, int32_t quad) {
    return _mm256_dpbusd_avx_epi32(sum, weights, _mm256_set1_epi32(quad));
}
#else
#define BRIEF_SUMS 1
// A sum is taken here: left to itself the compiler makes trees of products first, more of them than there are registers.
ALWAYS_INLINE vi vi_hold(vi sum) {
    __asm__("" : "+x"(sum));
    return sum;
}
// Weights up to 15 (or 31): the pairs of 8 (or 4) quads fit 16 bits, and are widened once.
ALWAYS_INLINE vi vi_pairs(vi weights, int32_t quad) { return _mm256_maddubs_epi16(weights, _mm256_set1_epi32(quad)); }
ALWAYS_INLINE vi vi_add_pairs(vi a, vi b) { return vi_hold(_mm256_add_epi16(a, b)); }
ALWAYS_INLINE vi vi_join_pairs(vi a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }
// Weights up to 127: two products of a pair fit 16 bits.
ALWAYS_INLINE vi vi_dot(vi sum, vi weights, int32_t quad) {
    __m256i pairs = _mm256_maddubs_epi16(weights, _mm256_set1_epi32(quad));
    return vi_hold(_mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
}
// Weights up to 255, or activations of 16 bits: as words, the columns 0 and 2 of each quad, then 1 and 3.
#define WORD_PRODUCTS 1
ALWAYS_INLINE void vi_quad_to_words(vi weights, vi words[2]) {
    words[0] = _mm256_and_si256(weights, _mm256_set1_epi16(0xff));
    words[1] = _mm256_srli_epi16(weights, 8);
}
ALWAYS_INLINE vi vi_dot_words(vi sum, vi words, int32_t pair) {
    return vi_hold(_mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi32(pair))));
}
ALWAYS_INLINE void vi_store_words(int16_t *p, vi a) { // of each quad the columns 0, 2, 1, 3
    a = _mm256_shuffle_epi32(a, _MM_SHUFFLE(3, 1, 2, 0));
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
#endif
ALWAYS_INLINE void vi_store_bytes(int8_t *p, vi a) {
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
}
ALWAYS_INLINE vi vi_right_signed(vi a, int n) { return _mm256_srai_epi32(a, n); }

#else // portable C

#include "file/file.h"
#define LANES 16
typedef struct vf { float f[16]; } vf;
typedef struct vi { int32_t i[16]; } vi;
#define EACH(result, expression) for (int n_ = 0; n_ < 16; n_++) { (result)[n_] = (expression); }
ALWAYS_INLINE vf vf_load(const float *p) { vf r; memcpy(&r, p, sizeof r); return r; }
ALWAYS_INLINE void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
ALWAYS_INLINE vf vf_set(float a) { vf r; EACH(r.f, a) return r; }
ALWAYS_INLINE vf vf_add(vf a, vf b) { EACH(a.f, a.f[n_] + b.f[n_]) return a; }
ALWAYS_INLINE vf vf_sub(vf a, vf b) { EACH(a.f, a.f[n_] - b.f[n_]) return a; }
ALWAYS_INLINE vf vf_mul(vf a, vf b) { EACH(a.f, a.f[n_] * b.f[n_]) return a; }
ALWAYS_INLINE vf vf_div(vf a, vf b) { EACH(a.f, a.f[n_] / b.f[n_]) return a; }
ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) { EACH(a.f, fmaf(a.f[n_], b.f[n_], c.f[n_])) return a; }
ALWAYS_INLINE vf vf_max(vf a, vf b) { EACH(a.f, a.f[n_] > b.f[n_] ? a.f[n_] : b.f[n_]) return a; }
ALWAYS_INLINE vf vf_min(vf a, vf b) { EACH(a.f, a.f[n_] < b.f[n_] ? a.f[n_] : b.f[n_]) return a; }
ALWAYS_INLINE vf vf_abs(vf a) { EACH(a.f, fabsf(a.f[n_])) return a; }
ALWAYS_INLINE vf vf_from_half(const void *p) {
    uint16_t h[16];
    vf r;
    memcpy(h, p, sizeof h);
    EACH(r.f, rti_half_to_float(h[n_]))
    return r;
}
ALWAYS_INLINE void vf_to_half(void *p, vf a) {
    uint16_t h[16];
    EACH(h, rti_float_to_half(a.f[n_]))
    memcpy(p, h, sizeof h);
}
ALWAYS_INLINE vf vf_from_bfloat(const void *p) {
    uint16_t h[16];
    vf r;
    memcpy(h, p, sizeof h);
    EACH(r.f, rti_bfloat_to_float(h[n_]))
    return r;
}
ALWAYS_INLINE void vf_pair_from_f8(const void *p, vf *first, vf *second) {
    const uint8_t *b = (const uint8_t *)p;
    EACH(first->f, rti_half_to_float((uint16_t)((b[2 * n_] & 0x80) << 8 | (b[2 * n_] & 0x7f) << 7)))
    EACH(second->f, rti_half_to_float((uint16_t)((b[2 * n_ + 1] & 0x80) << 8 | (b[2 * n_ + 1] & 0x7f) << 7)))
}
ALWAYS_INLINE vf vf_from_u8(const void *p) { vf r; EACH(r.f, (float)((const uint8_t *)p)[n_]) return r; }
ALWAYS_INLINE vf vf_from_s8(const void *p) { vf r; EACH(r.f, (float)((const int8_t *)p)[n_]) return r; }
ALWAYS_INLINE vf vf_from_int(vi a) { vf r; EACH(r.f, (float)a.i[n_]) return r; }
ALWAYS_INLINE vi vi_from_float(vf a) { vi r; EACH(r.i, (int32_t)((a.f[n_] + 12582912.0f) - 12582912.0f)) return r; }
ALWAYS_INLINE vf vf_keep(vf a, int begin, int end, float other) {
    EACH(a.f, n_ >= begin && n_ < end ? a.f[n_] : other)
    return a;
}
ALWAYS_INLINE vf vf_power(vi n) {
    vf r;
    EACH(n.i, (int32_t)((uint32_t)(n.i[n_] + 127) << 23))
    memcpy(&r, &n, sizeof r);
    return r;
}
ALWAYS_INLINE vi vi_load(const void *p) { vi r; memcpy(&r, p, sizeof r); return r; }
ALWAYS_INLINE vi vi_set(int32_t a) { vi r; EACH(r.i, a) return r; }
ALWAYS_INLINE vi vi_set_bytes(uint8_t a) { vi r; memset(&r, a, sizeof r); return r; }
ALWAYS_INLINE vi vi_and(vi a, vi b) { EACH(a.i, a.i[n_] & b.i[n_]) return a; }
ALWAYS_INLINE vi vi_or(vi a, vi b) { EACH(a.i, a.i[n_] | b.i[n_]) return a; }
ALWAYS_INLINE vi vi_add(vi a, vi b) { EACH(a.i, a.i[n_] + b.i[n_]) return a; }
ALWAYS_INLINE vi vi_sub(vi a, vi b) { EACH(a.i, a.i[n_] - b.i[n_]) return a; }
ALWAYS_INLINE vi vi_left(vi a, int n) { EACH(a.i, (int32_t)((uint32_t)a.i[n_] << n)) return a; }
ALWAYS_INLINE vi vi_right(vi a, int n) { EACH(a.i, (int32_t)((uint32_t)a.i[n_] >> n)) return a; }
ALWAYS_INLINE vi vi_lookup(const uint8_t table[16], vi index) {
    uint8_t b[64];
    memcpy(b, &index, 64);
    for (int n = 0; n < 64; n++) {
        b[n] = table[b[n] & 15];
    }
    memcpy(&index, b, 64);
    return index;
}
ALWAYS_INLINE vi vi_dot(vi sum, vi weights, int32_t quad) {
    uint8_t w[64];
    int8_t a[4];
    memcpy(w, &weights, 64);
    memcpy(a, &quad, 4);
    EACH(sum.i, sum.i[n_] + w[4 * n_] * a[0] + w[4 * n_ + 1] * a[1] + w[4 * n_ + 2] * a[2] + w[4 * n_ + 3] * a[3])
    return sum;
}
ALWAYS_INLINE void vi_store_bytes(int8_t *p, vi a) { EACH(p, (int8_t)a.i[n_]) }
ALWAYS_INLINE vi vi_right_signed(vi a, int n) { EACH(a.i, a.i[n_] >> n) return a; }
#undef EACH

#endif

#ifndef BRIEF_SUMS // only where byte products come as 16-bit pairs
#define BRIEF_SUMS 0
ALWAYS_INLINE vi vi_pairs(vi weights, int32_t quad) { return (void)quad, weights; }
ALWAYS_INLINE vi vi_add_pairs(vi a, vi b) { return (void)b, a; }
ALWAYS_INLINE vi vi_join_pairs(vi a) { return a; }
#endif

#ifndef WORD_PRODUCTS // only where there is no product of whole bytes
#define WORD_PRODUCTS 0
ALWAYS_INLINE void vi_quad_to_words(vi weights, vi words[2]) { words[0] = words[1] = weights; }
ALWAYS_INLINE vi vi_dot_words(vi sum, vi words, int32_t pair) { return (void)words, (void)pair, sum; }
ALWAYS_INLINE void vi_store_words(int16_t *p, vi a) { (void)p, (void)a; }
#endif

#define PARTS (16 / LANES) // vectors that make 16 lanes

// The sum of 16 lanes as a fixed tree: i + (i+8), then + 4, + 2, + 1; and the largest.
#if defined(__AVX2__)
#if defined(__AVX512F__)
#define HALVES(v) _mm512_castps512_ps256((v)[0]), _mm512_extractf32x8_ps((v)[0], 1)
#else
#define HALVES(v) (v)[0], (v)[1]
#endif
#define FOLD(name, operation8, operation4, operation1)                                  \
    ALWAYS_INLINE float name##_halves(__m256 low, __m256 high)                          \
    {                                                                                   \
        __m256 a = operation8(low, high);                                               \
        __m128 b = operation4(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));  \
        b = operation4(b, _mm_movehl_ps(b, b));                                         \
        return _mm_cvtss_f32(operation1(b, _mm_shuffle_ps(b, b, 1)));                   \
    }                                                                                   \
    ALWAYS_INLINE float name(const vf v[PARTS]) { return name##_halves(HALVES(v)); }
FOLD(lanes_sum, _mm256_add_ps, _mm_add_ps, _mm_add_ss)
FOLD(lanes_max, _mm256_max_ps, _mm_max_ps, _mm_max_ss)
#undef FOLD
#undef HALVES
#else
ALWAYS_INLINE float lanes_sum(const vf v[PARTS])
{
    vf s = v[0];
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            s.f[i] = s.f[i] + s.f[i + width];
        }
    }
    return s.f[0];
}

ALWAYS_INLINE float lanes_max(const vf v[PARTS])
{
    vf s = v[0];
    for (int width = 8; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            s.f[i] = s.f[i] > s.f[i + width] ? s.f[i] : s.f[i + width];
        }
    }
    return s.f[0];
}
#endif

#if defined(__AVX2__)
ALWAYS_INLINE int32_t lanes_integer_sum(const vi v[PARTS])
{
#if defined(__AVX512F__)
    __m256i a = _mm256_add_epi32(_mm512_castsi512_si256(v[0]), _mm512_extracti64x4_epi64(v[0], 1));
#else
    __m256i a = _mm256_add_epi32(v[0], v[1]);
#endif
    __m128i b = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    b = _mm_add_epi32(b, _mm_shuffle_epi32(b, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}
#else
ALWAYS_INLINE int32_t lanes_integer_sum(const vi v[PARTS])
{
    int32_t sum = 0;
    for (int i = 0; i < 16; i++) {
        sum += v[0].i[i];
    }
    return sum;
}
#endif

// e^x: 2^n * p(r), x = n ln 2 + r; p from the series, |r| <= 0.347, relative error about 1e-7. Held to [-87, 88].
ALWAYS_INLINE vf vf_exp(vf x) {
    x = vf_max(vf_min(x, vf_set(88.0f)), vf_set(-87.0f));
    vi k = vi_from_float(vf_mul(x, vf_set(1.44269504f)));
    vf n = vf_from_int(k);
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_set(1.0f / 5040);
    p = vf_fma(p, r, vf_set(1.0f / 720));
    p = vf_fma(p, r, vf_set(1.0f / 120));
    p = vf_fma(p, r, vf_set(1.0f / 24));
    p = vf_fma(p, r, vf_set(1.0f / 6));
    p = vf_fma(p, r, vf_set(0.5f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_mul(p, vf_power(k));
}

// cap * tanh(x / cap), tanh(t) = 1 - 2 / (exp(2t) + 1)
ALWAYS_INLINE vf vf_softcap(vf x, float cap)
{
    vf t = vf_mul(vf_div(x, vf_set(cap)), vf_set(2.0f));
    vf tanh = vf_sub(vf_set(1.0f), vf_div(vf_set(2.0f), vf_add(vf_exp(t), vf_set(1.0f))));
    return vf_mul(tanh, vf_set(cap));
}

#if defined(LANES_SANITIZED)
#undef ALWAYS_INLINE
#define ALWAYS_INLINE static __attribute__((unused))
#endif

#endif
