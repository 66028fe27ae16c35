// convert/keys.c - which type a tensor takes; a network and its tokenizer as GGUF keys.
// SPDX-License-Identifier: MIT
#include "convert/convert.h"

#include "tokenizer/tokenizer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct { rti_type type; uint32_t file_type; } writable[] = {
    {RTI_TYPE_Q8_0, 7}, {RTI_TYPE_Q4_0, 2}, {RTI_TYPE_Q4_1, 3}, {RTI_TYPE_Q4_K, 14},
    {RTI_TYPE_Q6_K, 18}, {RTI_TYPE_F16, 1}, {RTI_TYPE_BF16, 32}, {RTI_TYPE_F32, 0},
};

rt_result rti_convert_type(const rt_host *host, const char *name, rti_type *type)
{
    const rti_type_info *info = rti_type_find_name(name);
    for (size_t i = 0; info && i < RTI_COUNT(writable); i++)
        if (writable[i].type == info->type) {
            *type = info->type;
            return RT_OK;
        }
    return rti_fail(host, RT_ERROR_INVALID_ARGUMENT,
                    "type \"%s\": can be Q8_0, Q4_0, Q4_1, Q4_K, Q6_K, F16, BF16 or F32", name ? name : "");
}

uint32_t rti_convert_file_type(rti_type type)
{
    for (size_t i = 0; i < RTI_COUNT(writable); i++)
        if (writable[i].type == type)
            return writable[i].file_type;
    return 0;
}

rti_type rti_convert_matrix_type(rti_type wanted, const char *name, bool is_tied, int64_t columns)
{
    bool is_output = strcmp(name, "output.weight") == 0 || (is_tied && strcmp(name, "token_embd.weight") == 0);
    bool has_four_bits = wanted == RTI_TYPE_Q4_K || wanted == RTI_TYPE_Q4_0 || wanted == RTI_TYPE_Q4_1;
    rti_type type = has_four_bits && is_output ? RTI_TYPE_Q6_K : wanted; // where four bits hurt most
    if (columns % rti_type_find((uint32_t)type)->block_values != 0 && rti_type_find((uint32_t)type)->block_values == 256)
        type = RTI_TYPE_Q8_0;
    if (columns % rti_type_find((uint32_t)type)->block_values != 0)
        type = RTI_TYPE_F16;
    return type;
}

// ---------------------------------------------------------------------------------------------------------------------
// The network
// ---------------------------------------------------------------------------------------------------------------------

// Writes keys that have the architecture in front, until the first failure.
typedef struct key_writer {
    rti_gguf_writer *writer;
    const char *architecture;
    rt_result result;
} key_writer;

static const char *full_key(const key_writer *keys, const char *name, char buffer[160])
{
    snprintf(buffer, 160, "%s.%s", keys->architecture, name);
    return buffer;
}

static void put_size(key_writer *keys, const char *name, int64_t value)
{
    char key[160];
    if (keys->result == RT_OK)
        keys->result = rti_gguf_writer_set_unsigned(keys->writer, full_key(keys, name, key), (uint32_t)value);
}

static void put_float(key_writer *keys, const char *name, double value)
{
    char key[160];
    if (keys->result == RT_OK)
        keys->result = rti_gguf_writer_set_float(keys->writer, full_key(keys, name, key), (float)value);
}

static rt_result put_windows(key_writer *keys, const rti_network *network)
{
    enum { MOST_LAYERS = 1024 };
    bool slides[MOST_LAYERS];
    int32_t window = 0, count = 0;
    char key[160];
    for (int32_t i = 0; i < network->layer_count; i++) {
        slides[i] = network->layers[i].sliding_window > 0;
        window = slides[i] ? network->layers[i].sliding_window : window;
        count += slides[i];
    }
    if (count == 0)
        return keys->result;
    put_size(keys, "attention.sliding_window", window);
    if (count < network->layer_count && keys->result == RT_OK)
        keys->result = rti_gguf_writer_set_bools(keys->writer, full_key(keys, "attention.sliding_window_pattern", key), slides,
                                                 (size_t)network->layer_count);
    return keys->result;
}

rt_result rti_convert_write_keys(rti_gguf_writer *writer, const rti_network *network, const char *architecture,
                                 int32_t long_context)
{
    key_writer keys = {writer, architecture, rti_gguf_writer_set_string(writer, "general.architecture", architecture)};
    put_size(&keys, "block_count", network->layer_count);
    put_size(&keys, "context_length", long_context ? long_context : network->context_size);
    put_size(&keys, "embedding_length", network->hidden_size);
    put_size(&keys, "feed_forward_length", network->feed_forward_size);
    put_size(&keys, "attention.head_count", network->head_count);
    put_size(&keys, "attention.head_count_kv", network->kv_head_count);
    put_size(&keys, "attention.key_length", network->head_size);
    put_size(&keys, "attention.value_length", network->head_size);
    put_size(&keys, "vocab_size", network->vocab_size);
    put_size(&keys, "rope.dimension_count", network->ropes[0].rotated);
    put_float(&keys, "rope.freq_base", network->ropes[0].base);
    put_float(&keys, network->norm == RTI_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
              network->norm_epsilon);
    if (network->attention_scale != (float)(1.0 / sqrt(network->head_size)))
        put_float(&keys, "attention.scale", network->attention_scale);
    if (network->ropes[0].magnitude != 1)
        put_float(&keys, "rope.scaling.attn_factor", network->ropes[0].magnitude);
    if (long_context)
        put_size(&keys, "rope.scaling.original_context_length", network->context_size);
    if (network->rope_count > 1)
        put_float(&keys, "rope.freq_base_swa", network->ropes[1].base);
    if (network->attention_softcap > 0)
        put_float(&keys, "attn_logit_softcapping", network->attention_softcap);
    if (network->logits_softcap > 0)
        put_float(&keys, "final_logit_softcapping", network->logits_softcap);
    return put_windows(&keys, network);
}

// ---------------------------------------------------------------------------------------------------------------------
// The tokenizer
// ---------------------------------------------------------------------------------------------------------------------

static rt_result embed_file(const rt_host *host, rti_gguf_writer *writer, const char *key, const char *path)
{
    enum { LARGEST = 64 << 20 };
    FILE *file = fopen(path, "rbe");
    if (!file)
        return rti_fail(host, errno == ENOENT ? RT_ERROR_NOT_FOUND : RT_ERROR_IO, "%s: cannot open: %s", path,
                        strerror(errno));
    char *bytes = NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    rt_result result = RT_OK;
    if (size < 1 || size > LARGEST)
        result = rti_fail(host, RT_ERROR_BAD_FILE, "%s: %ld bytes: no tokenizer file", path, size);
    else if (!(bytes = rti_allocate(host, (size_t)size)))
        result = rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "%s: no memory to read it", path);
    else if (fread(bytes, 1, (size_t)size, file) != (size_t)size)
        result = rti_fail(host, RT_ERROR_IO, "%s: cannot read: %s", path, strerror(errno));
    fclose(file);
    if (result == RT_OK)
        result = rti_gguf_writer_set_text(writer, key, bytes, (size_t)size);
    if (bytes)
        rti_release(host, bytes, (size_t)size);
    return result;
}

static bool begins_as_gguf(const char *path)
{
    char magic[4] = {0};
    FILE *file = fopen(path, "rbe");
    bool is = file && fread(magic, 1, 4, file) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (file)
        fclose(file);
    return is;
}

rt_result rti_convert_write_tokenizer(const rt_host *host, rti_gguf_writer *writer, const char *path,
                                      const char *config_path)
{
    if (begins_as_gguf(path)) {
        rti_file *source;
        rt_result result = rti_file_open(host, path, &source);
        if (result != RT_OK)
            return result;
        result = rti_gguf_writer_copy_entries(writer, source, "tokenizer.");
        if (result == RT_OK)
            result = rti_gguf_writer_copy_entries(writer, source, "repartee.tokenizer.");
        rti_file_close(source);
        return result;
    }
    // Opened once here, so that a file that is none is found now and not when the model is used.
    rt_tokenizer_def def = rt_default_tokenizer_def();
    rt_tokenizer *tokenizer;
    def.host = *host;
    def.path = path;
    rt_result result = rt_tokenizer_open(&def, &tokenizer);
    if (result != RT_OK)
        return result;
    const char *chat = rt_tokenizer_chat_template(tokenizer);
    if (chat)
        result = rti_gguf_writer_set_text(writer, "tokenizer.chat_template", chat, strlen(chat));
    rt_tokenizer_close(tokenizer);
    if (result == RT_OK)
        result = embed_file(host, writer, RTI_TOKENIZER_KEY_FILE, path);
    if (result == RT_OK && config_path)
        result = embed_file(host, writer, RTI_TOKENIZER_KEY_CONFIG, config_path);
    return result;
}

// GPT-2's alphabet: printable bytes stand for themselves, the others for the code points from 256 on.
static uint32_t letter_of_byte(int byte, uint32_t *next)
{
    bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return printable ? (uint32_t)byte : (*next)++;
}

rt_result rti_convert_write_byte_tokenizer(const rt_host *host, rti_gguf_writer *writer)
{
    enum { CAPACITY = 16384 };
    char *text = rti_allocate(host, CAPACITY);
    if (!text)
        return rti_fail(host, RT_ERROR_OUT_OF_MEMORY, "no memory for a tokenizer");
    uint32_t next = 256;
    int used = snprintf(text, CAPACITY,
                        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},"
                        "{\"id\":1,\"content\":\"<s>\",\"special\":true},{\"id\":2,\"content\":\"</s>\",\"special\":true}],"
                        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                        "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\","
                        "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\","
                        "\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                        "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2");
    for (int i = 0; i < 256; i++)
        used += snprintf(text + used, (size_t)(CAPACITY - used), ",\"\\u%04x\":%d", letter_of_byte(i, &next), i + 3);
    used += snprintf(text + used, (size_t)(CAPACITY - used), "},\"merges\":[]}}");
    rt_result result = rti_gguf_writer_set_text(writer, RTI_TOKENIZER_KEY_FILE, text, (size_t)used);
    rti_release(host, text, CAPACITY);
    return result;
}
