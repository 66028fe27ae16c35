// model/llama.c - the llama family: Llama, Mistral 7B, Mistral NeMo (query width 4096 at hidden 5120), Minitron, SmolLM2.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

rt_result rti_read_llama(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .activation = RTI_ACTIVATION_SILU,
        .gguf_rope_order = RTI_ROPE_NEIGHBOURS, // GGUF files hold the rows of query and key permuted for it
    };
    rt_result result = rti_read_decoder(reader, &family);
    uint64_t window = 0;
    // Mistral 7B v0.1 alone looks back a window; GGUF files of other converters do not say so.
    if (result == RT_OK && rti_find_size(reader, "attention.sliding_window", "sliding_window", &window) && window > 0)
        for (int32_t i = 0; i < reader->network->layer_count; i++)
            rti_set_window(reader, i, window);
    return result;
}
