// file/quantize.h - one block at a time; shared by quantize.c and quantize_k.c.
// SPDX-License-Identifier: MIT
#ifndef RTI_QUANTIZE_H
#define RTI_QUANTIZE_H

#include "file/file.h"

void rti_put_half(uint8_t *bytes, float value);

// 256 values; weights (256, or NULL) say how much an error at each place matters.
void rti_write_q4_k(const float *values, const float *weights, uint8_t *block);
void rti_write_q6_k(const float *values, const float *weights, uint8_t *block);

#endif
