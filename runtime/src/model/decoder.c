// model/decoder.c - what all families share: sizes, then a norm, attention, a norm and a feed-forward in every layer.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <math.h>
#include <string.h>

static rt_result raise(const rti_reader *reader, const char *what)
{
    return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: %s", rti_file_path(reader->file), what);
}

static rt_result read_epsilon(rti_reader *reader, const rti_family *family)
{
    double epsilon = 0;
    bool found = family->norm == RTI_NORM_RMS
                     ? rti_find_float(reader, "attention.layer_norm_rms_epsilon", "rms_norm_eps", &epsilon)
                     : rti_find_float(reader, "attention.layer_norm_epsilon", "norm_eps", &epsilon) ||
                           rti_find_float(reader, "attention.layer_norm_epsilon", "layer_norm_eps", &epsilon) ||
                           rti_find_float(reader, "attention.layer_norm_rms_epsilon", NULL, &epsilon);
    if (!found || !(epsilon > 0 && epsilon < 1))
        return raise(reader, "the norm's epsilon is missing or no sensible number");
    reader->network->norm_epsilon = (float)epsilon;
    return RT_OK;
}

static rt_result read_head_sizes(rti_reader *reader)
{
    rti_network *network = reader->network;
    uint64_t heads = (uint64_t)network->head_count, size = 0, value_size;
    rti_find_size(reader, "attention.head_count_kv", "num_key_value_heads", &heads);
    if (heads < 1 || heads > (uint64_t)network->head_count || (uint64_t)network->head_count % heads != 0)
        return raise(reader, "the number of key-value heads must divide the number of heads");
    network->kv_head_count = (int32_t)heads;
    if (!rti_find_size(reader, "attention.key_length", "head_dim", &size)) {
        if (network->hidden_size % network->head_count != 0)
            return raise(reader, "the size of a head is missing, and the hidden size is no multiple of the heads");
        size = (uint64_t)(network->hidden_size / network->head_count);
    }
    if (size < 2 || size > 1024 || size % 2 != 0)
        return raise(reader, "the size of a head must be even, 2 to 1024");
    if (rti_find_size(reader, "attention.value_length", NULL, &value_size) && value_size != size)
        return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED, "%s: heads whose values have another size than their keys",
                        rti_file_path(reader->file));
    network->head_size = (int32_t)size;
    return RT_OK;
}

// Methods whose weights are not what their type says.
static rt_result check_quantization(const rti_reader *reader)
{
    const char *method = rti_file_get_string(reader->file, "quantization_config.quant_method");
    if (reader->is_gguf || !method || strcmp(method, "fp8") == 0 || strcmp(method, "compressed-tensors") == 0 ||
        strcmp(method, "modelopt") == 0)
        return RT_OK;
    return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED,
                    "%s: quantization_config.quant_method \"%s\" is not known; fp8 and compressed-tensors (FP8 E4M3) are",
                    rti_file_path(reader->file), method);
}

// Folders name their activation; GGUF leaves it to the architecture.
static rt_result check_activation(const rti_reader *reader, const rti_family *family)
{
    static const char *const names[][3] = {
        [RTI_ACTIVATION_SILU] = {"silu", "swish", "silu"},
        [RTI_ACTIVATION_GELU_TANH] = {"gelu_pytorch_tanh", "gelu", "gelu_new"}, // Gemma 1 says gelu and means the tanh form
        [RTI_ACTIVATION_RELU_SQUARED] = {"relu2", "relu2", "relu2"},
    };
    const char *name = rti_find_string(reader, NULL, "hidden_activation");
    if (!name)
        name = rti_find_string(reader, NULL, "hidden_act");
    for (size_t i = 0; name && i < RTI_COUNT(names[0]); i++)
        if (strcmp(names[family->activation][i], name) == 0)
            name = NULL;
    if (!name)
        return RT_OK;
    return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED, "%s: hidden_act \"%s\": models of architecture %s have %s",
                    rti_file_path(reader->file), name, reader->architecture, names[family->activation][0]);
}

rt_result rti_read_sizes(rti_reader *reader, const rti_family *family)
{
    rti_network *network = reader->network;
    rt_result result = check_quantization(reader);
    if (result != RT_OK || (result = check_activation(reader, family)) != RT_OK ||
        (result = rti_read_size(reader, "block_count", "num_hidden_layers", 1, 1024, &network->layer_count)) != RT_OK ||
        (result = rti_read_size(reader, "embedding_length", "hidden_size", 1, 1 << 20, &network->hidden_size)) != RT_OK ||
        (result = rti_read_size(reader, "feed_forward_length", "intermediate_size", 1, 1 << 22,
                                &network->feed_forward_size)) != RT_OK ||
        (result = rti_read_size(reader, "context_length", "max_position_embeddings", 1, 1 << 30,
                                &network->context_size)) != RT_OK ||
        (result = rti_read_size(reader, "attention.head_count", "num_attention_heads", 1, 4096, &network->head_count)) !=
            RT_OK ||
        (result = read_head_sizes(reader)) != RT_OK || (result = read_epsilon(reader, family)) != RT_OK)
        return result;
    network->norm = family->norm;
    network->activation = family->activation;
    network->attention_scale = (float)(1.0 / sqrt(network->head_size));
    double scale;
    if (rti_find_float(reader, "attention.scale", NULL, &scale) && scale > 0 && scale < 100)
        network->attention_scale = (float)scale;
    network->embedding_scale = 1;
    network->layers = rti_network_memory(network, (size_t)network->layer_count * sizeof *network->layers);
    return network->layers ? RT_OK : rti_reader_no_memory(reader);
}

// ---------------------------------------------------------------------------------------------------------------------
// Tensors
// ---------------------------------------------------------------------------------------------------------------------

static rt_result read_norm(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, rti_vector *weight,
                           rti_vector *bias)
{
    float add = family->config_norm_adds_one && !reader->is_gguf ? 1.0f : 0.0f;
    int32_t count = reader->network->hidden_size;
    rt_result result = rti_read_vector(reader, family, slot, layer, "weight", count, add, weight);
    if (result == RT_OK && bias && family->norm_has_bias)
        result = rti_read_vector(reader, family, slot, layer, "bias", count, 0, bias);
    return result;
}

// A bias where the file has one, or where the family must have one.
static rt_result read_bias(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, int32_t count,
                           bool needed, rti_vector *bias)
{
    if (!needed && !rti_reader_has_bias(reader, family, slot, layer))
        return RT_OK;
    return rti_read_vector(reader, family, slot, layer, "bias", count, 0, bias);
}

static rt_result read_fused_attention(rti_reader *reader, const rti_family *family, int32_t index, rti_layer *layer)
{
    const rti_network *network = reader->network;
    int32_t query = network->head_count * network->head_size, key = network->kv_head_count * network->head_size;
    rti_matrix fused;
    rti_vector bias = {0};
    rt_result result = rti_read_matrix(reader, family, RTI_SLOT_QUERY_KEY_VALUE, index, query + 2 * key,
                                       network->hidden_size, &fused);
    if (result == RT_OK)
        result = read_bias(reader, family, RTI_SLOT_QUERY_KEY_VALUE, index, query + 2 * key, false, &bias);
    if (result != RT_OK)
        return result;
    layer->query = rti_matrix_rows(&fused, 0, query);
    layer->key = rti_matrix_rows(&fused, query, key);
    layer->value = rti_matrix_rows(&fused, query + key, key);
    if (bias.values) {
        layer->query_bias = (rti_vector){bias.values, query};
        layer->key_bias = (rti_vector){bias.values + query, key};
        layer->value_bias = (rti_vector){bias.values + query + key, key};
    }
    return RT_OK;
}

static rt_result read_attention(rti_reader *reader, const rti_family *family, int32_t index, rti_layer *layer)
{
    const rti_network *network = reader->network;
    int32_t query = network->head_count * network->head_size, key = network->kv_head_count * network->head_size;
    int32_t hidden = network->hidden_size;
    bool biased = family->needs_query_key_value_bias;
    if (family->is_fused && rti_reader_has(reader, family, RTI_SLOT_QUERY_KEY_VALUE, index))
        return read_fused_attention(reader, family, index, layer);
    rt_result result = rti_read_matrix(reader, family, RTI_SLOT_QUERY, index, query, hidden, &layer->query);
    if (result == RT_OK)
        result = rti_read_matrix(reader, family, RTI_SLOT_KEY, index, key, hidden, &layer->key);
    if (result == RT_OK)
        result = rti_read_matrix(reader, family, RTI_SLOT_VALUE, index, key, hidden, &layer->value);
    if (result == RT_OK)
        result = read_bias(reader, family, RTI_SLOT_QUERY, index, query, biased, &layer->query_bias);
    if (result == RT_OK)
        result = read_bias(reader, family, RTI_SLOT_KEY, index, key, biased, &layer->key_bias);
    if (result == RT_OK)
        result = read_bias(reader, family, RTI_SLOT_VALUE, index, key, biased, &layer->value_bias);
    return result;
}

static rt_result read_head_norms(rti_reader *reader, const rti_family *family, int32_t index, rti_layer *layer)
{
    float add = family->config_norm_adds_one && !reader->is_gguf ? 1.0f : 0.0f;
    int32_t size = reader->network->head_size;
    rt_result result = rti_read_vector(reader, family, RTI_SLOT_QUERY_NORM, index, "weight", size, add, &layer->query_norm);
    if (result == RT_OK)
        result = rti_read_vector(reader, family, RTI_SLOT_KEY_NORM, index, "weight", size, add, &layer->key_norm);
    return result;
}

static rt_result read_feed_forward(rti_reader *reader, const rti_family *family, int32_t index, rti_layer *layer)
{
    const rti_network *network = reader->network;
    int32_t hidden = network->hidden_size, size = network->feed_forward_size;
    rt_result result;
    if (family->activation == RTI_ACTIVATION_RELU_SQUARED) {
        result = rti_read_matrix(reader, family, RTI_SLOT_UP, index, size, hidden, &layer->up);
    } else if (family->is_fused && !rti_reader_has(reader, family, RTI_SLOT_GATE, index)) {
        rti_matrix fused;
        result = rti_read_matrix(reader, family, RTI_SLOT_GATE_UP, index, 2 * size, hidden, &fused);
        if (result == RT_OK) {
            layer->gate = rti_matrix_rows(&fused, 0, size);
            layer->up = rti_matrix_rows(&fused, size, size);
        }
    } else {
        result = rti_read_matrix(reader, family, RTI_SLOT_GATE, index, size, hidden, &layer->gate);
        if (result == RT_OK)
            result = rti_read_matrix(reader, family, RTI_SLOT_UP, index, size, hidden, &layer->up);
    }
    return result == RT_OK ? rti_read_matrix(reader, family, RTI_SLOT_DOWN, index, hidden, size, &layer->down) : result;
}

static rt_result read_layer(rti_reader *reader, const rti_family *family, int32_t index)
{
    const rti_network *network = reader->network;
    rti_layer *layer = &network->layers[index];
    int32_t query = network->head_count * network->head_size;
    rt_result result = read_norm(reader, family, RTI_SLOT_ATTENTION_NORM, index, &layer->attention_norm,
                                 &layer->attention_norm_bias);
    if (result == RT_OK)
        result = read_attention(reader, family, index, layer);
    if (result == RT_OK && family->has_head_norms)
        result = read_head_norms(reader, family, index, layer);
    if (result == RT_OK)
        result = rti_read_matrix(reader, family, RTI_SLOT_ATTENTION_OUTPUT, index, network->hidden_size, query,
                                 &layer->attention_output);
    if (result == RT_OK)
        result = read_bias(reader, family, RTI_SLOT_ATTENTION_OUTPUT, index, network->hidden_size, false,
                           &layer->attention_output_bias);
    if (result == RT_OK && family->has_post_norms)
        result = read_norm(reader, family, RTI_SLOT_POST_ATTENTION_NORM, index, &layer->post_attention_norm, NULL);
    if (result == RT_OK)
        result = read_norm(reader, family, RTI_SLOT_FEED_FORWARD_NORM, index, &layer->feed_forward_norm,
                           &layer->feed_forward_norm_bias);
    if (result == RT_OK)
        result = read_feed_forward(reader, family, index, layer);
    if (result == RT_OK && family->has_post_norms)
        result = read_norm(reader, family, RTI_SLOT_POST_FEED_FORWARD_NORM, index, &layer->post_feed_forward_norm, NULL);
    return result;
}

// The embedding decides how large the vocabulary is: keys that say so are missing or wrong in many files.
static rt_result read_vocabulary(rti_reader *reader, const rti_family *family)
{
    rti_network *network = reader->network;
    bool tied = false;
    rt_result result = rti_read_embedding(reader, family, &network->embedding);
    if (result != RT_OK)
        return result;
    network->vocab_size = network->embedding.rows;
    bool has_output = rti_reader_has(reader, family, RTI_SLOT_OUTPUT, 0);
    rti_find_bool(reader, NULL, "tie_word_embeddings", &tied);
    network->output_is_tied = !has_output || (tied && !reader->is_gguf);
    if (has_output)
        result = rti_read_matrix(reader, family, RTI_SLOT_OUTPUT, 0, network->vocab_size, network->hidden_size,
                                 &network->output);
    if (network->output_is_tied)
        network->output = network->embedding;
    return result;
}

rt_result rti_read_tensors(rti_reader *reader, const rti_family *family)
{
    rti_network *network = reader->network;
    rt_result result = read_vocabulary(reader, family);
    if (result == RT_OK)
        result = read_norm(reader, family, RTI_SLOT_OUTPUT_NORM, 0, &network->output_norm, &network->output_norm_bias);
    for (int32_t i = 0; i < network->layer_count && result == RT_OK; i++)
        result = read_layer(reader, family, i);
    return result;
}

void rti_set_window(rti_reader *reader, int32_t layer, uint64_t window)
{
    if (window < (uint64_t)reader->network->context_size)
        reader->network->layers[layer].sliding_window = (int32_t)window;
}

rt_result rti_read_decoder(rti_reader *reader, const rti_family *family)
{
    rt_result result = rti_read_sizes(reader, family);
    if (result == RT_OK)
        result = rti_read_rope(reader, family, 0, 0, false);
    return result == RT_OK ? rti_read_tensors(reader, family) : result;
}
