// file/gguf_format.h - what stands in a GGUF file (ggml's docs/gguf.md): for its reader, its writer and its metadata.
// SPDX-License-Identifier: MIT
#ifndef RTI_GGUF_FORMAT_H
#define RTI_GGUF_FORMAT_H

#include "file/store.h"

#define RTI_GGUF_MAGIC "GGUF"
#define RTI_GGUF_ALIGNMENT 32 // unless general.alignment says otherwise

enum {
    RTI_GGUF_UINT8 = 0,
    RTI_GGUF_INT8 = 1,
    RTI_GGUF_UINT16 = 2,
    RTI_GGUF_INT16 = 3,
    RTI_GGUF_UINT32 = 4,
    RTI_GGUF_INT32 = 5,
    RTI_GGUF_FLOAT32 = 6,
    RTI_GGUF_BOOL = 7,
    RTI_GGUF_STRING = 8,
    RTI_GGUF_ARRAY = 9,
    RTI_GGUF_UINT64 = 10,
    RTI_GGUF_INT64 = 11,
    RTI_GGUF_FLOAT64 = 12,
};

// Bytes of a number or bool; 0 for strings, arrays and numbers that are no type.
size_t rti_gguf_value_size(uint32_t type);
// Reads a number or bool into kind and value of *entry. False: not such a type.
bool rti_gguf_number(uint32_t type, const uint8_t *bytes, rti_entry *entry);

#endif
