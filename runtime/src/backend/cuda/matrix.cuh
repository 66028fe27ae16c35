// cuda/matrix.cuh - what the matrix kernels share: single weights, the shares of a launch, what ends a product.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_MATRIX_CUH
#define RTI_CUDA_MATRIX_CUH

#include "backend/cuda/arithmetic.cuh"
#include "backend/cuda/quantised.cuh"

// One weight of a quantised matrix, decoded.
static __device__ __forceinline__ float rti_quantised_element(const rti_device_matrix &m, int output, int column)
{
    int group = output / RTI_GROUP, row = output % RTI_GROUP, b = column / 32, c = column % 32;
    const uint8_t *record = m.values + ((size_t)group * (size_t)m.blocks + (size_t)b) * (size_t)rti_record_bytes(m.layout, m.scale_kind, m.has_offsets);
    int byte = record[rti_value_at(m.layout, row, m.layout == RTI_LAYOUT_INT4 ? c % 16 : c)];
    int q = m.layout != RTI_LAYOUT_INT4 ? (int)(int8_t)byte : (c < 16 ? byte & 15 : byte >> 4) - (m.has_offsets ? 0 : 8);
    const uint8_t *scale = record + rti_scale_at(m.layout, m.scale_kind, m.has_offsets, row, c / 16, false);
    const uint8_t *offset = record + rti_scale_at(m.layout, m.scale_kind, m.has_offsets, row, 0, true);
    if (m.scale_kind == RTI_SCALE_F16) {
        float value = __fmul_rn(rti_half_bits_to_float(*(const uint16_t *)scale), __int2float_rn(q));
        return m.has_offsets ? __fadd_rn(value, rti_half_bits_to_float(*(const uint16_t *)offset)) : value;
    }
    size_t eight = (size_t)group * (size_t)((m.blocks + 7) / 8) + (size_t)b / 8;
    const uint16_t *super = (const uint16_t *)(m.supers + eight * RTI_SUPER_BYTES) + row % 8 * 4 + row / 8 * 2;
    int small = m.layout == RTI_LAYOUT_INT8_HALF ? (int)(int8_t)*scale : (int)*scale;
    float value = __fmul_rn(__fmul_rn(rti_half_bits_to_float(super[0]), __int2float_rn(small)), __int2float_rn(q));
    return m.has_offsets ? __fadd_rn(value, __fmul_rn(rti_half_bits_to_float(super[1]), __int2float_rn((int)*offset))) : value;
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
    default: value = rti_quantised_element(m, output, column);
    }
    return m.row_scale ? __fmul_rn(value, m.row_scale[output]) : value;
}

// ---------------------------------------------------------------------------------------------------------------------
// A launch: tiles of one matrix, or of several of one kind that read the same activations
// ---------------------------------------------------------------------------------------------------------------------

#define RTI_MOST_SHARES 3

struct rti_matrix_share {
    const uint8_t *values, *supers;
    const float *bias, *row_scale;
    float *y;
    int rows;
    int group_begin, group_end;
};

struct rti_matrix_work {
    rti_matrix_share shares[RTI_MOST_SHARES];
    int share_count;
    int blocks, columns; // of each
    int stride;          // of y, from row to row
    int output;          // rti_matrix_output
    float softcap;
    bool logits_rows;
};

template <int GROUPS> static __host__ __device__ __forceinline__ int rti_share_blocks(const rti_matrix_share &s)
{
    return (s.group_end - s.group_begin + GROUPS - 1) / GROUPS;
}

template <int GROUPS> static __host__ __forceinline__ int rti_block_count(const rti_matrix_work &work)
{
    int count = 0;
    for (int i = 0; i < work.share_count; i++) count += rti_share_blocks<GROUPS>(work.shares[i]);
    return count;
}

struct rti_share {
    const uint8_t *values, *supers;
    const float *bias, *row_scale;
    float *y;
    int rows, group, group_end;
};

// What block number `index` is to do. Indices into the shares are constants: arguments are not memory.
template <int GROUPS> static __device__ __forceinline__ rti_share rti_find_share(const rti_matrix_work &work, int index)
{
    rti_matrix_share s = work.shares[0];
    int rest = index - rti_share_blocks<GROUPS>(work.shares[0]);
    RTI_UNROLL
    for (int i = 1; i < RTI_MOST_SHARES; i++) {
        if (i >= work.share_count || rest < 0) break;
        s = work.shares[i];
        index = rest;
        rest -= rti_share_blocks<GROUPS>(work.shares[i]);
    }
    rti_share share = {s.values, s.supers, s.bias, s.row_scale, s.y, s.rows, s.group_begin + index * GROUPS, s.group_end};
    return share;
}

// ---------------------------------------------------------------------------------------------------------------------
// What ends a product
// ---------------------------------------------------------------------------------------------------------------------

static __device__ __forceinline__ void rti_finish(const rti_matrix_work &work, const rti_share &share, int output, int row, float value)
{
    if (share.row_scale) value = __fmul_rn(value, share.row_scale[output]); // what the weights were divided by
    if (share.bias) value = __fadd_rn(value, share.bias[output]);
    if (work.softcap > 0.0f) value = __fmul_rn(work.softcap, rti_tanhf(__fdiv_rn(value, work.softcap)));
    float *to = share.y + (size_t)row * (size_t)work.stride + output;
    *to = work.output == RTI_OUTPUT_ADD ? __fadd_rn(*to, value) : value;
}

// Adds the warps' partial sums as a tree and stores. `parts` is [RTI_PARTIALS][TILES * 128], in a lane's four the results of a
// tensor-core product.
template <int TILES>
static __device__ __forceinline__ void rti_combine_partials(const rti_matrix_work &work, const rti_share &share, const float *parts, int group,
                                                            int row_begin, int row_count)
{
    const int outputs = TILES * 128;
    for (int i = (int)threadIdx.x; i < outputs; i += (int)blockDim.x) {
        float p[RTI_PARTIALS];
        for (int w = 0; w < RTI_PARTIALS; w++) p[w] = parts[w * outputs + i];
        for (int width = RTI_PARTIALS / 2; width > 0; width /= 2)
            for (int w = 0; w < width; w++) p[w] = __fadd_rn(p[w], p[w + width]);
        int tile = i / 128, lane = i % 128 / 4, k = i % 4;
        int row = row_begin + tile * RTI_TOKEN_TILE + 2 * (lane % 4) + (k & 1), output = group * RTI_GROUP + lane / 4 + 8 * (k / 2);
        if (row >= row_count || output >= share.rows) continue;
        rti_finish(work, share, output, row, p[0]);
    }
}

#define RTI_FEW_ROWS 32

// Weights in tiles, matrices of the kind of `first` in one launch; more than RTI_FEW_ROWS rows go to the second. For F16, BF16 and
// F8 `in.values` are the split ones.
cudaError_t rti_launch_tiles(const rti_device_matrix &first, const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows,
                             int max_rows, cudaStream_t stream);
cudaError_t rti_launch_prompt(const rti_device_matrix &first, const rti_matrix_work &work, const rti_rounded &in, const rti_pass_rows &rows,
                              int max_rows, cudaStream_t stream);

#endif
