// backend/cpu/kernels_avx2.c - the kernels for AVX2, FMA and F16C.
// SPDX-License-Identifier: MIT
#if defined(__x86_64__)
#include "backend/cpu/kernel_table.h"

const rti_kernels rti_kernels_avx2 = KERNEL_TABLE(RT_ISA_AVX2, "avx2");
#endif
