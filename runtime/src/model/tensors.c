// model/tensors.c - tensors by slot: names in both kinds of file, shapes checked, FP8 scales found.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_CAPACITY = 256 };

static const struct {
    const char *gguf;
    const char *config;
    bool in_layer;
} slot_names[RTI_SLOT_COUNT] = {
    [RTI_SLOT_EMBEDDING] = {"token_embd", "embed_tokens", false},
    [RTI_SLOT_OUTPUT_NORM] = {"output_norm", "norm", false},
    [RTI_SLOT_OUTPUT] = {"output", "lm_head", false},
    [RTI_SLOT_ATTENTION_NORM] = {"attn_norm", "input_layernorm", true},
    [RTI_SLOT_QUERY] = {"attn_q", "self_attn.q_proj", true},
    [RTI_SLOT_KEY] = {"attn_k", "self_attn.k_proj", true},
    [RTI_SLOT_VALUE] = {"attn_v", "self_attn.v_proj", true},
    [RTI_SLOT_QUERY_KEY_VALUE] = {"attn_qkv", "self_attn.qkv_proj", true},
    [RTI_SLOT_QUERY_NORM] = {"attn_q_norm", "self_attn.q_norm", true},
    [RTI_SLOT_KEY_NORM] = {"attn_k_norm", "self_attn.k_norm", true},
    [RTI_SLOT_ATTENTION_OUTPUT] = {"attn_output", "self_attn.o_proj", true},
    [RTI_SLOT_POST_ATTENTION_NORM] = {"post_attention_norm", "post_attention_layernorm", true},
    [RTI_SLOT_FEED_FORWARD_NORM] = {"ffn_norm", "post_attention_layernorm", true},
    [RTI_SLOT_GATE] = {"ffn_gate", "mlp.gate_proj", true},
    [RTI_SLOT_UP] = {"ffn_up", "mlp.up_proj", true},
    [RTI_SLOT_GATE_UP] = {"ffn_up", "mlp.gate_up_proj", true},
    [RTI_SLOT_DOWN] = {"ffn_down", "mlp.down_proj", true},
    [RTI_SLOT_POST_FEED_FORWARD_NORM] = {"post_ffw_norm", "post_feedforward_layernorm", true},
};

// "blk.3.attn_q.weight" or "model.layers.3.self_attn.q_proj.weight"
static void slot_name(const rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, const char *part,
                      char *name)
{
    const char *own = reader->is_gguf ? slot_names[slot].gguf : slot_names[slot].config;
    const rti_slot_name *other = reader->is_gguf ? NULL : family->config_names;
    for (; other && other->name; other++)
        if (other->slot == slot)
            own = other->name;
    if (reader->is_gguf && slot_names[slot].in_layer)
        snprintf(name, NAME_CAPACITY, "blk.%d.%s.%s", layer, own, part);
    else if (reader->is_gguf)
        snprintf(name, NAME_CAPACITY, "%s.%s", own, part);
    else if (slot_names[slot].in_layer)
        snprintf(name, NAME_CAPACITY, "%slayers.%d.%s.%s", reader->tensor_scope, layer, own, part);
    else if (slot == RTI_SLOT_OUTPUT) // stands outside: "lm_head.weight", "language_model.lm_head.weight"
        snprintf(name, NAME_CAPACITY, "%s%s.%s",
                 strcmp(reader->tensor_scope, "language_model.model.") == 0 ? "language_model." : "", own, part);
    else
        snprintf(name, NAME_CAPACITY, "%s%s.%s", reader->tensor_scope, own, part);
}

static const rti_tensor *take_tensor(rti_reader *reader, const char *name)
{
    const rti_tensor *tensor = rti_file_tensor(reader->file, name);
    if (tensor)
        reader->used[tensor - rti_file_tensor_at(reader->file, 0)] = 1;
    return tensor;
}

static rt_result raise_missing(const rti_reader *reader, const char *name)
{
    const char *type = rti_file_skipped_type(reader->file, name);
    if (type)
        return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED, "%s: tensor %s: its type %s cannot be read",
                        rti_file_path(reader->file), name, type);
    return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: tensor %s: missing", rti_file_path(reader->file), name);
}

static rt_result raise_shape(const rti_reader *reader, const rti_tensor *tensor, int32_t rows, int32_t columns)
{
    return rti_fail(&reader->host, RT_ERROR_BAD_FILE,
                    "%s: tensor %s: its shape is %lld columns by %lld rows, %d by %d belongs there",
                    rti_file_path(reader->file), tensor->name, (long long)tensor->shape[0], (long long)tensor->shape[1],
                    columns, rows);
}

bool rti_reader_has(const rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer)
{
    char name[NAME_CAPACITY];
    slot_name(reader, family, slot, layer, "weight", name);
    return rti_file_tensor(reader->file, name) != NULL;
}

bool rti_reader_has_bias(const rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer)
{
    char name[NAME_CAPACITY];
    slot_name(reader, family, slot, layer, "bias", name);
    return rti_file_tensor(reader->file, name) != NULL;
}

static rt_result read_values(rti_reader *reader, const rti_tensor *tensor, float add, const float **values)
{
    size_t count = 1;
    for (int32_t i = 0; i < tensor->dimension_count; i++)
        count *= (size_t)tensor->shape[i]; // bounded by the file's size
    float *decoded = rti_network_memory(reader->network, count * sizeof *decoded);
    if (!decoded)
        return rti_reader_no_memory(reader);
    rti_dequantize(tensor->type, tensor->data, decoded, count);
    for (size_t i = 0; add != 0 && i < count; i++)
        decoded[i] += add;
    *values = decoded;
    return RT_OK;
}

// FP8 weights stand beside their scale: one a tensor (shape [] or [1]) or one a row ([rows, 1] or [rows]).
static rt_result read_scale(rti_reader *reader, const char *weight_name, rti_matrix *matrix)
{
    char name[NAME_CAPACITY + 16];
    int stem = (int)strlen(weight_name) - (int)strlen(".weight");
    snprintf(name, sizeof name, "%.*s.weight_scale_inv", stem, weight_name);
    if (rti_file_tensor(reader->file, name))
        return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED,
                        "%s: tensor %s: scales of square blocks cannot be read; scales of a tensor or of rows can",
                        rti_file_path(reader->file), name);
    snprintf(name, sizeof name, "%.*s.weight_scale", stem, weight_name);
    const rti_tensor *tensor = take_tensor(reader, name);
    if (!tensor)
        return raise_missing(reader, name);
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->dimension_count; i++)
        count = tensor->shape[i] == 1 ? count : (count == 1 ? tensor->shape[i] : -1);
    if (tensor->type != RTI_TYPE_F32 && tensor->type != RTI_TYPE_BF16 && tensor->type != RTI_TYPE_F16)
        count = -1;
    if (count != 1 && count != matrix->rows)
        return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED,
                        "%s: tensor %s: must have one value, or one for each of %d rows", rti_file_path(reader->file),
                        name, matrix->rows);
    matrix->scale_count = (int32_t)count;
    return read_values(reader, tensor, 0, &matrix->scale);
}

rt_result rti_read_matrix(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, int32_t rows,
                          int32_t columns, rti_matrix *matrix)
{
    char name[NAME_CAPACITY];
    slot_name(reader, family, slot, layer, "weight", name);
    const rti_tensor *tensor = take_tensor(reader, name);
    if (!tensor)
        return raise_missing(reader, name);
    if (tensor->shape[0] != columns || tensor->shape[1] != rows || tensor->shape[2] != 1 || tensor->shape[3] != 1)
        return raise_shape(reader, tensor, rows, columns);
    *matrix = (rti_matrix){.data = tensor->data, .type = tensor->type, .rows = rows, .columns = columns,
                           .name = tensor->name};
    return tensor->type == RTI_TYPE_F8_E4M3 ? read_scale(reader, name, matrix) : RT_OK;
}

rt_result rti_read_embedding(rti_reader *reader, const rti_family *family, rti_matrix *matrix)
{
    enum { MOST = 1 << 24 };
    char name[NAME_CAPACITY];
    slot_name(reader, family, RTI_SLOT_EMBEDDING, 0, "weight", name);
    const rti_tensor *tensor = rti_file_tensor(reader->file, name);
    if (!tensor)
        return raise_missing(reader, name);
    if (tensor->shape[1] > MOST)
        return rti_fail(&reader->host, RT_ERROR_TOO_LARGE, "%s: tensor %s: a vocabulary of %lld tokens, the limit is %d",
                        rti_file_path(reader->file), name, (long long)tensor->shape[1], MOST);
    return rti_read_matrix(reader, family, RTI_SLOT_EMBEDDING, 0, (int32_t)tensor->shape[1], reader->network->hidden_size,
                           matrix);
}

rt_result rti_read_vector(rti_reader *reader, const rti_family *family, rti_slot slot, int32_t layer, const char *part,
                          int32_t count, float add, rti_vector *vector)
{
    char name[NAME_CAPACITY];
    slot_name(reader, family, slot, layer, part, name);
    const rti_tensor *tensor = take_tensor(reader, name);
    if (!tensor)
        return raise_missing(reader, name);
    if (tensor->shape[0] != count || tensor->shape[1] != 1 || tensor->shape[2] != 1 || tensor->shape[3] != 1)
        return raise_shape(reader, tensor, 1, count);
    vector->count = count;
    return read_values(reader, tensor, add, &vector->values);
}

rt_result rti_read_named_vector(rti_reader *reader, const char *name, int32_t count, const float **values)
{
    *values = NULL;
    const rti_tensor *tensor = take_tensor(reader, name);
    if (!tensor)
        return RT_OK;
    if (tensor->shape[0] != count || tensor->shape[1] != 1 || tensor->shape[2] != 1 || tensor->shape[3] != 1)
        return raise_shape(reader, tensor, 1, count);
    return read_values(reader, tensor, 0, values);
}

rti_matrix rti_matrix_rows(const rti_matrix *matrix, int32_t begin, int32_t rows)
{
    const rti_type_info *info = rti_type_find((uint32_t)matrix->type);
    size_t row_bytes = (size_t)(matrix->columns / info->block_values) * (size_t)info->block_bytes;
    rti_matrix part = *matrix;
    part.data = (const uint8_t *)matrix->data + (size_t)begin * row_bytes;
    part.rows = rows;
    if (matrix->scale_count > 1) {
        part.scale = matrix->scale + begin;
        part.scale_count = rows;
    }
    return part;
}
