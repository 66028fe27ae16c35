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
#include "backend/cuda/kernel_matrix.cu"
#include "backend/cuda/kernel_prompt.cu"
#undef __global__
#undef __launch_bounds__
#define __global__ __location__(global)
#define __launch_bounds__(...) __annotate__(launch_bounds(__VA_ARGS__))

struct path_arguments {
    rti_matrix_work work;
    rti_activations in;
    rti_pass_rows rows;
    rti_attention_shape s;
    float *partial;
};

static __device__ __forceinline__ void fix(path_arguments &p)
{
    for (int i = 0; i < RTI_MOST_SHARES; i++) p.work.shares[i].row_scale = p.work.shares[i].bias = NULL;
    p.work.share_count = 1;
    p.work.softcap = 0.0f;
    p.work.output = RTI_OUTPUT_STORE;
    p.work.logits_rows = false;
}

typedef form<RTI_LAYOUT_INT4, RTI_SCALE_K, true> q4_k;
typedef form<RTI_LAYOUT_INT4, RTI_SCALE_F16, false> q4_0;
typedef form<RTI_LAYOUT_INT8_HALF, RTI_SCALE_K, false> q6_k;
typedef form<RTI_LAYOUT_INT8, RTI_SCALE_F16, false> q8_0;
typedef form<RTI_LAYOUT_BF16, RTI_SCALE_F16, false> bf16;
typedef form<RTI_LAYOUT_F8, RTI_SCALE_F16, false> f8;

#define DECODE(name, form, tiles, planes)                                                                         \
    extern "C" __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, FEW_BLOCKS(form, tiles, planes)) name(path_arguments p) \
    {                                                                                                                \
        fix(p);                                                                                                      \
        matrix_decode<form, tiles, planes>(p.work, p.in.rounded, p.rows);                                         \
    }
#define PROMPT(name, form, planes)                                                                                   \
    extern "C" __global__ void __launch_bounds__(RTI_PARTIALS * RTI_WARP, 2) name(path_arguments p)                  \
    {                                                                                                                \
        fix(p);                                                                                                      \
        matrix_prompt<form, planes>(p.work, p.in.rounded, p.rows);                                                   \
    }
#define ATTENTION(name, type, size)                                                                                  \
    extern "C" __global__ void __launch_bounds__(RTI_CHUNK, 4) name(path_arguments p)                                \
    {                                                                                                                \
        p.s.kv_type = type;                                                                                          \
        p.s.head_size = size;                                                                                        \
        p.s.window = 0;                                                                                              \
        p.s.softcap = 0.0f;                                                                                          \
        attend_chunks<type, false>(p.s, p.in.values, p.partial, 64, 0, 32, p.rows);                                  \
    }

DECODE(path_q4_k_1, q4_k, SINGLE_ROW, 1)
DECODE(path_q4_k_1_fine, q4_k, SINGLE_ROW, 2)
DECODE(path_q4_k_8, q4_k, 1, 1)
DECODE(path_q4_k_32, q4_k, 4, 1)
DECODE(path_q4_0_1, q4_0, SINGLE_ROW, 1)
DECODE(path_q4_0_32, q4_0, 4, 1)
DECODE(path_q6_k_1, q6_k, SINGLE_ROW, 1)
DECODE(path_q8_0_1, q8_0, SINGLE_ROW, 1)
DECODE(path_q8_0_1_fine, q8_0, SINGLE_ROW, 2)
DECODE(path_q8_0_32, q8_0, 4, 1)
PROMPT(path_q4_k_prompt, q4_k, 1)
PROMPT(path_q4_k_prompt_fine, q4_k, 2)
PROMPT(path_q8_0_prompt, q8_0, 1)
PROMPT(path_bf16_prompt, bf16, SPLIT)
DECODE(path_bf16_1, bf16, SINGLE_ROW, SPLIT)
DECODE(path_bf16_32, bf16, 4, SPLIT)
DECODE(path_f8_1, f8, SINGLE_ROW, SPLIT)
DECODE(path_f8_32, f8, 4, SPLIT)
ATTENTION(path_attend_f16, KV_F16, 128)
