// model/phi3.c - Phi-3, Phi-3.5 and Phi-4-mini: query, key and value in one tensor, gate and up in another; "longrope".
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

rt_result rti_read_phi3(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .activation = RTI_ACTIVATION_SILU,
        .gguf_rope_order = RTI_ROPE_HALVES,
        .is_fused = true,
    };
    rt_result result = rti_read_decoder(reader, &family);
    uint64_t window = 0;
    if (result == RT_OK && rti_find_size(reader, "attention.sliding_window", "sliding_window", &window))
        for (int32_t i = 0; i < reader->network->layer_count; i++)
            rti_set_window(reader, i, window);
    return result;
}
