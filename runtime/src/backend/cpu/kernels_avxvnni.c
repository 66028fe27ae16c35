// backend/cpu/kernels_avxvnni.c - the AVX2 kernels with the byte dot product of AVX-VNNI.
// SPDX-License-Identifier: MIT
#if defined(__x86_64__)
#include "backend/cpu/kernel_table.h"

const rti_kernels rti_kernels_avxvnni = KERNEL_TABLE(RT_ISA_AVX2, "avx2, avx-vnni");
#endif
