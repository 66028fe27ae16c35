// cuda/unpack.cuh - a file's quantised blocks as the device holds them: 32 small integers, a scale or two, an offset.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_UNPACK_CUH
#define RTI_CUDA_UNPACK_CUH

#include "backend/cuda/plugin.cuh"

struct rti_unpack_form {
    rti_layout layout;
    rti_scale_kind scale_kind;
    bool has_offsets;
};

// False: the type has no integer form here (floats, and rare types that are decoded to float32).
bool rti_unpack_form_of(rti_type type, rti_unpack_form *form);

struct rti_unpacked {
    uint8_t values[32]; // INT4: 16 bytes, low nibbles first half; INT8: 32 signed bytes
    uint8_t scales[4];  // as scale_kind has them; two for INT8_HALF
    uint8_t offset[4];
    uint8_t supers[4];  // RTI_SCALE_K: float16 of the scales, float16 of the offsets
};

// Block b of 32 columns of a row.
void rti_unpack_block(rti_type type, const uint8_t *row, int b, rti_unpacked *out);

#endif
