// file/quantize_k.h - K-quants, one block at a time.
// SPDX-License-Identifier: MIT
#ifndef RTI_QUANTIZE_K_H
#define RTI_QUANTIZE_K_H

#include "file/file.h"

// 256 values; weights (256, or NULL) say how much an error at each place matters.
void rti_write_q4_k(const float *values, const float *weights, uint8_t *block);
void rti_write_q6_k(const float *values, const float *weights, uint8_t *block);

#endif
