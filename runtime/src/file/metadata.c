// file/metadata.c - typed answers about metadata. Values in arrays are read where they lie in the mapping.
// SPDX-License-Identifier: MIT
#include "file/store.h"

#include "file/gguf_format.h"

#include <string.h>

rti_value_kind rti_file_value_kind(const rti_file *file, const char *key)
{
    const rti_entry *entry = rti_file_entry(file, key);
    return entry ? entry->kind : RTI_VALUE_NONE;
}

bool rti_file_get_unsigned(const rti_file *file, const char *key, uint64_t *value)
{
    const rti_entry *entry = rti_file_entry(file, key);
    if (!entry)
        return false;
    if (entry->kind == RTI_VALUE_UNSIGNED) {
        *value = entry->value.number;
        return true;
    }
    if (entry->kind == RTI_VALUE_SIGNED && entry->value.signed_number >= 0) {
        *value = (uint64_t)entry->value.signed_number;
        return true;
    }
    return false;
}

bool rti_file_get_float(const rti_file *file, const char *key, double *value)
{
    const rti_entry *entry = rti_file_entry(file, key);
    if (!entry)
        return false;
    switch (entry->kind) {
    case RTI_VALUE_FLOAT: *value = entry->value.real; return true;
    case RTI_VALUE_UNSIGNED: *value = (double)entry->value.number; return true;
    case RTI_VALUE_SIGNED: *value = (double)entry->value.signed_number; return true;
    default: return false;
    }
}

bool rti_file_get_bool(const rti_file *file, const char *key, bool *value)
{
    const rti_entry *entry = rti_file_entry(file, key);
    if (!entry || entry->kind != RTI_VALUE_BOOL)
        return false;
    *value = entry->value.truth;
    return true;
}

bool rti_file_get_text(const rti_file *file, const char *key, rti_text *value)
{
    const rti_entry *entry = rti_file_entry(file, key);
    if (!entry || entry->kind != RTI_VALUE_STRING)
        return false;
    *value = entry->value.text;
    return true;
}

const char *rti_file_get_string(const rti_file *file, const char *key)
{
    rti_text text;
    return rti_file_get_text(file, key, &text) ? text.data : NULL;
}

static const rti_array *array_of(const rti_file *file, const char *key)
{
    const rti_entry *entry = rti_file_entry(file, key);
    return entry && entry->kind == RTI_VALUE_ARRAY ? &entry->value.array : NULL;
}

bool rti_file_get_array(const rti_file *file, const char *key, rti_value_kind *kind, size_t *count)
{
    const rti_array *array = array_of(file, key);
    *count = array ? array->count : 0;
    *kind = array ? array->kind : RTI_VALUE_NONE;
    return array != NULL;
}

bool rti_file_array_text(const rti_file *file, const char *key, size_t index, rti_text *value)
{
    const rti_array *array = array_of(file, key);
    if (!array || array->kind != RTI_VALUE_STRING || index >= array->count)
        return false;
    if (array->texts) {
        *value = array->texts[index];
        return true;
    }
    const uint8_t *at = array->data + array->offsets[index];
    uint64_t size;
    memcpy(&size, at, sizeof size);
    *value = (rti_text){(const char *)at + sizeof size, (size_t)size};
    return true;
}

bool rti_file_array_number(const rti_file *file, const char *key, size_t index, double *value)
{
    const rti_array *array = array_of(file, key);
    if (!array || index >= array->count || array->kind == RTI_VALUE_STRING)
        return false;
    if (array->numbers) {
        *value = array->numbers[index];
        return true;
    }
    rti_entry element;
    if (!array->data || !rti_gguf_number(array->element, array->data + index * rti_gguf_value_size(array->element), &element))
        return false;
    switch (element.kind) {
    case RTI_VALUE_UNSIGNED: *value = (double)element.value.number; return true;
    case RTI_VALUE_SIGNED: *value = (double)element.value.signed_number; return true;
    case RTI_VALUE_FLOAT: *value = element.value.real; return true;
    case RTI_VALUE_BOOL: *value = element.value.truth; return true;
    default: return false;
    }
}
