// model/gemma.c - Gemma 1, 2 and 3: scaled embeddings, 1 + weight in every norm (GGUF files hold the sum), tanh GELU; from 2 on
// norms behind attention and feed-forward and layers that look back a window only; in 3 norms on heads and two RoPEs.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <math.h>
#include <string.h>

static const rti_slot_name post_norm_names[] = {
    {RTI_SLOT_POST_ATTENTION_NORM, "post_attention_layernorm"},
    {RTI_SLOT_FEED_FORWARD_NORM, "pre_feedforward_layernorm"},
    {RTI_SLOT_POST_FEED_FORWARD_NORM, "post_feedforward_layernorm"},
    {RTI_SLOT_COUNT, NULL},
};

static void set_scales(rti_reader *reader)
{
    rti_network *network = reader->network;
    double scalar = 0, cap, scale;
    bool is_given = rti_find_float(reader, "attention.scale", NULL, &scale);
    network->embedding_scale = sqrtf((float)network->hidden_size);
    if (rti_find_float(reader, NULL, "query_pre_attn_scalar", &scalar) && scalar > 0)
        network->attention_scale = (float)(1.0 / sqrt(scalar));
    // The 27B models of both generations scale by hidden size over heads; GGUF files tell them by their layers.
    else if (reader->is_gguf && !is_given && ((strcmp(reader->architecture, "gemma2") == 0 && network->layer_count == 46) ||
                                              (strcmp(reader->architecture, "gemma3") == 0 && network->layer_count == 62)))
        network->attention_scale = (float)(1.0 / sqrt((double)network->hidden_size / network->head_count));
    if (rti_find_float(reader, "attn_logit_softcapping", "attn_logit_softcapping", &cap) && cap > 0)
        network->attention_softcap = (float)cap;
    if (rti_find_float(reader, "final_logit_softcapping", "final_logit_softcapping", &cap) && cap > 0)
        network->logits_softcap = (float)cap;
}

// Every `period`th layer sees all, the others a window; a list in the file goes before the rule.
static bool layer_slides(const rti_reader *reader, int32_t layer, uint64_t period)
{
    char buffer[256];
    rti_text text;
    double slides;
    const char *key = rti_reader_key(reader, "attention.sliding_window_pattern", "layer_types", buffer, sizeof buffer);
    if (rti_file_array_text(reader->file, key, (size_t)layer, &text))
        return text.size == 17 && memcmp(text.data, "sliding_attention", 17) == 0;
    if (reader->is_gguf && rti_file_array_number(reader->file, key, (size_t)layer, &slides))
        return slides != 0;
    return ((uint64_t)layer + 1) % period != 0;
}

static rt_result set_windows(rti_reader *reader, uint64_t period, int32_t sliding_rope)
{
    uint64_t window = 0;
    bool found = rti_find_size(reader, "attention.sliding_window", "sliding_window", &window) && window > 0;
    if (!found && reader->is_gguf)
        return RT_OK; // converted from one where every layer sees all
    if (!found)
        return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: the sliding window is missing", rti_file_path(reader->file));
    rti_find_size(reader, "attention.sliding_window_pattern", "sliding_window_pattern", &period);
    if (period == 0)
        period = 1;
    for (int32_t i = 0; i < reader->network->layer_count; i++) {
        if (!layer_slides(reader, i, period))
            continue;
        rti_set_window(reader, i, window);
        reader->network->layers[i].rope = sliding_rope;
    }
    return RT_OK;
}

rt_result rti_read_gemma(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .config_norm_adds_one = true,
        .activation = RTI_ACTIVATION_GELU_TANH,
        .gguf_rope_order = RTI_ROPE_HALVES,
    };
    rt_result result = rti_read_decoder(reader, &family);
    if (result == RT_OK)
        set_scales(reader);
    return result;
}

rt_result rti_read_gemma2(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .config_norm_adds_one = true,
        .activation = RTI_ACTIVATION_GELU_TANH,
        .gguf_rope_order = RTI_ROPE_HALVES,
        .has_post_norms = true,
        .config_names = post_norm_names,
    };
    rt_result result = rti_read_decoder(reader, &family);
    if (result != RT_OK)
        return result;
    set_scales(reader);
    return set_windows(reader, 2, 0);
}

rt_result rti_read_gemma3(rti_reader *reader)
{
    static const rti_family family = {
        .norm = RTI_NORM_RMS,
        .config_norm_adds_one = true,
        .activation = RTI_ACTIVATION_GELU_TANH,
        .gguf_rope_order = RTI_ROPE_HALVES,
        .has_head_norms = true,
        .has_post_norms = true,
        .config_names = post_norm_names,
    };
    // The larger models' config.json leaves out what transformers takes for granted.
    static const rti_config_default defaults[] = {
        {"num_attention_heads", 8}, {"num_key_value_heads", 4},        {"head_dim", 256},
        {"rms_norm_eps", 1e-6},     {"max_position_embeddings", 131072}, {"rope_theta", 1e6},
        {"query_pre_attn_scalar", 256}, {"sliding_window", 4096},      {NULL, 0},
    };
    double local = 10000, base = 1e6;
    reader->defaults = defaults;
    rt_result result = rti_read_sizes(reader, &family);
    if (result != RT_OK)
        return result;
    if (!rti_find_float(reader, "rope.freq_base_swa", "rope_local_base_freq", &local))
        rti_find_float(reader, NULL, "rope_parameters.sliding_attention.rope_theta", &local);
    if (!rti_find_float(reader, NULL, "rope_parameters.full_attention.rope_theta", &base))
        rti_find_float(reader, "rope.freq_base", "rope_theta", &base);
    result = rti_read_rope(reader, &family, 0, base, false);
    if (result == RT_OK)
        result = rti_read_rope(reader, &family, 1, local, true);
    if (result == RT_OK)
        result = rti_read_tensors(reader, &family);
    if (result != RT_OK)
        return result;
    set_scales(reader);
    return set_windows(reader, 6, 1);
}
