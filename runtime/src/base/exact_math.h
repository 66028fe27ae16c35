// base/exact_math.h - elementary functions that give the same bits on every machine.
//
// The C library's exp and log differ between versions and processors in the last bit; a token drawn from them could differ too.
// These use only additions, multiplications and fused multiply-adds, in one written order.
// SPDX-License-Identifier: MIT
#ifndef RTI_EXACT_MATH_H
#define RTI_EXACT_MATH_H

// e^x in double, relative error below 1e-15 for -700 <= x <= 700; 0 below, infinity above; NaN gives 0.
double rti_exact_exp(double x);

// Natural logarithm of a positive normal number, relative error below 1e-14; -infinity for 0 and below.
double rti_exact_log(double x);

#endif
