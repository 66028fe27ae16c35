// backend/cpu/kernel_table.h - the kernels of the instruction set this file is compiled for, as a table. Include once a file.
// SPDX-License-Identifier: MIT
#include "backend/cpu/kernel_attention.h"
#include "backend/cpu/kernel_float.h"
#include "backend/cpu/kernel_matrix.h"
#include "backend/cpu/kernel_rows.h"

#define KERNEL_TABLE(set, title) KERNEL_TABLE_WITH(set, title, matrix_fast)
#define KERNEL_TABLE_WITH(set, title, fast)                                                                                     \
    {                                                                                                                      \
        .isa = set, .name = title, .takes_words = WORD_PRODUCTS, .matrix_fast = fast, .matrix_float = matrix_float, .row_decode = row_decode,      \
        .norm = norm, .quantize = quantize, .activate = activate, .add = add, .softcap = softcap, .to_half = to_half,      \
        .attention = attention, .attention_merge = attention_merge, .scale = scale_row,                                    \
    }
