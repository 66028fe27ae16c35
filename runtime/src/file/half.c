// file/half.c - 16-bit and 8-bit floats. Integer code only: the same bits with any compiler and processor.
// SPDX-License-Identifier: MIT
#include "file/file.h"

#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float rti_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;

    if (exponent == 0x1f) {
        uint32_t quiet = fraction != 0 ? 0x400000u : 0; // as the processor's own conversion does
        return float_of_bits(sign | 0x7f800000u | quiet | (fraction << 13));
    }
    if (exponent != 0)
        return float_of_bits(sign | ((exponent + 112) << 23) | (fraction << 13));
    // Subnormal: fraction * 2^-24 is exact.
    float magnitude = (float)fraction * 0x1p-24f;
    return float_of_bits(sign | bits_of_float(magnitude));
}

uint16_t rti_float_to_half(float value)
{
    uint32_t bits = bits_of_float(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) // 65520 and more round to infinity
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) { // normal: 2^-14 and more
        uint32_t rounded = magnitude - (112u << 23);
        rounded += 0xfffu + ((rounded >> 13) & 1u);
        return (uint16_t)(sign | (rounded >> 13));
    }
    if (magnitude < 0x33000000u) // under 2^-25
        return (uint16_t)sign;
    uint32_t shift = 126u - (magnitude >> 23); // 14 .. 24
    uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t kept = fraction >> shift;
    uint32_t rest = fraction & ((1u << shift) - 1u);
    uint32_t middle = 1u << (shift - 1u);
    if (rest > middle || (rest == middle && (kept & 1u)))
        kept++;
    return (uint16_t)(sign | kept);
}

float rti_bfloat_to_float(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

uint16_t rti_float_to_bfloat(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// OCP 8-bit floating point, E4M3: bias 7, no infinities, 0x7f and 0xff are NaN.
float rti_f8e4m3_to_float(uint8_t value)
{
    uint32_t sign = (uint32_t)(value & 0x80u) << 24;
    uint32_t exponent = (value >> 3) & 0xfu;
    uint32_t fraction = value & 0x7u;

    if (exponent == 0xf && fraction == 0x7)
        return float_of_bits(sign | 0x7fc00000u);
    if (exponent != 0)
        return float_of_bits(sign | ((exponent + 120) << 23) | (fraction << 20));
    return float_of_bits(sign | bits_of_float((float)fraction * 0x1p-9f));
}

void rti_put_half(uint8_t *bytes, float value)
{
    uint16_t half = rti_float_to_half(value);
    bytes[0] = (uint8_t)half;
    bytes[1] = (uint8_t)(half >> 8);
}
