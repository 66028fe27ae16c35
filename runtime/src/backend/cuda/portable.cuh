// cuda/portable.cuh - what kernels and the code around them are written against: CUDA, or its stand-in on the processor.
//
// Every .cu file of this folder compiles twice: with nvcc for the plugin, and with a plain C++ compiler and
// RTI_CUDA_EMULATION for the tests, where blocks, threads, shared memory, shuffles and barriers are emulated
// (emulation/emulation.h). Launches go through RTI_LAUNCH, shared memory through RTI_SHARED; nothing else differs.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_PORTABLE_CUH
#define RTI_CUDA_PORTABLE_CUH

#ifdef RTI_CUDA_EMULATION

#include "backend/cuda/emulation/emulation.h"

#define RTI_UNROLL
#define RTI_KEEP_LOOP
#define RTI_ARRAY_GAP 256 // bytes between arrays of one allocation

#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define RTI_ARRAY_GAP 0
#define RTI_UNROLL _Pragma("unroll")
#define RTI_KEEP_LOOP _Pragma("unroll 1")
#define RTI_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
// Declares `name` as the launch's dynamic shared memory.
#define RTI_SHARED(type, name)                     \
    extern __shared__ __align__(16) uint8_t rti_shared_bytes[]; \
    type *name = (type *)rti_shared_bytes

#endif

#define RTI_WARP 32
#define RTI_FULL_WARP 0xffffffffu

#endif
