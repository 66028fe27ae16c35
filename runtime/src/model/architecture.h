// model/architecture.h - the table of model families, and what their small files are written with.
//
// A family is a row of the table in architecture.c and a function that fills in rti_network. Most are the common decoder
// with some switches set (rti_family); a family that differs more does its own steps before or after.
//
// GGUF and safetensors say the same things with different words: every helper takes both spellings, GGUF's without the
// architecture in front ("block_count"), that of config.json as it is ("num_hidden_layers").
// SPDX-License-Identifier: MIT
#ifndef RTI_ARCHITECTURE_H
#define RTI_ARCHITECTURE_H

#include "model/network.h"

typedef struct rti_reader rti_reader;

typedef struct rti_architecture {
    const char *name;        // general.architecture of GGUF files
    const char *model_types; // model_type of config.json, separated by spaces
    rt_result (*read)(rti_reader *reader);
} rti_architecture;

// The row of a name, or NULL. The list of known names for messages: "llama, nemotron, ..."
const rti_architecture *rti_architecture_find(const char *name, bool is_gguf);
void rti_architecture_names(char *text, size_t capacity, bool is_gguf);

// What a config.json that lacks a key means by that.
typedef struct rti_config_default {
    const char *key; // NULL ends the list
    double value;
} rti_config_default;

struct rti_reader {
    rt_host host;
    const rti_file *file;
    rti_network *network;
    bool is_gguf;
    const char *architecture;  // as the file spells it; the prefix of GGUF keys
    const char *config_scope;  // folders: "" or "text_config."
    const char *tensor_scope;  // folders: "model." or "language_model.model." or "model.language_model."
    const rti_config_default *defaults; // of the family, or NULL
    uint8_t *used;             // one a tensor of the file
    int32_t context_wanted;    // see rti_network_create_sized
};

// Memory that lives as long as the network, zeroed; NULL without raising.
void *rti_network_memory(rti_network *network, size_t size);
rt_result rti_reader_no_memory(const rti_reader *reader);

// ---------------------------------------------------------------------------------------------------------------------
// Metadata
// ---------------------------------------------------------------------------------------------------------------------

// Required numbers in minimum .. maximum. An array whose elements are all the same counts as that number.
rt_result rti_read_size(const rti_reader *reader, const char *gguf, const char *config, int32_t minimum, int32_t maximum,
                        int32_t *value);
// Optional: leave *value alone and give false where the key is missing (or null). Either spelling may be NULL.
bool rti_find_size(const rti_reader *reader, const char *gguf, const char *config, uint64_t *value);
bool rti_find_float(const rti_reader *reader, const char *gguf, const char *config, double *value);
bool rti_find_bool(const rti_reader *reader, const char *gguf, const char *config, bool *value);
const char *rti_find_string(const rti_reader *reader, const char *gguf, const char *config);
// The whole key, for messages and array access.
const char *rti_reader_key(const rti_reader *reader, const char *gguf, const char *config, char *key, size_t capacity);

// ---------------------------------------------------------------------------------------------------------------------
// Tensors
// ---------------------------------------------------------------------------------------------------------------------

typedef enum rti_slot {
    RTI_SLOT_EMBEDDING = 0,
    RTI_SLOT_OUTPUT_NORM,
    RTI_SLOT_OUTPUT,
    RTI_SLOT_ATTENTION_NORM,
    RTI_SLOT_QUERY,
    RTI_SLOT_KEY,
    RTI_SLOT_VALUE,
    RTI_SLOT_QUERY_KEY_VALUE, // fused, in this order of rows
    RTI_SLOT_QUERY_NORM,
    RTI_SLOT_KEY_NORM,
    RTI_SLOT_ATTENTION_OUTPUT,
    RTI_SLOT_POST_ATTENTION_NORM,
    RTI_SLOT_FEED_FORWARD_NORM,
    RTI_SLOT_GATE,
    RTI_SLOT_UP,
    RTI_SLOT_GATE_UP, // fused, in this order of rows
    RTI_SLOT_DOWN,
    RTI_SLOT_POST_FEED_FORWARD_NORM,
    RTI_SLOT_COUNT
} rti_slot;

// A family with other names for some slots (safetensors only) gives them as a list that ends with a NULL name.
typedef struct rti_slot_name {
    rti_slot slot;
    const char *name; // after "model.layers.N.", without ".weight"
} rti_slot_name;

// What the common decoder is told about a family.
typedef struct rti_family {
    rti_norm_kind norm;
    bool norm_has_bias;
    bool config_norm_adds_one; // safetensors store w where 1 + w is meant; GGUF files already hold 1 + w
    rti_activation activation;
    rti_rope_order gguf_rope_order;
    bool needs_query_key_value_bias; // otherwise biases are taken where the file has them
    bool has_head_norms;
    bool has_post_norms;
    bool is_fused; // query, key and value in one tensor, gate and up in one
    const rti_slot_name *config_names;
} rti_family;

bool rti_reader_has(const rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer);
bool rti_reader_has_bias(const rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer);
// The embedding: its rows are the vocabulary, whatever their number.
rt_result rti_read_embedding(rti_reader *reader, const rti_family *family, rti_matrix *matrix);
rt_result rti_read_matrix(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, int32_t rows,
                          int32_t columns, rti_matrix *matrix);
// A vector as float32, each value plus `add`. `part` is "weight" or "bias".
rt_result rti_read_vector(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, const char *part,
                          int32_t count, float add, rti_vector *vector);
// A vector by its whole name, `count` values; *values is NULL where there is no such tensor.
rt_result rti_read_named_vector(rti_reader *reader, const char *name, int32_t count, const float **values);
// Rows begin .. begin + rows of a matrix.
rti_matrix rti_matrix_rows(const rti_matrix *matrix, int32_t begin, int32_t rows);

// ---------------------------------------------------------------------------------------------------------------------
// Steps
// ---------------------------------------------------------------------------------------------------------------------

// Sizes, norm epsilon, context, vocabulary; memory for the layers.
rt_result rti_read_sizes(rti_reader *reader, const rti_family *family);
// RoPE number `index` of the network with the file's scaling. `base` 0: the file's. `plain`: no scaling (local layers of gemma 3).
rt_result rti_read_rope(rti_reader *reader, const rti_family *family, int32_t index, double base, bool plain);
// All tensors.
rt_result rti_read_tensors(rti_reader *reader, const rti_family *family);
// The three, with one RoPE.
rt_result rti_read_decoder(rti_reader *reader, const rti_family *family);

// Lets a layer see `window` positions back, itself included, where that is less than the context. 0: all.
void rti_set_window(rti_reader *reader, int32_t layer, uint64_t window);

rt_result rti_read_llama(rti_reader *reader);
rt_result rti_read_nemotron(rti_reader *reader);
rt_result rti_read_qwen2(rti_reader *reader);
rt_result rti_read_qwen3(rti_reader *reader);
rt_result rti_read_gemma(rti_reader *reader);
rt_result rti_read_gemma2(rti_reader *reader);
rt_result rti_read_gemma3(rti_reader *reader);
rt_result rti_read_phi3(rti_reader *reader);

#endif
