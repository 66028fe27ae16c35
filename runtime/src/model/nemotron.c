// model/nemotron.c - Nemotron-Mini and Nemotron-4: LayerNorm with 1 + weight and bias, squared ReLU without a gate, RoPE on
// the first half of a head.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

rt_result rti_read_nemotron(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_LAYER,
        .norm_has_bias = true,
        .config_norm_adds_one = true,
        .activation = RTI_ACTIVATION_RELU_SQUARED,
        .gguf_rope_order = RTI_ROPE_HALVES,
    };
    return rti_read_decoder(reader, &family);
}
