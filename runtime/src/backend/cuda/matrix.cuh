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
    size_t tiled = ((size_t)(output / RTI_GROUP) * (size_t)m.blocks + (size_t)(column / 32)) * (RTI_GROUP * 32) +
                   (size_t)rti_halves_index(m.layout, output % RTI_GROUP, column % 32);
    float value;
    switch (m.layout) {
    case RTI_LAYOUT_F32: value = ((const float *)m.values)[plain]; break;
    case RTI_LAYOUT_F16: value = rti_half_bits_to_float(((const uint16_t *)m.values)[tiled]); break;
    case RTI_LAYOUT_BF16: value = __uint_as_float((unsigned)((const uint16_t *)m.values)[tiled] << 16); break;
    case RTI_LAYOUT_F8: value = rti_f8_bits_to_float(m.values[tiled]); break;
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

// ---------------------------------------------------------------------------------------------------------------------
// What ends a product
// ---------------------------------------------------------------------------------------------------------------------

struct rti_matrix_target {
    const float *bias;
    float *y;
    int stride;
    int output; // rti_matrix_output
    float softcap;
};

static __device__ __forceinline__ void rti_finish(const rti_device_matrix &m, const rti_matrix_target &to, int output_row, int row, float value)
{
    if (output_row >= m.rows) return;
    if (to.bias) value = __fadd_rn(value, to.bias[output_row]);
    if (to.softcap > 0.0f) value = __fmul_rn(to.softcap, rti_tanhf(__fdiv_rn(value, to.softcap)));
    float *y = to.y + (size_t)row * (size_t)to.stride + output_row;
    *y = to.output == RTI_OUTPUT_ADD ? __fadd_rn(*y, value) : value;
}

// Adds the warps' partial sums as a tree and stores. `parts` is [RTI_PARTIALS][TILES * 128], in a lane's four the results of a
// tensor-core product. `scaled`: the row's scale is not in the weights yet.
template <int TILES>
static __device__ __forceinline__ void rti_combine_partials(const rti_device_matrix &m, const rti_matrix_target &to, const float *parts,
                                                            int group, int row_begin, int row_count, bool scaled)
{
    const int outputs = TILES * 128;
    for (int i = (int)threadIdx.x; i < outputs; i += (int)blockDim.x) {
        float p[RTI_PARTIALS];
        for (int w = 0; w < RTI_PARTIALS; w++) p[w] = parts[w * outputs + i];
        for (int width = RTI_PARTIALS / 2; width > 0; width /= 2)
            for (int w = 0; w < width; w++) p[w] = __fadd_rn(p[w], p[w + width]);
        int tile = i / 128, lane = i % 128 / 4, k = i % 4;
        int row = row_begin + tile * RTI_TOKEN_TILE + 2 * (lane % 4) + (k & 1), output = group * RTI_GROUP + lane / 4 + 8 * (k / 2);
        if (row >= row_count) continue;
        if (scaled && m.row_scale && output < m.rows) p[0] = __fmul_rn(p[0], m.row_scale[output]);
        rti_finish(m, to, output, row, p[0]);
    }
}

// kernel_halves.cu: the layouts F16, BF16 and F8 on tensor cores.
cudaError_t rti_launch_halves(const rti_device_matrix &matrix, const float *values, int group_begin, int group_end,
                              const rti_matrix_target &to, const rti_pass_rows &rows, int max_rows, bool logits_rows, cudaStream_t stream);

#endif
