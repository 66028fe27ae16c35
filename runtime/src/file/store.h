// file/store.h - what an open file is made of: mapped parts, metadata entries, tensors. Private to file/.
// SPDX-License-Identifier: MIT
#ifndef RTI_STORE_H
#define RTI_STORE_H

#include "file/file.h"

// Limits on what a file may ask for. All are far above what real models have.
#define RTI_MAX_PARTS 1024
#define RTI_MAX_ENTRIES 65536
#define RTI_MAX_TENSORS 262144
#define RTI_MAX_NAME 1024                  // bytes of a key or a tensor's name
#define RTI_MAX_STRING (64u << 20)         // bytes of one metadata string
#define RTI_MAX_ARRAY_BYTES 0xffff0000u    // bytes of one metadata array
#define RTI_MAX_DIMENSION 0x7fffffff       // of a tensor

typedef struct rti_mapping {
    const uint8_t *data;
    size_t size;
    char *path;
    size_t path_size;
} rti_mapping;

// How the elements of an array are kept: fixed-size numbers or bools in the mapping, strings found by offset.
typedef struct rti_array {
    rti_value_kind kind;
    uint32_t element;        // GGUF's number of the element type
    size_t count;
    const uint8_t *data;     // the first element; strings: where offsets count from
    const uint32_t *offsets; // strings: where each one's length stands
    const double *numbers;   // folders: the elements themselves
    const rti_text *texts;
} rti_array;

typedef struct rti_entry {
    const char *key;
    rti_value_kind kind;
    uint32_t element; // GGUF's number of the value's type
    union {
        uint64_t number;
        int64_t signed_number;
        double real;
        bool truth;
        rti_text text; // zero-terminated
        rti_array array;
    } value;
} rti_entry;

// A tensor that is there but of a type that cannot be read, for messages.
typedef struct rti_skipped {
    const char *name;
    const char *type;
} rti_skipped;

// Names to positions: open addressing, a power of two of slots, 0 = empty, else position + 1.
typedef struct rti_index {
    uint32_t *slots;
    size_t slot_count;
    uint64_t seed;
} rti_index;

typedef struct rti_chunk rti_chunk; // of the arena that names, strings and offsets live in

struct rti_file {
    rt_host host;
    char *path;
    size_t path_size;
    bool is_gguf;
    uint64_t bytes;

    rti_mapping *parts;
    size_t part_count, part_capacity;
    rti_entry *entries;
    size_t entry_count, entry_capacity;
    rti_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    rti_skipped *skipped;
    size_t skipped_count, skipped_capacity;
    rti_index entry_index, tensor_index;
    rti_chunk *chunks;
};

// Memory that lives as long as the file. NULL without raising when there is none.
void *rti_file_memory(rti_file *file, size_t size);
char *rti_file_copy(rti_file *file, const char *text, size_t size);
rt_result rti_file_no_memory(const rti_file *file);

// Maps a part read-only. Errors name the path.
rt_result rti_file_map(rti_file *file, const char *path, rti_mapping **part);

// Adds an entry or a tensor; the name was checked and lives as long as the file. A name that is there already is an error.
rt_result rti_file_add_entry(rti_file *file, const rti_entry *entry);
rt_result rti_file_add_tensor(rti_file *file, const char *path, const rti_tensor *tensor);
rt_result rti_file_add_skipped(rti_file *file, const char *name, const char *type);
const rti_entry *rti_file_entry(const rti_file *file, const char *key);

// Bytes that a tensor of this type and shape takes; false when the shape cannot be (zero, overflow, a part of a block).
bool rti_tensor_bytes(rti_type type, int32_t dimension_count, const int64_t *shape, uint64_t *bytes);

// Whether a name is fit for keys and tensors: 1 .. RTI_MAX_NAME bytes of UTF-8 without control characters.
bool rti_name_is_valid(const char *text, size_t size);

#endif
