// cuda/arithmetic.cuh - conversions and functions that kernels share, each in one written order.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_ARITHMETIC_CUH
#define RTI_CUDA_ARITHMETIC_CUH

#include "backend/cuda/kernels.cuh"

// IEEE half to float, subnormals and infinities included.
static __device__ __forceinline__ float rti_half_bits_to_float(uint16_t half)
{
#if !defined(RTI_CUDA_EMULATION)
    float converted;
    asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(half));
    return converted;
#else
    unsigned sign = (unsigned)(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    float value = __fmul_rn(__uint_as_float(magnitude << 13), __uint_as_float(0x77800000u)); // times 2^112
    if (magnitude >= 0x7c00u) value = __uint_as_float(0x7f800000u | (magnitude & 0x3ffu) << 13);
    return __uint_as_float(__float_as_uint(value) | sign);
#endif
}

// Round to nearest even.
static __device__ __forceinline__ uint16_t rti_float_to_half_bits(float value)
{
    unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { // subnormal: let the adder round at the right bit
        float shifted = __fadd_rn(__uint_as_float(magnitude), 0.5f);
        return (uint16_t)(sign | (__float_as_uint(shifted) - 0x3f000000u));
    }
    unsigned rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u;
    return (uint16_t)(sign | rounded >> 13);
}

static __device__ __forceinline__ float rti_f8_bits_to_float(uint8_t bits)
{
    unsigned magnitude = bits & 0x7fu;
    float value = __fmul_rn(__uint_as_float(magnitude << 20), __uint_as_float(0x7b800000u)); // times 2^120
    if (magnitude == 0x7fu) value = __uint_as_float(0x7fc00000u);
    return __uint_as_float(__float_as_uint(value) | (unsigned)(bits & 0x80u) << 24);
}

// Two floats to bfloat16, to nearest even, the first in the lower half.
static __device__ __forceinline__ unsigned rti_pack(float first, float second)
{
#if !defined(RTI_CUDA_EMULATION) && __CUDA_ARCH__ >= 800
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    return packed;
#else
    unsigned a = __float_as_uint(first), b = __float_as_uint(second);
    a = (a + 0x7fffu + (a >> 16 & 1u)) >> 16;
    b = (b + 0x7fffu + (b >> 16 & 1u)) & 0xffff0000u;
    return a | b;
#endif
}

// What rounding to bfloat16 has left of two floats.
static __device__ __forceinline__ unsigned rti_pack_rest(float first, float second, unsigned packed)
{
    return rti_pack(__fadd_rn(first, -__uint_as_float(packed << 16)), __fadd_rn(second, -__uint_as_float(packed & 0xffff0000u)));
}

// e^x: Cody and Waite's reduction, Taylor to degree 6; relative error below 2e-7 where the result is normal.
static __device__ __forceinline__ float rti_expf(float x)
{
    if (!(x > -87.0f)) return 0.0f;
    if (x > 88.0f) return __uint_as_float(0x7f800000u);
    float n = __fadd_rn(__fmaf_rn(x, 1.44269504f, 12582912.0f), -12582912.0f);
    float r = __fmaf_rn(n, -0.693359375f, x);
    r = __fmaf_rn(n, 2.12194440e-4f, r);
    float sum = __fmaf_rn(1.38888889e-3f, r, 8.33333333e-3f);
    sum = __fmaf_rn(sum, r, 4.16666667e-2f);
    sum = __fmaf_rn(sum, r, 1.66666667e-1f);
    sum = __fmaf_rn(sum, r, 0.5f);
    sum = __fmaf_rn(sum, r, 1.0f);
    sum = __fmaf_rn(sum, r, 1.0f);
    return __fmul_rn(sum, __int_as_float((__float2int_rn(n) + 127) << 23));
}

static __device__ __forceinline__ float rti_tanhf(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float e = rti_expf(__fmul_rn(-2.0f, magnitude));
    float t = __fdiv_rn(__fadd_rn(1.0f, -e), __fadd_rn(1.0f, e));
    return x < 0.0f ? -t : t;
}

// A value that all lanes of a warp have, even if it changes in memory while they read.
static __device__ __forceinline__ bool rti_warp_uniform(bool value)
{
#if defined(RTI_CUDA_EMULATION)
    return value; // nothing changes while an emulated kernel runs
#else
    return __shfl_sync(RTI_FULL_WARP, (int)value, 0) != 0;
#endif
}

// Sum over a warp as a tree: the same in every lane.
static __device__ __forceinline__ float rti_warp_sum(float value)
{
    for (int mask = 16; mask > 0; mask >>= 1) value = __fadd_rn(value, __shfl_xor_sync(RTI_FULL_WARP, value, mask));
    return value;
}

static __device__ __forceinline__ float rti_warp_max(float value)
{
    for (int mask = 16; mask > 0; mask >>= 1) {
        float other = __shfl_xor_sync(RTI_FULL_WARP, value, mask);
        value = other > value ? other : value;
    }
    return value;
}

// Sum over a block of whole warps (at most 32) through `scratch` of 33 floats: the same in every thread.
static __device__ __forceinline__ float rti_block_sum(float value, float *scratch)
{
    int warp = (int)threadIdx.x / RTI_WARP, lane = (int)threadIdx.x % RTI_WARP, warps = (int)blockDim.x / RTI_WARP;
    value = rti_warp_sum(value);
    __syncthreads(); // the last sum may still be read
    if (lane == 0) scratch[warp] = value;
    __syncthreads();
    float total = rti_warp_sum(lane < warps ? scratch[lane] : 0.0f);
    return total;
}

// One lane holds one of 32 neighbouring values of a row: rounds them to 8 or 16 bits with a common scale, to even.
static __device__ __forceinline__ void rti_round_block(float value, int lane, int row, int block, const rti_rounded &to)
{
    const bool is_fine = to.planes == 2;
    const float most = is_fine ? 32512.0f : 127.0f; // 127 * 256: the upper byte alone is a rounding to 8 bits
    float top = rti_warp_max(value < 0.0f ? -value : value);
    float inverse = top > 1e-30f ? __fdiv_rn(most, top) : 0.0f;
    int a = __float2int_rn(fmaxf(fminf(__fmul_rn(value, inverse), most), -most)), total = a;
    for (int mask = 16; mask > 0; mask >>= 1) total += __shfl_xor_sync(RTI_FULL_WARP, total, mask);
    int upper = is_fine ? (a + 128) >> 8 : a;
    const size_t at = (size_t)block * (size_t)to.padded_rows + (size_t)row;
    int8_t *values = to.values + at * 32 * (size_t)to.planes + rti_rounded_index(to.planes, lane);
    values[0] = (int8_t)upper;
    if (is_fine) values[8] = (int8_t)(a - upper * 256);
    if (lane == 0) {
        float step = top > 1e-30f ? __fdiv_rn(top, most) : 0.0f;
        to.steps[at] = make_float2(step, __fmul_rn(step, __int2float_rn(total)));
    }
}

// The same to two bfloat16 each: its rounding, and what that leaves.
static __device__ __forceinline__ void rti_split_block(float value, int lane, int row, int block, const rti_rounded &to)
{
    unsigned upper = rti_pack(value, 0.0f), lower = rti_pack_rest(value, 0.0f, upper);
    uint16_t *values = (uint16_t *)(to.split + ((size_t)block * (size_t)to.padded_rows + (size_t)row) * 128 + rti_split_index(lane));
    values[0] = (uint16_t)upper;
    values[4] = (uint16_t)lower;
}

// What matrices want of a block; the whole warp.
static __device__ __forceinline__ void rti_put_block(float value, int lane, int row, int block, const rti_rounded &to)
{
    if (to.planes > 0) rti_round_block(value, lane, row, block, to);
    if (to.split) rti_split_block(value, lane, row, block, to);
}

// The pass's header, in one load: a kernel's way to its first work is as long as the loads that wait for each other.
static __device__ __forceinline__ rti_pass_header rti_read_header(const rti_pass_rows &rows)
{
    rti_pass_header h;
#if defined(RTI_CUDA_EMULATION)
    h = rti_emulation::check_access(rows.header, sizeof h) ? *rows.header : rti_pass_header();
#else
    asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(h.row_count), "=r"(h.logits_count), "=r"(h.number), "=r"(h.stopped) : "l"(rows.header));
#endif
    return h;
}

// Whether the pass is to be dropped; the same in all lanes of a warp.
static __device__ __forceinline__ bool rti_stopped(const rti_pass_header &header)
{
    return rti_warp_uniform(header.stopped == header.number);
}

// The stop flag lies across the bus, a microsecond away: one thread of each of the longer kernels asks for it before it
// stores its results, and afterwards leaves word in the header, which all kernels read.
static __device__ __forceinline__ unsigned rti_look_far(const rti_pass_rows &rows)
{
    return (threadIdx.x | blockIdx.x | blockIdx.y | blockIdx.z) == 0 ? *rows.stop : 0u;
}

static __device__ __forceinline__ void rti_leave_word(const rti_pass_rows &rows, const rti_pass_header &header, unsigned seen)
{
    // Passes have numbers from 1 on. An earlier one of the slot, whose work is still queued, was dropped too.
    if (seen != 0 && (int)(seen - header.number) >= 0) *rows.stopped = header.number;
}

#endif
