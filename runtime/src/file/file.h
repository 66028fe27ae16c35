// file/file.h - bytes on disk to named tensors and metadata: GGUF (split files too), safetensors with config.json.
//
// Files are mapped read-only and never trusted: every count, length, offset and name is checked before it is used.
// SPDX-License-Identifier: MIT
#ifndef RTI_FILE_H
#define RTI_FILE_H

#include "base/base.h"

// ggml's numbering, so that GGUF needs no translation; our own from 100 on.
typedef enum rti_type {
    RTI_TYPE_F32 = 0,
    RTI_TYPE_F16 = 1,
    RTI_TYPE_Q4_0 = 2,
    RTI_TYPE_Q4_1 = 3,
    RTI_TYPE_Q5_0 = 6,
    RTI_TYPE_Q5_1 = 7,
    RTI_TYPE_Q8_0 = 8,
    RTI_TYPE_Q2_K = 10,
    RTI_TYPE_Q3_K = 11,
    RTI_TYPE_Q4_K = 12,
    RTI_TYPE_Q5_K = 13,
    RTI_TYPE_Q6_K = 14,
    RTI_TYPE_IQ4_NL = 20,
    RTI_TYPE_IQ4_XS = 23,
    RTI_TYPE_BF16 = 30,
    RTI_TYPE_MXFP4 = 39,
    RTI_TYPE_F8_E4M3 = 100,
} rti_type;

typedef struct rti_type_info {
    rti_type type;
    const char *name;      // "Q4_K"
    int32_t block_values;  // values in one block
    int32_t block_bytes;
} rti_type_info;

// NULL for a number that is no known type.
const rti_type_info *rti_type_find(uint32_t type);
const rti_type_info *rti_type_find_name(const char *name);
// All known types, for tables and tests.
const rti_type_info *rti_type_list(int *count);

// Decodes `count` values (a whole number of blocks) to float32, bit-exact with the `gguf` package's dequantisation.
void rti_dequantize(rti_type type, const void *blocks, float *values, size_t count);
// Encodes; only the types that `repartee quantize` makes and F16/BF16/F32. False: type cannot be written.
// `weights` (count entries, may be NULL) is the importance of each column for K-quants.
bool rti_quantize(rti_type type, const float *values, const float *weights, void *blocks, size_t count);

float rti_half_to_float(uint16_t half);
uint16_t rti_float_to_half(float value); // round to nearest even
void rti_put_half(uint8_t *bytes, float value); // little-endian, wherever it stands
float rti_bfloat_to_float(uint16_t value);
uint16_t rti_float_to_bfloat(float value);
float rti_f8e4m3_to_float(uint8_t value);

typedef struct rti_tensor {
    const char *name;
    rti_type type;
    int32_t dimension_count;  // 1 .. 4
    int64_t shape[4];         // innermost first: shape[0] = columns (the summed-over side), shape[1] = rows
    const void *data;         // in the mapping, block_bytes * blocks bytes, checked
    uint64_t bytes;
} rti_tensor;

typedef struct rti_file rti_file;

typedef enum rti_value_kind {
    RTI_VALUE_NONE = 0,
    RTI_VALUE_UNSIGNED,
    RTI_VALUE_SIGNED,
    RTI_VALUE_FLOAT,
    RTI_VALUE_BOOL,
    RTI_VALUE_STRING,
    RTI_VALUE_ARRAY,
} rti_value_kind;

typedef struct rti_text { // not zero-terminated
    const char *data;
    size_t size;
} rti_text;

// Opens a .gguf (and its split sisters) or a folder of safetensors with config.json. The mapping lives until close.
rt_result rti_file_open(const rt_host *host, const char *path, rti_file **file);
void rti_file_close(rti_file *file);

const char *rti_file_path(const rti_file *file);
bool rti_file_is_gguf(const rti_file *file);
uint64_t rti_file_bytes(const rti_file *file); // of all parts

size_t rti_file_tensor_count(const rti_file *file);
const rti_tensor *rti_file_tensor_at(const rti_file *file, size_t index);
const rti_tensor *rti_file_tensor(const rti_file *file, const char *name); // NULL: none
// The type ("I64") of a tensor that was left out because its type cannot be read; NULL: there is none of that name.
const char *rti_file_skipped_type(const rti_file *file, const char *name);

// Metadata. GGUF keys as they are ("llama.block_count"); for a folder the keys of config.json, nested ones joined by '.'
// ("rope_scaling.factor"). Typed getters return false when the key is missing or of another kind.
rti_value_kind rti_file_value_kind(const rti_file *file, const char *key);
bool rti_file_get_unsigned(const rti_file *file, const char *key, uint64_t *value); // any non-negative integer kind
bool rti_file_get_float(const rti_file *file, const char *key, double *value);      // floats and integers
bool rti_file_get_bool(const rti_file *file, const char *key, bool *value);
bool rti_file_get_text(const rti_file *file, const char *key, rti_text *value);
// As a zero-terminated string owned by the file, or NULL.
const char *rti_file_get_string(const rti_file *file, const char *key);
// Arrays: the kind of the elements and their number (0 and false when missing); then elements by index.
bool rti_file_get_array(const rti_file *file, const char *key, rti_value_kind *kind, size_t *count);
bool rti_file_array_text(const rti_file *file, const char *key, size_t index, rti_text *value); // constant time
bool rti_file_array_number(const rti_file *file, const char *key, size_t index, double *value);

// Asks the system to read the mapping ahead, or to drop it (after packing).
void rti_file_prefetch(const rti_file *file);
void rti_file_drop(const rti_file *file, const void *data, size_t bytes);

// SHA-256 of a file as 64 hex digits and a zero (FIPS 180-4).
rt_result rti_sha256_file(const rt_host *host, const char *path, char hex[65]);

// Writing GGUF v3, for `repartee quantize` and `synth`: declare everything, then write tensors in order.
typedef struct rti_gguf_writer rti_gguf_writer;
rt_result rti_gguf_writer_create(const rt_host *host, const char *path, rti_gguf_writer **writer);
// The keys of a GGUF (all, or those with that beginning) but for what a writer decides anew: split, alignment, file type.
rt_result rti_gguf_writer_copy_metadata(rti_gguf_writer *writer, const rti_file *source);
rt_result rti_gguf_writer_copy_entries(rti_gguf_writer *writer, const rti_file *source, const char *beginning);
rt_result rti_gguf_writer_set_unsigned(rti_gguf_writer *writer, const char *key, uint32_t value);
rt_result rti_gguf_writer_set_float(rti_gguf_writer *writer, const char *key, float value);
rt_result rti_gguf_writer_set_string(rti_gguf_writer *writer, const char *key, const char *value);
rt_result rti_gguf_writer_set_bool(rti_gguf_writer *writer, const char *key, bool value);
rt_result rti_gguf_writer_set_text(rti_gguf_writer *writer, const char *key, const char *value, size_t size);
rt_result rti_gguf_writer_set_bools(rti_gguf_writer *writer, const char *key, const bool *values, size_t count);
rt_result rti_gguf_writer_add_tensor(rti_gguf_writer *writer, const char *name, rti_type type, int32_t dimension_count,
                                     const int64_t *shape);
rt_result rti_gguf_writer_begin_data(rti_gguf_writer *writer);
rt_result rti_gguf_writer_write_tensor(rti_gguf_writer *writer, const void *data, uint64_t bytes); // next declared, may be called in parts
rt_result rti_gguf_writer_finish(rti_gguf_writer *writer, bool keep); // flushes, renames into place; keep false: removes
#endif
