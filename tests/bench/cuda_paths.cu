// The matrix kernels with what a launch brings made constant: one weight type, one number of rows. What is left in a loop is
// the path that this case takes, so that its instructions and loads can be counted (cuda_kernels.py). Compiled, never run.
// SPDX-License-Identifier: MIT
#include "backend/cuda/portable.cuh"

// The kernels become functions of the kernels below; nothing is launched.
#undef __global__
#undef __launch_bounds__
#undef RTI_LAUNCH
#define __global__ __device__ __forceinline__
#define __launch_bounds__(...)
#define RTI_LAUNCH(...) ((void)0)
#include "backend/cuda/kernel_attention.cu"
#include "backend/cuda/kernel_halves.cu"
#include "backend/cuda/kernel_matrix.cu"
#undef __global__
#undef __launch_bounds__
#define __global__ __location__(global)
#define __launch_bounds__(...) __annotate__(launch_bounds(__VA_ARGS__))

struct path_arguments {
    rti_device_matrix m;
    rti_activations in;
    rti_matrix_target to;
    rti_pass_rows rows;
    rti_attention_shape s;
    float *partial;
};

static __device__ __forceinline__ void fix(path_arguments &p, rti_layout layout, rti_scale_kind scales, bool has_offsets)
{
    p.m.layout = layout;
    p.m.scale_kind = scales;
    if (!has_offsets) p.m.offsets = NULL;
    else __builtin_assume(p.m.offsets != NULL);
    p.m.row_scale = NULL;
    p.to.bias = NULL;
    p.to.softcap = 0.0f;
    p.to.output = RTI_OUTPUT_STORE;
}

#define QUANTISED(name, tiles, layout, scales, has_offsets)                                                          \
    extern "C" __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2) name(path_arguments p)                  \
    {                                                                                                                \
        fix(p, layout, scales, has_offsets);                                                                         \
        matrix_quantised<tiles, 2>(p.m, p.in, 0, p.to, p.rows, false);                                               \
    }
#define ATTENTION(name, type, size)                                                                                  \
    extern "C" __global__ void __launch_bounds__(RTI_CHUNK) name(path_arguments p)                                   \
    {                                                                                                                \
        p.s.kv_type = type;                                                                                          \
        p.s.head_size = size;                                                                                        \
        p.s.window = 0;                                                                                              \
        p.s.softcap = 0.0f;                                                                                          \
        attend_chunk(p.s, p.in.values, p.partial, 64, 0, p.rows);                                                    \
    }
#define HALVES(name, tiles, layout)                                                                                  \
    extern "C" __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2) name(path_arguments p)                  \
    {                                                                                                                \
        fix(p, layout, RTI_SCALE_F32, false);                                                                        \
        __builtin_assume(p.m.columns % 2 == 0);                                                                      \
        matrix_halves<tiles>(p.m, p.in.values, 0, p.to, p.rows, false);                                              \
    }

QUANTISED(path_q4_k_1, 1, RTI_LAYOUT_INT4, RTI_SCALE_K, true)
QUANTISED(path_q4_k_32, 4, RTI_LAYOUT_INT4, RTI_SCALE_K, true)
QUANTISED(path_q4_0_1, 1, RTI_LAYOUT_INT4, RTI_SCALE_F16, false)
QUANTISED(path_q6_k_1, 1, RTI_LAYOUT_INT8_HALF, RTI_SCALE_K, false)
QUANTISED(path_q8_0_1, 1, RTI_LAYOUT_INT8, RTI_SCALE_F16, false)
QUANTISED(path_q8_0_32, 4, RTI_LAYOUT_INT8, RTI_SCALE_F16, false)
HALVES(path_bf16_1, 1, RTI_LAYOUT_BF16)
HALVES(path_bf16_32, 4, RTI_LAYOUT_BF16)
HALVES(path_f8_1, 1, RTI_LAYOUT_F8)
HALVES(path_f8_32, 4, RTI_LAYOUT_F8)
ATTENTION(path_attend_f16, KV_F16, 128)
