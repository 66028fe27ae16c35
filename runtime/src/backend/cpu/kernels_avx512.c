// backend/cpu/kernels_avx512.c - the kernels for AVX-512 with VNNI.
// SPDX-License-Identifier: MIT
#if defined(__x86_64__)
#include "backend/cpu/kernel_table.h"

const rti_kernels rti_kernels_avx512 = KERNEL_TABLE(RT_ISA_AVX512, "avx512, vnni");
#endif
