// model/architecture.c - the table of families, and the making of a network from an open file.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

static const rti_architecture architectures[] = {
    {"llama", "llama mistral", rti_read_llama},
    {"nemotron", "nemotron", rti_read_nemotron},
    {"qwen2", "qwen2", rti_read_qwen2},
    {"qwen3", "qwen3", rti_read_qwen3},
    {"gemma", "gemma", rti_read_gemma},
    {"gemma2", "gemma2", rti_read_gemma2},
    {"gemma3", "gemma3_text gemma3", rti_read_gemma3},
    {"phi3", "phi3", rti_read_phi3},
};

static bool word_in(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; length && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

const rti_architecture *rti_architecture_find(const char *name, bool is_gguf)
{
    for (size_t i = 0; i < RTI_COUNT(architectures); i++)
        if (is_gguf ? strcmp(architectures[i].name, name) == 0 : word_in(architectures[i].model_types, name))
            return &architectures[i];
    return NULL;
}

void rti_architecture_names(char *text, size_t capacity, bool is_gguf)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < RTI_COUNT(architectures) && used < capacity; i++) {
        const char *name = is_gguf ? architectures[i].name : architectures[i].model_types;
        int written = snprintf(text + used, capacity - used, "%s%s", i ? ", " : "", name);
        used += written > 0 ? (size_t)written : 0;
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory
// ---------------------------------------------------------------------------------------------------------------------

// Each piece has this in front; network->memory is the newest.
typedef struct piece {
    struct piece *next;
    size_t size;
} piece;

#define PIECE_HEADER 64 // what follows keeps its alignment

void *rti_network_memory(rti_network *network, size_t size)
{
    if (size > SIZE_MAX - PIECE_HEADER)
        return NULL;
    piece *added = rti_allocate_zeroed(&network->host, PIECE_HEADER + size);
    if (!added)
        return NULL;
    added->next = network->memory;
    added->size = PIECE_HEADER + size;
    network->memory = added;
    network->memory_size += added->size;
    return (uint8_t *)added + PIECE_HEADER;
}

rt_result rti_reader_no_memory(const rti_reader *reader)
{
    return rti_fail(&reader->host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory for its norms and list of layers",
                    rti_file_path(reader->file));
}

void rti_network_destroy(rti_network *network)
{
    if (!network)
        return;
    rt_host host = network->host;
    while (network->memory) {
        piece *first = network->memory;
        network->memory = first->next;
        rti_release(&host, first, first->size);
    }
    rti_release(&host, network, sizeof *network);
}

// ---------------------------------------------------------------------------------------------------------------------
// After reading
// ---------------------------------------------------------------------------------------------------------------------

// What files may hold beside the language model: buffers that are computed anew, scales of activations, other modalities.
static bool is_beside_the_model(const char *name)
{
    static const char *const endings[] = {".rotary_emb.inv_freq", ".input_scale", ".k_scale", ".v_scale", ".kv_scale",
                                          ".output_scale", ".q_scale"};
    static const char *const beginnings[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                             "model.multi_modal_projector.", "audio_tower.", "model.embed_tokens_extend."};
    size_t length = strlen(name);
    for (size_t i = 0; i < RTI_COUNT(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(name + length - ending, endings[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < RTI_COUNT(beginnings); i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return strcmp(name, "rope_freqs.weight") == 0;
}

// A tensor that nobody asked for means that the model computes something that is not done here: better no answer than a
// wrong one.
static rt_result check_all_used(const rti_reader *reader)
{
    for (size_t i = 0; i < rti_file_tensor_count(reader->file); i++) {
        const char *name = rti_file_tensor_at(reader->file, i)->name;
        if (!reader->used[i] && !is_beside_the_model(name))
            return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED,
                            "%s: tensor %s: architecture %s has no place for it, so this model is of a kind that would "
                            "not be computed right", rti_file_path(reader->file), name, reader->architecture);
    }
    return RT_OK;
}

static uint64_t hash_matrix(uint64_t hash, const rti_matrix *matrix)
{
    uint64_t numbers[4] = {(uint64_t)matrix->type, (uint64_t)matrix->rows, (uint64_t)matrix->columns,
                           (uint64_t)matrix->scale_count};
    hash = rti_hash_bytes(numbers, sizeof numbers, hash);
    if (!matrix->data)
        return hash;
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t bytes = (size_t)(matrix->columns / info->block_values) * (size_t)info->block_bytes;
    return rti_hash_bytes(matrix->data, RTI_MIN(bytes, (size_t)64), hash);
}

static uint64_t hash_vector(uint64_t hash, const rti_vector *vector)
{
    return vector->values ? rti_hash_bytes(vector->values, (size_t)vector->count * sizeof(float), hash) : hash;
}

static uint64_t fingerprint_of(const rti_network *network)
{
    uint64_t hash = rti_hash_bytes(network->architecture, strlen(network->architecture), 0x72746e6574776b31u);
    int32_t sizes[] = {network->vocab_size, network->layer_count, network->hidden_size, network->head_count,
                       network->kv_head_count, network->head_size, network->feed_forward_size, (int32_t)network->norm,
                       (int32_t)network->activation, network->rope_count};
    float numbers[] = {network->norm_epsilon, network->attention_scale, network->attention_softcap,
                       network->logits_softcap, network->embedding_scale};
    hash = rti_hash_bytes(sizes, sizeof sizes, hash);
    hash = rti_hash_bytes(numbers, sizeof numbers, hash);
    for (int32_t i = 0; i < network->rope_count; i++) {
        const rti_rope *rope = &network->ropes[i];
        hash = rti_hash_mix(hash, (uint64_t)rope->order << 32 | (uint64_t)rope->rotated);
        hash = rti_hash_bytes(&rope->magnitude, sizeof rope->magnitude, hash);
        hash = rti_hash_bytes(rope->frequency, (size_t)(rope->rotated / 2) * sizeof(double), hash);
    }
    hash = hash_matrix(hash, &network->embedding);
    hash = hash_matrix(hash, &network->output);
    hash = hash_vector(hash, &network->output_norm);
    for (int32_t i = 0; i < network->layer_count; i++) {
        const rti_layer *layer = &network->layers[i];
        const rti_matrix *matrices[] = {&layer->query, &layer->key, &layer->value, &layer->attention_output,
                                        &layer->gate, &layer->up, &layer->down};
        for (size_t m = 0; m < RTI_COUNT(matrices); m++)
            hash = hash_matrix(hash, matrices[m]);
        hash = hash_vector(hash, &layer->attention_norm);
        hash = rti_hash_mix(hash, (uint64_t)layer->rope << 32 | (uint64_t)layer->sliding_window);
    }
    return hash;
}

// ---------------------------------------------------------------------------------------------------------------------
// Making
// ---------------------------------------------------------------------------------------------------------------------

// Which family, and where in config.json and among the tensors the language model stands.
static rt_result find_architecture(rti_reader *reader, const rti_architecture **architecture)
{
    const rti_file *file = reader->file;
    char known[512];
    const char *key = reader->is_gguf ? "general.architecture" : "model_type";
    reader->config_scope = "";
    reader->tensor_scope = "model.";
    const char *inner = reader->is_gguf ? NULL : rti_file_get_string(file, "text_config.model_type");
    reader->architecture = rti_file_get_string(file, key);
    if (inner) { // a language model inside one that also sees
        reader->architecture = inner;
        reader->config_scope = "text_config.";
        reader->tensor_scope = rti_file_tensor(file, "language_model.model.embed_tokens.weight")
                                   ? "language_model.model."
                                   : "model.language_model.";
    }
    if (!reader->architecture)
        return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: key %s: missing: this is no language model",
                        rti_file_path(file), key);
    *architecture = rti_architecture_find(reader->architecture, reader->is_gguf);
    if (*architecture)
        return RT_OK;
    rti_architecture_names(known, sizeof known, reader->is_gguf);
    return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED, "%s: architecture \"%s\" is not known; these are: %s",
                    rti_file_path(file), reader->architecture, known);
}

rt_result rti_network_create_sized(const rt_host *host, const rti_file *file, int32_t context_size,
                                   rti_network **result_network)
{
    *result_network = NULL;
    rti_reader reader = {.host = rti_host_or_default(host), .file = file, .is_gguf = rti_file_is_gguf(file),
                         .context_wanted = context_size};
    const rti_architecture *architecture;
    rt_result result = find_architecture(&reader, &architecture);
    if (result != RT_OK)
        return result;
    size_t tensor_count = rti_file_tensor_count(file) + 1;
    reader.network = rti_allocate_zeroed(&reader.host, sizeof *reader.network);
    reader.used = rti_allocate_zeroed(&reader.host, tensor_count);
    if (!reader.network || !reader.used) {
        rti_release(&reader.host, reader.network, sizeof *reader.network);
        rti_release(&reader.host, reader.used, tensor_count);
        return rti_reader_no_memory(&reader);
    }
    reader.network->host = reader.host;
    reader.network->architecture = reader.architecture;
    result = architecture->read(&reader);
    if (result == RT_OK)
        result = check_all_used(&reader);
    rti_release(&reader.host, reader.used, tensor_count);
    if (result != RT_OK) {
        rti_network_destroy(reader.network);
        return result;
    }
    reader.network->fingerprint = fingerprint_of(reader.network);
    *result_network = reader.network;
    return RT_OK;
}

rt_result rti_network_create(const rt_host *host, const rti_file *file, rti_network **network)
{
    return rti_network_create_sized(host, file, 0, network);
}
