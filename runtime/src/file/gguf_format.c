// file/gguf_format.c - the numbers and bools of GGUF's metadata.
// SPDX-License-Identifier: MIT
#include "file/gguf_format.h"

#include <string.h>

size_t rti_gguf_value_size(uint32_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < RTI_COUNT(sizes) ? sizes[type] : 0;
}

bool rti_gguf_number(uint32_t type, const uint8_t *bytes, rti_entry *entry)
{
    static const rti_value_kind kinds[] = {
        RTI_VALUE_UNSIGNED, RTI_VALUE_SIGNED, RTI_VALUE_UNSIGNED, RTI_VALUE_SIGNED, RTI_VALUE_UNSIGNED,
        RTI_VALUE_SIGNED,   RTI_VALUE_FLOAT,  RTI_VALUE_BOOL,     RTI_VALUE_STRING, RTI_VALUE_ARRAY,
        RTI_VALUE_UNSIGNED, RTI_VALUE_SIGNED, RTI_VALUE_FLOAT,
    };
    size_t size = rti_gguf_value_size(type);
    if (size == 0)
        return false;
    uint64_t raw = 0;
    memcpy(&raw, bytes, size);
    entry->kind = kinds[type];
    entry->element = type;
    if (entry->kind == RTI_VALUE_BOOL) {
        entry->value.truth = raw != 0;
    } else if (entry->kind == RTI_VALUE_SIGNED) {
        unsigned shift = (unsigned)(64 - 8 * size);
        entry->value.signed_number = (int64_t)(raw << shift) >> shift;
    } else if (type == RTI_GGUF_FLOAT32) {
        float value;
        memcpy(&value, bytes, sizeof value);
        entry->value.real = value;
    } else if (type == RTI_GGUF_FLOAT64) {
        memcpy(&entry->value.real, bytes, sizeof entry->value.real);
    } else {
        entry->value.number = raw;
    }
    return true;
}
