// common/exp.h - a quick exponential, for sums over a whole vocabulary.
// SPDX-License-Identifier: MIT
#ifndef RPI_EXP_H
#define RPI_EXP_H

#include <stdint.h>
#include <string.h>

// e^x for x <= 0, to six digits: enough to weigh candidates by, and cheap enough for every row of every candidate. Only
// additions and multiplications, so that every machine decides alike.
static inline float rpi_quick_exp(float x)
{
    if (x < -87.0f)
        return 0.0f;
    float t = x * 1.44269504f;
    int32_t whole = (int32_t)(t - 0.5f);
    float f = t - (float)whole; // -0.5 .. 0.5
    float power = 1.0f + f * (0.693147181f + f * (0.240226507f + f * (0.0555041087f + f * (0.00961812911f + f * 0.00133335581f))));
    uint32_t bits = (uint32_t)(whole + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return power * scale;
}

#endif
