// cuda/matrix.cuh - reading single weights and scales out of the device's layouts.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_MATRIX_CUH
#define RTI_CUDA_MATRIX_CUH

#include "backend/cuda/arithmetic.cuh"

static __device__ __forceinline__ float rti_super_step(const rti_device_matrix &m, int group, int block, int row, int which)
{
    size_t supers = (size_t)(m.blocks + 7) / 8;
    size_t at = (((size_t)group * supers + (size_t)block / 8) * RTI_GROUP + (size_t)row) * 2 + (size_t)which;
    return rti_half_bits_to_float(((const uint16_t *)m.super_scales)[at]);
}

// The scale (which 0) or offset (1) numbered `index`, of a block of a row of a group.
static __device__ __forceinline__ float rti_scale_of(const rti_device_matrix &m, const uint8_t *scales, size_t index, int group, int block, int row, int which)
{
    if (m.scale_kind == RTI_SCALE_F32) return ((const float *)scales)[index];
    if (m.scale_kind == RTI_SCALE_F16) return rti_half_bits_to_float(((const uint16_t *)scales)[index]);
    int byte = m.layout == RTI_LAYOUT_INT8_HALF ? (int)(int8_t)scales[index] : (int)scales[index];
    return __fmul_rn(rti_super_step(m, group, block, row, which), __int2float_rn(byte));
}

// One weight, decoded.
static __device__ __forceinline__ float rti_element(const rti_device_matrix &m, int output, int column)
{
    size_t plain = (size_t)output * (size_t)m.columns + (size_t)column;
    float value;
    switch (m.layout) {
    case RTI_LAYOUT_F32: value = ((const float *)m.values)[plain]; break;
    case RTI_LAYOUT_F16: value = rti_half_bits_to_float(((const uint16_t *)m.values)[plain]); break;
    case RTI_LAYOUT_BF16: value = __uint_as_float((unsigned)((const uint16_t *)m.values)[plain] << 16); break;
    case RTI_LAYOUT_F8: value = rti_f8_bits_to_float(m.values[plain]); break;
    default: {
        int group = output / RTI_GROUP, row = output % RTI_GROUP, b = column / 32, c = column % 32;
        size_t at = ((size_t)group * (size_t)m.blocks + (size_t)b) * RTI_GROUP + (size_t)row;
        int q;
        if (m.layout == RTI_LAYOUT_INT4) {
            int byte = m.values[at * 16 + (size_t)(c % 16)];
            q = (c < 16 ? byte & 15 : byte >> 4) - (m.offsets ? 0 : 8);
        } else {
            q = (int)(int8_t)m.values[at * 32 + (size_t)c];
        }
        size_t scale_index = m.layout == RTI_LAYOUT_INT8_HALF ? at * 2 + (size_t)(c / 16) : at;
        value = __fmul_rn(rti_scale_of(m, m.scales, scale_index, group, b, row, 0), __int2float_rn(q));
        if (m.offsets) value = __fadd_rn(value, rti_scale_of(m, m.offsets, at, group, b, row, 1));
    }
    }
    return m.row_scale ? __fmul_rn(value, m.row_scale[output]) : value;
}

#endif
