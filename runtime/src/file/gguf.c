// file/gguf.c - reads GGUF version 2 and 3: header, metadata, list of tensors; split files.
//
// Nothing is believed: each count is held against the bytes that are left before memory is taken for it, each offset
// against the end of the part. Numbers are little-endian, as is every processor that this runs on.
// SPDX-License-Identifier: MIT
#include "file/gguf_format.h"
#include "file/readers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A place in a mapped part. What fails is raised with the place.
typedef struct cursor {
    rti_file *file;
    const rti_mapping *part;
    size_t position;
    const char *what; // being read, for messages
} cursor;

static rt_result raise_truncated(const cursor *at)
{
    return rti_fail(&at->file->host, RT_ERROR_BAD_FILE,
                    "%s: ends at byte %zu inside %s: the file is truncated or damaged; fetch it again", at->part->path,
                    at->part->size, at->what);
}

static rt_result take(cursor *at, size_t size, const uint8_t **bytes)
{
    if (size > at->part->size - at->position)
        return raise_truncated(at);
    *bytes = at->part->data + at->position;
    at->position += size;
    return RT_OK;
}

static rt_result take_u32(cursor *at, uint32_t *value)
{
    const uint8_t *bytes = NULL;
    rt_result result = take(at, sizeof *value, &bytes);
    if (result == RT_OK)
        memcpy(value, bytes, sizeof *value);
    return result;
}

static rt_result take_u64(cursor *at, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    rt_result result = take(at, sizeof *value, &bytes);
    if (result == RT_OK)
        memcpy(value, bytes, sizeof *value);
    return result;
}

static rt_result take_text(cursor *at, uint64_t limit, rti_text *text)
{
    uint64_t size;
    rt_result result = take_u64(at, &size);
    if (result != RT_OK)
        return result;
    if (size > at->part->size - at->position)
        return raise_truncated(at);
    if (size > limit)
        return rti_fail(&at->file->host, RT_ERROR_TOO_LARGE, "%s: byte %zu: %s: a string of %llu bytes, the limit is %llu",
                        at->part->path, at->position, at->what, (unsigned long long)size, (unsigned long long)limit);
    const uint8_t *bytes = NULL;
    result = take(at, (size_t)size, &bytes);
    *text = (rti_text){(const char *)bytes, (size_t)size};
    return result;
}

static rt_result take_name(cursor *at, const char **name)
{
    rti_text text;
    rt_result result = take_text(at, RTI_MAX_NAME, &text);
    if (result != RT_OK)
        return result;
    if (!rti_name_is_valid(text.data, text.size))
        return rti_fail(&at->file->host, RT_ERROR_BAD_FILE, "%s: byte %zu: %s: a name that is empty or no plain UTF-8",
                        at->part->path, at->position, at->what);
    *name = rti_file_copy(at->file, text.data, text.size);
    return *name ? RT_OK : rti_file_no_memory(at->file);
}

// ---------------------------------------------------------------------------------------------------------------------
// Metadata
// ---------------------------------------------------------------------------------------------------------------------

// Strings lie one behind another: finds each once, so that any of them is found in constant time later.
static rt_result read_text_array(cursor *at, rti_array *array)
{
    if (array->count > (at->part->size - at->position) / 8)
        return raise_truncated(at);
    uint32_t *offsets = rti_file_memory(at->file, array->count * sizeof *offsets);
    if (!offsets)
        return rti_file_no_memory(at->file);
    size_t begin = at->position;
    array->data = at->part->data + begin;
    array->offsets = offsets;
    for (size_t i = 0; i < array->count; i++) {
        rti_text text;
        if (at->position - begin > RTI_MAX_ARRAY_BYTES)
            return rti_fail(&at->file->host, RT_ERROR_TOO_LARGE, "%s: %s: more than 4 GB of strings", at->part->path,
                            at->what);
        offsets[i] = (uint32_t)(at->position - begin);
        rt_result result = take_text(at, RTI_MAX_STRING, &text);
        if (result != RT_OK)
            return result;
    }
    return RT_OK;
}

static rt_result read_array(cursor *at, rti_entry *entry)
{
    uint32_t element;
    uint64_t count;
    rt_result result = take_u32(at, &element);
    if (result == RT_OK)
        result = take_u64(at, &count);
    if (result != RT_OK)
        return result;
    entry->kind = RTI_VALUE_ARRAY;
    rti_array *array = &entry->value.array;
    *array = (rti_array){.element = element, .count = (size_t)count};
    if (element == RTI_GGUF_STRING) {
        array->kind = RTI_VALUE_STRING;
        return read_text_array(at, array);
    }
    size_t size = rti_gguf_value_size(element);
    if (size == 0)
        return rti_fail(&at->file->host, element == RTI_GGUF_ARRAY ? RT_ERROR_UNSUPPORTED : RT_ERROR_BAD_FILE,
                        "%s: byte %zu: %s: an array of elements of type %u", at->part->path, at->position, at->what,
                        element);
    if (count > (at->part->size - at->position) / size)
        return raise_truncated(at);
    static const uint8_t zeros[8] = {0};
    rti_entry sample;
    rti_gguf_number(element, zeros, &sample);
    array->kind = sample.kind;
    return take(at, (size_t)count * size, &array->data);
}

static rt_result read_value(cursor *at, rti_entry *entry)
{
    rt_result result = take_u32(at, &entry->element);
    if (result != RT_OK)
        return result;
    if (entry->element == RTI_GGUF_STRING) {
        rti_text text;
        result = take_text(at, RTI_MAX_STRING, &text);
        if (result != RT_OK)
            return result;
        char *copy = rti_file_copy(at->file, text.data, text.size);
        if (!copy)
            return rti_file_no_memory(at->file);
        entry->kind = RTI_VALUE_STRING;
        entry->value.text = (rti_text){copy, text.size};
        return RT_OK;
    }
    if (entry->element == RTI_GGUF_ARRAY)
        return read_array(at, entry);
    const uint8_t *bytes = NULL;
    size_t size = rti_gguf_value_size(entry->element);
    if (size == 0)
        return rti_fail(&at->file->host, RT_ERROR_BAD_FILE, "%s: byte %zu: %s: a value of unknown type %u",
                        at->part->path, at->position, at->what, entry->element);
    result = take(at, size, &bytes);
    if (result == RT_OK)
        rti_gguf_number(entry->element, bytes, entry);
    return result;
}

// The entries of the first part are the file's; those of the others must only be well-formed, except for split.no.
static rt_result read_entries(cursor *at, uint64_t count, bool keep, uint64_t *split_number)
{
    for (uint64_t i = 0; i < count; i++) {
        rti_entry entry = {0};
        at->what = "the metadata";
        rt_result result = take_name(at, &entry.key);
        if (result == RT_OK) {
            at->what = entry.key;
            result = read_value(at, &entry);
        }
        if (result == RT_OK && keep)
            result = rti_file_add_entry(at->file, &entry);
        if (result != RT_OK)
            return result;
        if (strcmp(entry.key, "split.no") == 0 && entry.kind == RTI_VALUE_UNSIGNED)
            *split_number = entry.value.number;
    }
    return RT_OK;
}

// ---------------------------------------------------------------------------------------------------------------------
// Tensors
// ---------------------------------------------------------------------------------------------------------------------

// Names of ggml types that are not read, so that the message can say more than a number.
static const char *foreign_type_name(uint32_t type)
{
    static const struct { uint32_t type; const char *name; } names[] = {
        {9, "Q8_1"}, {15, "Q8_K"}, {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"}, {21, "IQ3_S"},
        {22, "IQ2_S"}, {24, "I8"}, {25, "I16"}, {26, "I32"}, {27, "I64"}, {28, "F64"}, {29, "IQ1_M"}, {34, "TQ1_0"},
        {35, "TQ2_0"}, {40, "NVFP4"},
    };
    for (size_t i = 0; i < RTI_COUNT(names); i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown";
}

static rt_result read_tensor(cursor *at, rti_tensor *tensor, uint64_t *offset)
{
    rti_file *file = at->file;
    uint32_t dimensions, type;
    at->what = "the list of tensors";
    rt_result result = take_name(at, &tensor->name);
    if (result != RT_OK)
        return result;
    at->what = tensor->name;
    if ((result = take_u32(at, &dimensions)) != RT_OK)
        return result;
    if (dimensions < 1 || dimensions > 4)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: has %u dimensions, 1 to 4 can be", at->part->path,
                        tensor->name, dimensions);
    tensor->dimension_count = (int32_t)dimensions;
    for (uint32_t i = 0; i < 4; i++)
        tensor->shape[i] = 1;
    for (uint32_t i = 0; i < dimensions; i++) {
        uint64_t size;
        if ((result = take_u64(at, &size)) != RT_OK)
            return result;
        if (size < 1 || size > RTI_MAX_DIMENSION)
            return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: dimension %u is %llu", at->part->path,
                            tensor->name, i, (unsigned long long)size);
        tensor->shape[i] = (int64_t)size;
    }
    if ((result = take_u32(at, &type)) != RT_OK || (result = take_u64(at, offset)) != RT_OK)
        return result;
    if (!rti_type_find(type) || type >= RTI_TYPE_F8_E4M3)
        return rti_fail(&file->host, RT_ERROR_UNSUPPORTED,
                        "%s: tensor %s: its type %u (%s) cannot be read; F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, "
                        "Q2_K to Q6_K, IQ4_NL, IQ4_XS and MXFP4 can", at->part->path, tensor->name, type,
                        foreign_type_name(type));
    tensor->type = (rti_type)type;
    if (!rti_tensor_bytes(tensor->type, tensor->dimension_count, tensor->shape, &tensor->bytes))
        return rti_fail(&file->host, RT_ERROR_BAD_FILE,
                        "%s: tensor %s: %lld columns are no whole number of %s blocks, or it is too large", at->part->path,
                        tensor->name, (long long)tensor->shape[0], rti_type_find(type)->name);
    return RT_OK;
}

// Offsets count from the end of the list: they are checked once that is known.
static rt_result place_tensors(cursor *at, size_t first, const uint64_t *offsets, uint64_t alignment)
{
    rti_file *file = at->file;
    uint64_t begin = ((uint64_t)at->position + alignment - 1) / alignment * alignment;
    uint64_t room = begin <= at->part->size ? at->part->size - begin : 0;
    for (size_t i = first; i < file->tensor_count; i++) {
        rti_tensor *tensor = &file->tensors[i];
        uint64_t offset = offsets[i - first];
        if (offset % alignment != 0)
            return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: tensor %s: offset %llu is no multiple of %llu",
                            at->part->path, tensor->name, (unsigned long long)offset, (unsigned long long)alignment);
        if (offset > room || tensor->bytes > room - offset)
            return rti_fail(&file->host, RT_ERROR_BAD_FILE,
                            "%s: tensor %s: %llu bytes at offset %llu reach past the end of the file: it is truncated or "
                            "damaged; fetch it again", at->part->path, tensor->name, (unsigned long long)tensor->bytes,
                            (unsigned long long)offset);
        tensor->data = at->part->data + begin + offset;
    }
    return RT_OK;
}

static rt_result read_tensors(cursor *at, uint64_t count, uint64_t alignment)
{
    rti_file *file = at->file;
    // A tensor's record takes at least 8 + 1 + 4 + 8 + 4 + 8 bytes.
    if (count > (at->part->size - at->position) / 33)
        return raise_truncated(at);
    if (count > RTI_MAX_TENSORS)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: more than %d tensors", at->part->path, RTI_MAX_TENSORS);
    if (count == 0)
        return RT_OK;
    size_t first = file->tensor_count, bytes = (size_t)count * sizeof(uint64_t);
    uint64_t *offsets = rti_allocate(&file->host, bytes);
    if (!offsets)
        return rti_file_no_memory(file);
    rt_result result = RT_OK;
    for (uint64_t i = 0; i < count && result == RT_OK; i++) {
        rti_tensor tensor = {0};
        result = read_tensor(at, &tensor, &offsets[i]);
        if (result == RT_OK)
            result = rti_file_add_tensor(file, at->part->path, &tensor);
    }
    if (result == RT_OK)
        result = place_tensors(at, first, offsets, alignment);
    rti_release(&file->host, offsets, bytes);
    return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// Parts
// ---------------------------------------------------------------------------------------------------------------------

bool rti_gguf_recognise(const rti_mapping *part)
{
    return part->size >= 4 && memcmp(part->data, RTI_GGUF_MAGIC, 4) == 0;
}

static rt_result read_header(cursor *at, uint64_t *tensor_count, uint64_t *entry_count)
{
    uint32_t version;
    at->position = 4;
    at->what = "the header";
    rt_result result = take_u32(at, &version);
    if (result != RT_OK)
        return result;
    if (version != 2 && version != 3) {
        bool swapped = (version & 0xffff) == 0 && version != 0;
        return rti_fail(&at->file->host, RT_ERROR_UNSUPPORTED, "%s: GGUF version %u%s: versions 2 and 3 can be read",
                        at->part->path, version, swapped ? " (a big-endian file)" : "");
    }
    if ((result = take_u64(at, tensor_count)) != RT_OK || (result = take_u64(at, entry_count)) != RT_OK)
        return result;
    // An entry takes at least 8 + 1 + 4 + 1 bytes.
    if (*entry_count > (at->part->size - at->position) / 14)
        return raise_truncated(at);
    return RT_OK;
}

static rt_result read_part(rti_file *file, size_t number)
{
    cursor at = {.file = file, .part = &file->parts[number]};
    uint64_t tensor_count, entry_count, split_number = 0, alignment = RTI_GGUF_ALIGNMENT;
    rt_result result = read_header(&at, &tensor_count, &entry_count);
    if (result == RT_OK)
        result = read_entries(&at, entry_count, number == 0, &split_number);
    if (result != RT_OK)
        return result;
    if (split_number != number)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: is part %llu of a split model where part %zu belongs%s",
                        at.part->path, (unsigned long long)split_number + 1, number + 1,
                        number == 0 ? ": open the first part, ...-00001-of-..." : "");
    const rti_entry *entry = rti_file_entry(file, "general.alignment");
    if (entry && (!rti_file_get_unsigned(file, "general.alignment", &alignment) || alignment < 4 ||
                  alignment > 1u << 20 || (alignment & (alignment - 1)) != 0))
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: general.alignment: must be a power of two, 4 or more",
                        at.part->path);
    at.what = "the list of tensors";
    return read_tensors(&at, tensor_count, alignment);
}

// "dir/name-00001-of-00003.gguf" and 2 -> "dir/name-00002-of-00003.gguf"
static rt_result sister_path(rti_file *file, uint64_t number, uint64_t count, char *path, size_t capacity)
{
    char ending[64], own[64];
    snprintf(own, sizeof own, "-00001-of-%05llu.gguf", (unsigned long long)count);
    snprintf(ending, sizeof ending, "-%05llu-of-%05llu.gguf", (unsigned long long)number, (unsigned long long)count);
    size_t length = strlen(file->path), own_length = strlen(own);
    if (length < own_length || strcmp(file->path + length - own_length, own) != 0)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE,
                        "%s: the first of %llu parts: its name must end in %s, so that the others are found", file->path,
                        (unsigned long long)count, own);
    int written = snprintf(path, capacity, "%.*s%s", (int)(length - own_length), file->path, ending);
    if (written < 0 || (size_t)written >= capacity)
        return rti_fail(&file->host, RT_ERROR_TOO_LARGE, "%s: the path is too long", file->path);
    return RT_OK;
}

static rt_result read_sisters(rti_file *file, uint64_t count)
{
    enum { PATH_CAPACITY = 8192 };
    if (count > RTI_MAX_PARTS)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: split.count: %llu parts, at most %d can be", file->path,
                        (unsigned long long)count, RTI_MAX_PARTS);
    char *path = rti_allocate(&file->host, PATH_CAPACITY);
    if (!path)
        return rti_file_no_memory(file);
    rt_result result = RT_OK;
    for (uint64_t i = 1; i < count && result == RT_OK; i++) {
        rti_mapping *part;
        result = sister_path(file, i + 1, count, path, PATH_CAPACITY);
        if (result == RT_OK)
            result = rti_file_map(file, path, &part);
        if (result == RT_OK && !rti_gguf_recognise(part))
            result = rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: not a GGUF file", path);
        if (result == RT_OK)
            result = read_part(file, (size_t)i);
    }
    rti_release(&file->host, path, PATH_CAPACITY);
    return result;
}

rt_result rti_gguf_read(rti_file *file)
{
    rt_result result = read_part(file, 0);
    uint64_t count = 1, total;
    if (result == RT_OK && rti_file_get_unsigned(file, "split.count", &count) && count > 1)
        result = read_sisters(file, count);
    if (result == RT_OK && count > 1 && rti_file_get_unsigned(file, "split.tensors.count", &total) &&
        total != file->tensor_count)
        return rti_fail(&file->host, RT_ERROR_BAD_FILE, "%s: split.tensors.count: %llu tensors, its %llu parts have %zu",
                        file->path, (unsigned long long)total, (unsigned long long)count, file->tensor_count);
    return result;
}
