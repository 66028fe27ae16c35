// model/qwen.c - Qwen 2 and 2.5 (biases on query, key and value) and Qwen 3 (a norm on each head of query and key).
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

rt_result rti_read_qwen2(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .activation = RTI_ACTIVATION_SILU,
        .gguf_rope_order = RTI_ROPE_HALVES,
        .needs_query_key_value_bias = true,
    };
    rt_result result = rti_read_decoder(reader, &family);
    bool slides = false;
    uint64_t window = 0, first = 0;
    rti_find_bool(reader, NULL, "use_sliding_window", &slides);
    if (result != RT_OK || !slides || !rti_find_size(reader, NULL, "sliding_window", &window))
        return result;
    rti_find_size(reader, NULL, "max_window_layers", &first);
    for (uint64_t i = first; i < (uint64_t)reader->network->layer_count; i++)
        rti_set_window(reader, (int32_t)i, window);
    return result;
}

rt_result rti_read_qwen3(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .activation = RTI_ACTIVATION_SILU,
        .gguf_rope_order = RTI_ROPE_HALVES,
        .has_head_norms = true,
    };
    return rti_read_decoder(reader, &family);
}
