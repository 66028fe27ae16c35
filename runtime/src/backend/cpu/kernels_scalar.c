// backend/cpu/kernels_scalar.c - the kernels in portable C: the proof of all the others.
// SPDX-License-Identifier: MIT
#include "backend/cpu/kernel_table.h"

const rti_kernels rti_kernels_scalar = KERNEL_TABLE(RT_ISA_SCALAR, "scalar");
